"""What every worker promises: one call in flight for each lane, every call ends exactly once."""

import threading
import time

import pytest

from fakes import HeldWorker
from x0tta6bl4.core.workers import ThreadWorker
from x0tta6bl4.mape_k.inline import InlineWorker


@pytest.fixture(params=[InlineWorker, ThreadWorker, HeldWorker])
def worker(request):
    made = request.param()
    yield made
    if hasattr(made, "close"):
        made.close()


def ended(worker, count):
    """The next `count` results, waited for at most a few seconds."""
    found, until = [], time.monotonic() + 5
    while len(found) < count:
        assert time.monotonic() < until, f"{len(found)} of {count} ended"
        for lane in list(getattr(worker, "flying", ())):
            worker.release(lane)
        found.extend(worker.finished())
        time.sleep(0.001)
    return found


def test_a_result_comes_once_with_its_lane_and_tag(worker):
    assert worker.start("a", "first", lambda: 41 + 1)
    assert ended(worker, 1) == [("a", "first", 42)]
    assert list(worker.finished()) == []


def test_an_exception_is_a_result(worker):
    error = OSError("broken")

    def broken():
        raise error

    assert worker.start("a", "t", broken)
    assert ended(worker, 1) == [("a", "t", error)]
    assert worker.start("a", "t2", lambda: 1)  # the lane lives on
    assert ended(worker, 1) == [("a", "t2", 1)]


def test_every_started_call_ends_exactly_once(worker):
    started, found = [], []
    until = time.monotonic() + 5
    while len(started) < 60 and time.monotonic() < until:
        lane, tag = f"lane{len(started) % 3}", str(len(started))
        if worker.start(lane, tag, lambda t=tag: t):
            started.append((lane, tag, tag))
        found.extend(worker.finished())
        for busy in list(getattr(worker, "flying", ())):
            worker.release(busy)
    found += ended(worker, len(started) - len(found))
    assert sorted(found) == sorted(started)
    for lane in ("lane0", "lane1", "lane2"):
        assert [f for f in found if f[0] == lane] == [s for s in started if s[0] == lane]  # in order


def test_a_busy_lane_refuses_and_does_nothing():
    worker, go, ran = ThreadWorker(), threading.Event(), []
    assert worker.start("a", "slow", lambda: go.wait(5))
    assert not worker.start("a", "second", lambda: ran.append("second"))
    assert worker.start("b", "other", lambda: ran.append("other"))
    assert ended(worker, 1) == [("b", "other", None)]
    assert not worker.ready()
    go.set()
    assert ended(worker, 1) == [("a", "slow", True)]
    assert ran == ["other"]
    assert worker.start("a", "third", lambda: 3)
    assert ended(worker, 1) == [("a", "third", 3)]
    worker.close()


def test_a_call_does_not_block_who_starts_it_and_wakes_who_waits():
    go, woken = threading.Event(), threading.Event()
    worker = ThreadWorker(woken.set)
    before = threading.get_ident()
    assert worker.start("a", "t", lambda: (go.wait(5), threading.get_ident())[1])
    assert not woken.is_set()
    go.set()
    assert woken.wait(5)
    assert worker.ready()
    ((_, _, ran_in),) = worker.finished()
    assert ran_in != before
    assert not worker.ready()
    worker.close()


def test_closing_ends_idle_threads():
    worker = ThreadWorker()
    threads = []
    worker.start("a", "t", lambda: threads.append(threading.current_thread()))
    ended(worker, 1)
    worker.close()
    threads[0].join(5)
    assert not threads[0].is_alive()


def test_inline_runs_at_once():
    worker = InlineWorker()
    ran = []
    assert worker.start("a", "t", lambda: ran.append(1))
    assert ran == [1]
    assert worker.ready()
    assert [tag for _, tag, _ in worker.finished()] == ["t"]
    assert not worker.ready()
