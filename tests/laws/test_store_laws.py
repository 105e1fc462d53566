"""What every store promises, whatever it keeps its rows in."""

import random
from dataclasses import replace

import pytest

from postgresql import url_of, wipe
from x0tta6bl4.core.store import SqlStore, StoreBusy, StoreInUse
from x0tta6bl4.errors import NotSupported, StoreError
from x0tta6bl4.mape_k.memory import MemoryStore
from x0tta6bl4.model import (
    Action,
    ActionRecord,
    ActionState,
    Candidate,
    Cause,
    Component,
    Diagnosis,
    Event,
    Incident,
    IncidentState,
    Plan,
    Symptom,
)

NODE = Component("node", "n1")
LINK = Component("link", "n1:v1-2>n2:v2-1")


class Still:
    """A clock that stands."""

    def now(self):
        return 1000.0

    def utc(self):
        return 1_800_000_000.25


@pytest.fixture(params=["memory", "sqlite", "sqlite in memory", "postgresql"])
def reopen(request, tmp_path):
    """Opens a store of one kind; called again, the store as it is after a restart (None where it forgets)."""
    opened = []

    def close():
        while opened:
            opened.pop().close()

    if request.param == "postgresql":
        server = request.getfixturevalue("server")
        url = url_of(server)
        wipe(url)
    else:
        url = {"sqlite": f"sqlite:///{tmp_path}/store.db", "sqlite in memory": "sqlite://"}.get(request.param, "")

    def open_():
        if opened and url in ("", "sqlite://"):
            return None
        close()
        store = SqlStore(url, "c", clock=Still(), random=random.Random(4)) if url else MemoryStore("c")
        if url:
            opened.append(store)
        else:
            opened.append(type("Nothing", (), {"close": staticmethod(lambda: None)}))
        return store

    yield open_
    close()


def incident(number=1, code="link-down", **changes):
    symptom = Symptom("hello-lost", LINK, 10.0 + number, 1.0, 0.5, "loss_ratio")
    cause = Cause(code, LINK, 0.875, (symptom,), ("n2 answers",), detail="two of two hellos")
    base = Incident(f"i{number}", "c", number, 20.0 + number, Diagnosis((cause,), 20.5 + number), since=10.0 + number)
    return replace(base, **changes)


def record(number=1, of=1, state=ActionState.INTENDED, **changes):
    base = ActionRecord(f"a{number}", f"i{of}", number, Action("bounce", NODE, {"s": 1.5}), state, 31.0, 30.0 + number)
    return replace(base, **changes)


def plan(number=1):
    candidate = Candidate(Action("bounce", NODE), 0.5, 0.25, 0.75, 4, "", "best")
    return Plan(f"p{number}", "i1", 25.0, (candidate,), (candidate.action,), 0.9, {"hour": 3.0, "algo": "IV"}, 2)


def event(number, **changes):
    return replace(Event(number, 40.0, "", "incident.opened", "i1", str(LINK), {"n": number, "x": (1, 2)}), **changes)


APPLIED = {"state": ActionState.APPLIED, "applied_at": 32.0}
CONFIRMED = {"state": ActionState.CONFIRMED, "applied_at": 32.0, "confirmed_at": 33.0}
CLOSED = {"state": IncidentState.CLOSED, "closed_at": 50.0}


def test_a_new_store_is_empty(reopen):
    store = reopen()
    assert list(store.open_incidents()) == []
    assert list(store.open_actions()) == []
    assert dict(store.statistics()) == {}
    assert list(store.events()) == []
    assert store.last_event() == 0


def test_what_is_committed_comes_back_equal(reopen):
    store = reopen()
    store.commit(incidents=[incident()], actions=[record()], plans=[plan()], events=[event(1)])
    for _ in range(2):
        assert list(store.open_incidents()) == [incident()]
        assert list(store.open_actions()) == [record()]
        assert list(store.events()) == [event(1, origin="c")]
        store = reopen() or store


def test_closed_incidents_and_final_actions_are_not_open_but_a_lease_is(reopen):
    store = reopen()
    states = list(ActionState)
    actions = [record(n, state=state) for n, state in enumerate(states)]
    leased = record(90, **CONFIRMED, lease=True)
    closed = incident(2, **CLOSED)
    store.commit(
        incidents=[incident(1), closed, incident(3, state=IncidentState.MITIGATED)], actions=[*actions, leased]
    )
    store = reopen() or store
    assert [one.id for one in store.open_incidents()] == ["i1", "i3"]
    unfinished = [one.id for one, state in zip(actions, states, strict=True) if not state.final]
    assert [one.id for one in store.open_actions()] == [*unfinished, "a90"]
    store.commit(actions=[replace(leased, lease=False, at=60.0)])
    assert [one.id for one in store.open_actions()] == unfinished


def test_twice_is_once(reopen):
    store = reopen()
    for _ in range(2):
        store.commit(incidents=[incident(), incident()], actions=[record()], plans=[plan(), plan()], events=[event(1)])
    store.commit(events=[event(1), event(2)])
    assert len(store.open_incidents()) == len(store.open_actions()) == 1
    assert [one.seq for one in store.events()] == [1, 2]


