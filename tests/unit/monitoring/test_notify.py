"""Notifiers are told of every event, and none of them can hold the loop or another one back."""

import threading
import time
from collections import Counter

from hand_made import event, incident, iteration
from x0tta6bl4.errors import Temporary
from x0tta6bl4.model import Event
from x0tta6bl4.monitoring import notify
from x0tta6bl4.monitoring.notify import Notices
from x0tta6bl4.testing import notifier_laws


class Told:
    """Remembers what it was sent; `gate` holds it, `failure` is raised."""

    def __init__(self, name="told", failure=None):
        self.name, self.failure = name, failure
        self.events = []
        self.gate = threading.Event()
        self.gate.set()

    def send(self, told: Event):
        self.gate.wait(10)
        if self.failure is not None:
            raise self.failure
        self.events.append(told)


def until(condition):
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


def test_the_fake_keeps_the_laws():
    notifier_laws(Told)


def test_every_notifier_is_told_of_every_event_in_order():
    first, second = Told("a"), Told("b")
    count = Counter()
    notices = Notices([first, second], lambda *ended: count.update([ended]), str)
    events = tuple(event(n) for n in range(1, 6))
    notices.observe(iteration(1, events=events[:3]))
    notices.observe(iteration(2, events=events[3:]))
    until(lambda: sum(count.values()) == 10)
    notices.close()
    assert tuple(first.events) == tuple(second.events) == events
    assert count == {("a", "sent"): 5, ("b", "sent"): 5}


def test_one_that_fails_is_counted_and_goes_on(caplog):
    broken, well = Told("broken", Temporary("no route")), Told("well")
    count = Counter()
    notices = Notices([broken, well], lambda *ended: count.update([ended]), str)
    notices.observe(iteration(1, events=(event(1), event(2))))
    until(lambda: sum(count.values()) == 4)
    notices.close()
    assert count == {("broken", "failed"): 2, ("well", "sent"): 2}
    assert "notifier broken: Temporary of incident.opened: no route" in caplog.text


def test_one_that_is_stuck_holds_nobody_back_and_loses_only_its_own(caplog):
    stuck, well = Told("stuck"), Told("well")
    stuck.gate.clear()
    count = Counter()
    notices = Notices([stuck, well], lambda *ended: count.update([ended]), str)
    start = time.monotonic()
    for number in range(notify.QUEUE_MAX // 10 + 1):
        notices.observe(iteration(number, events=tuple(event(n) for n in range(10))))
        until(lambda number=number: len(well.events) == 10 * (number + 1))
    assert time.monotonic() - start < 5
    until(lambda: count["stuck", "dropped"] in (9, 10))  # one is in its hands or still in the queue
    start = time.monotonic()
    notices.close()
    assert time.monotonic() - start < notify.CLOSE_S + 1
    stuck.gate.set()
    assert count["stuck", "sent"] == 0


def test_an_event_about_an_incident_says_it_in_brief():
    told = Told("a")
    notices = Notices([told], lambda *_: None, lambda incident: f"{incident.id} in brief [1]")
    other = Event(2, 10.0, "controller", "action.applied", "i1", "", {})
    notices.observe(iteration(1, incidents=(incident(),), events=(event(1), other)))
    until(lambda: len(told.events) == 2)
    notices.close()
    assert told.events[0].data == {"code": "link-lossy", "brief": "i1 in brief [1]"}
    assert told.events[1] == other
