"""What readers see of what the loop's thread publishes."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from hand_made import action, event, incident, iteration, plan, troubled, view
from x0tta6bl4.core import documents
from x0tta6bl4.core.readers import Readers
from x0tta6bl4.model import ActionState, IncidentState


def test_nothing_before_the_first_pass():
    readers = Readers()
    assert readers.snapshot() is None
    assert readers.events(0) == ([], 0)
    assert readers.incidents() == []


def test_an_incident_gathers_its_plans_actions_and_events():
    readers = Readers()
    readers.publish(troubled(), view())
    later = action(ActionState.CONFIRMED, lease=True, detail="30 of 30 probes answered")
    readers.publish(
        iteration(2, 12.0, incidents=(incident(),), actions=(later,), events=(event(3, "action.confirmed"),)),
        view(12.0),
    )
    file = readers.incident("i1")
    assert [a.state for a in file.actions] == [ActionState.CONFIRMED]
    assert [n.number for n in file.events] == [1, 2, 3]
    assert file.plans == (plan(),)
    assert readers.snapshot().passes == 2


def test_oldest_closed_incident_is_forgotten_but_never_an_open_one():
    readers = Readers(incidents_max=2)
    readers.publish(iteration(incidents=(incident("old"),)), view())
    closed = [incident(name, IncidentState.CLOSED, 11.0) for name in ("a", "b")]
    readers.publish(iteration(2, incidents=tuple(closed)), view())
    assert [f.incident.id for f in readers.incidents()] == ["b", "old"]


@given(st.integers(1, 40), st.integers(0, 50), st.integers(1, 10))
def test_the_ring_gives_the_newest_events_and_counts_the_lost(count, after, size):
    readers = Readers(events_max=size)
    readers.publish(iteration(events=tuple(event(n) for n in range(1, count + 1))), view())
    got, lost = readers.events(after, limit=100)
    kept = range(max(1, count - size + 1), count + 1)
    assert [n.number for n in got] == [n for n in kept if n > after]
    assert lost == (max(0, kept[0] - after - 1) if after < count else 0)


def test_reading_while_publishing_sees_whole_passes_only():
    readers = Readers(events_max=16)
    done = threading.Event()

    def publish():
        for number in range(1, 300):
            readers.publish(iteration(number, events=(event(number),)), view(float(number)))
        done.set()

    thread = threading.Thread(target=publish)
    thread.start()
    while not done.is_set():
        snapshot = readers.snapshot()
        assert snapshot is None or snapshot.view.at == snapshot.iteration.number
        numbers = [n.number for n in readers.events(0)[0]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
    thread.join()
    assert readers.last_number() == 299


def test_documents_carry_no_nan_and_no_monotonic_time():
    readers = Readers()
    readers.publish(troubled(), view())
    told = documents.status(readers.snapshot(), readers.incidents())
    assert told["links"][1]["loss_ratio"] is None
    assert told["nodes"] == {"suspect": 1, "unknown": 1, "well": 1}
    assert told["incidents_open"][0]["detect_s"] == 0.5
    found = documents.incident(readers.incident("i1"), 10.5)
    assert found["evidence"]["symptoms"][0]["since_age_s"] == 1.0
    assert found["timeline"][0]["age_s"] == 0.5
    assert found["plans"][0]["candidates"][1]["refused_by"] == "cut-vertex"


def test_a_node_lists_what_concerns_it():
    readers = Readers()
    readers.publish(troubled(), view())
    assert [i["id"] for i in documents.node(readers.snapshot(), "n2", readers.incidents())["incidents_open"]] == ["i1"]
    third = documents.node(readers.snapshot(), "n3", readers.incidents())
    assert (third["incidents_open"], third["risks"][0]["code"]) == ([], "fragile-primary")
    assert documents.node(readers.snapshot(), "n9", readers.incidents()) is None
