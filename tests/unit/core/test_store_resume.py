"""What a loop that starts again asks of its store besides what is open: the actions that it must remember."""

import random
from dataclasses import replace

import pytest

from x0tta6bl4.core.store import SqlStore
from x0tta6bl4.model import Action, ActionRecord, ActionState, Cause, Component, Diagnosis, Incident, IncidentState

NODE = Component("node", "n1")


class Hand:
    """A clock that stands."""

    def now(self):
        return 100.0

    def utc(self):
        return 1_800_000_000.0


def incident(number):
    cause = Cause("node-down", NODE, 0.9, ())
    return Incident(f"i{number}", "c", number, 50.0, Diagnosis((cause,), 51.0))


def record(number, of, at, state=ActionState.UNDONE):
    return ActionRecord(f"a{number}", f"i{of}", number, Action("reboot", NODE), state, at, at - 1.0)


@pytest.fixture
def store(tmp_path):
    with SqlStore(f"sqlite:///{tmp_path / 'd.db'}", "c", clock=Hand(), random=random.Random(1)) as opened:
        yield opened


def test_all_of_open_incidents_and_the_newest_of_the_others_are_remembered(store):
    closed = replace(incident(2), state=IncidentState.CLOSED, closed_at=90.0)
    ended = [record(number, 1, 20.0 + number) for number in (1, 2, 3)]
    others = [record(number, 2, 50.0 + number) for number in (4, 5, 6)]
    store.commit(incidents=[incident(1), closed], actions=[*others, *ended])
    assert store.open_actions() == []
    assert [r.id for r in store.past_actions(2)] == ["a1", "a2", "a3", "a5", "a6"]
    assert store.past_actions()[-1] == others[-1]


def test_a_change_makes_an_action_the_newest(store):
    first, second = record(1, 9, 20.0, ActionState.APPLIED), record(2, 9, 30.0)
    store.commit(actions=[first, second])
    store.commit(actions=[replace(first, state=ActionState.CONFIRMED, at=40.0)])
    assert [(r.id, r.state) for r in store.past_actions(1)] == [("a1", ActionState.CONFIRMED)]


def test_nothing_is_remembered_of_a_new_store(store):
    assert store.past_actions() == []