def test_an_action_is_never_issued_twice_and_nothing_of_the_commit_stays(reopen):
    store = reopen()
    store.commit(incidents=[incident()], actions=[record(1)])
    store = reopen() or store
    twin = replace(record(1), id="another")
    with pytest.raises(StoreError, match="issued before, as a1"):
        store.commit(incidents=[incident(2)], actions=[record(5), twin], plans=[plan()], events=[event(1)])
    with pytest.raises(StoreError, match="issued before, as a7"):
        store.commit(actions=[record(7), replace(record(7), id="a8")])
    assert [one.id for one in store.open_incidents()] == ["i1"]
    assert [one.id for one in store.open_actions()] == ["a1"]
    assert list(store.events()) == []


def test_an_event_number_stands_for_one_event(reopen):
    store = reopen()
    store.commit(events=[event(1)])
    with pytest.raises(StoreError, match=r"used before, by incident\.opened"):
        store.commit(incidents=[incident()], events=[event(2), event(1, type="incident.closed")])
    assert list(store.open_incidents()) == []
    assert [one.seq for one in store.events()] == [1]


def test_events_are_read_in_order_after_a_number_and_by_source(reopen):
    store = reopen()
    store.commit(events=[event(n) for n in (3, 1, 2)])
    store.commit(events=[event(7, origin="n4"), event(2, origin="n4")])
    assert [one.seq for one in store.events(after_seq=1)] == [2, 3]
    assert [one.seq for one in store.events(limit=2)] == [1, 2]
    assert [one.seq for one in store.events(source="n4")] == [2, 7]
    assert (store.last_event(), store.last_event("n4"), store.last_event("n5")) == (3, 7, 0)


def test_success_is_an_incident_that_closed_and_stayed_closed(reopen):
    store = reopen()
    store.commit(
        incidents=[incident()], actions=[record(1, **APPLIED), record(2), record(3, state=ActionState.REFUSED)]
    )
    assert dict(store.statistics()) == {}
    store.commit(actions=[record(1, **{**APPLIED, "state": ActionState.UNDONE})])
    assert dict(store.statistics()) == {("link-down", "bounce"): (1, 0)}
    store.commit(actions=[record(2, **CONFIRMED)])
    assert dict(store.statistics()) == {("link-down", "bounce"): (1, 0)}
    store.commit(incidents=[incident(**CLOSED)])
    store = reopen() or store
    assert dict(store.statistics()) == {("link-down", "bounce"): (2, 1)}
    store.commit(incidents=[incident(reopened=1)])
    assert dict(store.statistics()) == {("link-down", "bounce"): (2, 0)}
    store.commit(incidents=[incident(reopened=1, **CLOSED)], actions=[record(4, **CONFIRMED)])
    assert dict(store.statistics()) == {("link-down", "bounce"): (3, 1)}


def test_a_reverted_mitigation_counts_by_its_incident(reopen):
    store = reopen()
    store.commit(incidents=[incident(state=IncidentState.MITIGATED)], actions=[record(1, **CONFIRMED, lease=True)])
    store.commit(actions=[record(1, **{**CONFIRMED, "state": ActionState.UNDONE})])
    assert dict(store.statistics()) == {}
    store.commit(incidents=[incident(**CLOSED)])
    assert dict(store.statistics()) == {("link-down", "bounce"): (1, 1)}


def test_a_trial_counts_for_the_cause_that_was_believed_when_it_was_applied(reopen):
    store = reopen()
    store.commit(incidents=[incident(code="link-lossy")], actions=[record(1, **APPLIED)])
    store.commit(incidents=[incident(code="node-down")], actions=[record(1, **CONFIRMED)])
    store.commit(incidents=[incident(code="node-down", **CLOSED)])
    assert dict(store.statistics()) == {("link-lossy", "bounce"): (1, 1)}


def test_a_server_lets_one_controller_in_and_keeps_out_one_that_lost_it(server):
    from sqlalchemy import text

    url = url_of(server)
    wipe(url)
    options = {"clock": Still(), "random": random.Random(4), "busy_s": 0.2}
    with SqlStore(url, "c", **options) as first:
        first.commit(incidents=[incident()])
        with pytest.raises(StoreInUse, match="another controller"):
            SqlStore(url, "d", **options)
        with SqlStore(url, "d", reader=True, **options) as reader, reader._engine.connect() as other:
            assert len(reader.open_incidents()) == 1
            other.execute(text("LOCK TABLE incidents"))
            with pytest.raises(StoreBusy, match="locked"):
                first.commit(incidents=[incident(2)])
            other.rollback()
            # The server ends all other sessions: the lock is gone, the pool connects again, the epoch still decides.
            ended = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'x'"
            )
            other.execute(text(ended))
            other.rollback()
        first.commit(incidents=[incident(3)])
        with SqlStore(url, "d", **options) as second:
            assert [one.id for one in second.open_incidents()] == ["i1", "i3"]
            with pytest.raises(StoreInUse, match="took it over"):
                first.commit(incidents=[incident(4)])
        with pytest.raises(NotSupported, match="pg_dump"):
            first.backup(server / "backup")
