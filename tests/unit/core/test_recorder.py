"""What a loop leaves for people: passes that decided something, and readings, both without making it wait."""

import random
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from x0tta6bl4.core.store import Blocks, Recorder, Retention, SqlStore, StoreBusy
from x0tta6bl4.core.store.recorder import PRUNE_EVERY_S
from x0tta6bl4.mape_k.columns import Columns
from x0tta6bl4.model import Component, Event, Iteration, Layout, Observation
from x0tta6bl4.network.catalog import mesh_catalog

NODE = Component("node", "n1")
LAYOUT = Layout((NODE,), ("uptime_s", "hop_penalty"))


class Hand:
    """A clock set by hand."""

    def __init__(self):
        self.at = 100.0

    def now(self):
        return self.at

    def utc(self):
        return self.at + 1_800_000_000.0


class Slow(SqlStore):
    """Waits, or fails, as it is told to."""

    gate, fail = None, False
    pruned = ()

    def prune(self, keep):
        if self.gate is not None:
            self.gate.wait(10)
        super().prune(keep)
        self.pruned += (keep,)

    def commit(self, **what):
        if self.gate is not None:
            self.gate.wait(10)
        if self.fail:
            raise StoreBusy("store: locked by another program")
        super().commit(**what)


@pytest.fixture
def clock():
    return Hand()


@pytest.fixture
def parts(tmp_path, clock):
    with Slow(f"sqlite:///{tmp_path / 'd.db'}", "n1", clock=clock, random=random.Random(1)) as store:
        blocks = Blocks(tmp_path / "readings")
        yield store, blocks, Columns(mesh_catalog(None))
        blocks.close()


def passed(number, *, deciding=True):
    said = (Event(number, 100.0, "n1", "incident.opened"),) if deciding else ()
    return Iteration(number, 100.0, 3, {}, (), (), (), (), (), (), said, {})


def measured(columns, at, *values):
    columns.fold(Observation("s", at, LAYOUT, np.array([values], np.float32)))


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def numbers(store):
    return [one.number for one in store.iterations()]


def test_only_passes_that_decided_something_are_kept_once_a_second(parts, clock):
    store, blocks, columns = parts
    recorder = Recorder(store, blocks, clock, columns)
    recorder.see(passed(1))
    until(lambda: numbers(store) == [1])
    recorder.see(passed(2))
    recorder.see(passed(3, deciding=False))
    clock.at += 1.0
    assert numbers(store) == [1]
    recorder.see(passed(4))
    until(lambda: numbers(store) == [1, 2, 4])
    recorder.see(passed(5))
    recorder.close()
    assert numbers(store) == [1, 2, 4, 5]


def test_readings_are_kept_where_they_were_measured_since_the_last_block(parts, clock):
    store, blocks, columns = parts
    recorder = Recorder(store, blocks, clock, columns)
    for second in range(3):
        measured(columns, clock.at, 10.0 + second, 30.0 if second == 0 else np.nan)
        recorder.see(passed(second, deciding=False))
        until(lambda n=second: len(blocks.series(NODE, "uptime_s", 0, 2e9).mean) == n + 1)
        clock.at += 1.0
    recorder.close()
    series = blocks.series(NODE, "uptime_s", 0, 2e9)
    assert series.mean.tolist() == [10.0, 11.0, 12.0]
    assert series.at_utc.tolist() == [1_800_000_100.0, 1_800_000_101.0, 1_800_000_102.0]
    penalties = blocks.series(NODE, "hop_penalty", 0, 2e9).mean
    assert penalties[~np.isnan(penalties)].tolist() == [30.0]


def test_a_slow_disk_never_holds_the_loop_and_loses_no_pass(parts, clock):
    store, blocks, columns = parts
    store.gate = threading.Event()
    recorder = Recorder(store, blocks, clock, columns)
    began = time.monotonic()
    for number in range(1, 50):
        recorder.see(passed(number))
        clock.at += 1.0
    assert time.monotonic() - began < 2.0
    assert numbers(store) == []
    store.gate.set()
    recorder.close()
    assert numbers(store) == list(range(1, 50))


def test_what_could_not_be_kept_is_told_and_tried_again_in_order(parts, clock):
    store, blocks, columns = parts
    recorder = Recorder(store, blocks, clock, columns)
    store.fail = True
    recorder.see(passed(1))
    clock.at += 1.0

    def failed():
        recorder.see(passed(9, deciding=False))
        clock.at += 1.0
        return recorder.errors

    until(failed)
    assert recorder.errors == {"passes": "StoreBusy: store: locked by another program"}
    store.fail = False
    recorder.see(passed(2))
    recorder.close()
    assert numbers(store) == [1, 2]
    assert recorder.errors == {}


def test_what_is_too_old_is_dropped_once_an_hour_and_nothing_waits_for_it(parts, clock):
    store, blocks, columns = parts
    keep = Retention(passes_s=7000.0)
    recorder = Recorder(store, blocks, clock, columns, keep)
    recorder.see(passed(1))
    until(lambda: numbers(store) == [1])
    for hour in (1, 2, 3):
        clock.at += PRUNE_EVERY_S - 1.0
        recorder.see(passed(2, deciding=False))
        assert len(store.pruned) == hour - 1
        clock.at += 1.0
        recorder.see(passed(2, deciding=False))
        until(lambda n=hour: store.pruned == (keep,) * n)
        recorder._collect()
        assert numbers(store) == ([1] if hour == 1 else [])
    store.gate = threading.Event()
    clock.at += PRUNE_EVERY_S
    began = time.monotonic()
    recorder.see(replace(passed(3), at=clock.at))
    assert time.monotonic() - began < 1.0
    store.gate.set()
    recorder.close()
    assert recorder.errors == {}
    assert numbers(store) == [3]


def test_a_wall_clock_that_was_set_is_taken_up_though_nothing_was_decided(parts, clock):
    store, blocks, columns = parts
    recorder = Recorder(store, blocks, clock, columns)
    utc = clock.utc
    clock.utc = lambda: utc() + 3600.0
    assert store.stepped
    recorder.see(passed(1, deciding=False))
    until(lambda: not store.stepped)
    recorder.close()
