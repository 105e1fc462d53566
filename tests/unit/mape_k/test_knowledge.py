"""Incidents: one episode each, closed only when all stayed quiet."""

from dataclasses import replace

from fakes import MeshRig
from x0tta6bl4.model import IncidentState, Window
from x0tta6bl4.network import names

LINKS = "n1-n2 n2-n3 n3-n4 n4-n1"


def broken(hold_down_s=10.0):
    rig = MeshRig(LINKS, hold_down_s=hold_down_s)
    rig.run(0.0, 1.0)
    rig.silence("n2", "n3", 1.0)
    rig.silence("n3", "n2", 1.0)
    return rig


def healed(rig):
    rig.heal("n2", "n3")
    rig.heal("n3", "n2")


def test_opens_once_and_stays_open_while_it_hurts():
    rig = broken()
    changes = rig.run(1.1, 30.0)
    assert [c.type for c in changes] == ["incident.opened"]
    (incident,) = rig.knowledge.open.values()
    assert (incident.seq, incident.origin, incident.quiet_since) == (1, "c", None)


def test_closes_after_the_hold_down():
    rig = broken()
    rig.run(1.1, 5.0)
    healed(rig)
    rig.run(5.1, 15.3)
    (incident,) = rig.knowledge.open.values()
    quiet = incident.quiet_since
    assert 5.3 <= quiet <= 5.5
    assert rig.step(quiet + 9.9) == []
    (change,) = rig.step(quiet + 10.0)
    assert (change.type, change.incident.state, change.incident.closed_at) == (
        "incident.closed",
        IncidentState.CLOSED,
        quiet + 10.0,
    )
    assert rig.knowledge.open == {}


def test_a_new_trouble_beside_an_older_one_is_an_incident_of_its_own():
    rig = MeshRig("n1-n2 n2-n3 n3-n4 n4-n1 n2-n4")
    rig.run(0.0, 1.0)
    silent = rig.since(1.0)  # the agent of n4 dies: its node forwards, and answers echoes
    for other in rig.neighbours("n4"):
        rig.set(rig.link("n4", other), hello_silence_ms=silent, large_silence_ms=None, rtt_ms=None)
        rig.set(rig.link(other, "n4"), **dict.fromkeys(rig.LINK))
        rig.set(rig.link(other, "n4"), silence_ms=10.0)
    rig.set(names.node("n4"), report_age_ms=silent)
    rig.run(1.1, 9.0)
    assert rig.verdicts() == ["agent-down node/n4"]
    rig.silence("n4", "n3", 9.0)
    rig.set(rig.link("n3", "n4"), silence_ms=rig.since(9.0))
    rig.run(9.1, 12.0)
    assert rig.verdicts() == ["agent-down node/n4", f"link-down {rig.pair('n3', 'n4')}"]


def test_never_closes_while_an_action_or_a_lease_is_held():
    rig = broken(hold_down_s=1.0)
    rig.run(1.1, 3.0)
    (incident,) = rig.knowledge.open.values()
    healed(rig)
    rig.busy = frozenset({incident.id})
    assert rig.run(3.1, 20.0) == []
    rig.busy = frozenset()
    rig.knowledge.held = frozenset({incident.id})
    assert rig.run(20.1, 25.0) == []
    rig.knowledge.held = frozenset()
    assert [c.type for c in rig.step(25.1)] == ["incident.closed"]


def test_a_relapse_within_the_hold_down_is_the_same_incident():
    rig = broken()
    rig.run(1.1, 5.0)
    healed(rig)
    rig.run(5.1, 10.0)
    rig.silence("n2", "n3", 10.0)
    rig.silence("n3", "n2", 10.0)
    assert rig.run(10.1, 20.0) == []
    (incident,) = rig.knowledge.open.values()
    assert (incident.reopened, incident.quiet_since) == (1, None)


def test_a_young_verdict_is_revised_by_more_evidence():
    rig = MeshRig(LINKS)
    rig.run(0.0, 1.0)
    rig.silence("n3", "n2", 1.0)
    rig.set(rig.link("n2", "n3"), **dict.fromkeys(rig.LINK))
    changes = rig.run(1.1, 2.0)
    (first,) = rig.knowledge.open.values()
    assert [c.type for c in changes] == ["incident.opened"]
    rig.kill("n3", 1.0)
    changes = rig.run(2.1, 4.0)
    assert [c.type for c in changes] == ["incident.updated"]
    assert rig.verdicts() == ["node-down node/n3"]
    assert next(iter(rig.knowledge.open)) == first.id


def test_a_verdict_is_not_overturned_by_one_that_rests_on_what_it_explains():
    """Beside a dead node the reports of its neighbour are missing too: no reason to call the link between them dead."""
    rig = MeshRig("n1-n2 n2-n3 n3-n4 n3-n5 n4-n5 n5-n6 n6-n1", seat="n2")
    rig.run(0, 9.9)
    rig.kill("n3", 10)
    rig.set(names.node("n5"), report_age_ms=rig.since(10))
    rig.run(10, 13)
    assert [(c.type, str(c.incident.cause.component)) for c in rig.changes] == [("incident.opened", "node/n3")]


def test_two_dead_links_of_a_node_whose_reports_are_missing_stay_two_incidents():
    rig = MeshRig("n1-n2 n2-n3 n3-n4 n4-n5 n5-n6 n6-n1 n2-n5", seat="n1")
    rig.run(0, 2.9)
    for far in ("n3", "n5"):
        rig.silence("n2", far, 3.0)
        rig.set(rig.link(far, "n2"), **dict.fromkeys(rig.LINK))
    rig.set(names.node("n2"), report_age_ms=rig.since(3.0))  # it fits both, and makes them no one trouble
    rig.run(3.0, 9.0)
    assert [c.type for c in rig.changes] == ["incident.opened", "incident.opened"]
    assert rig.verdicts() == [f"link-down {rig.pair('n2', far)}" for far in ("n3", "n5")]


def test_incidents_of_one_cause_are_merged():
    rig = MeshRig(LINKS, patience=0.0)
    rig.run(0.0, 1.0)
    for other in ("n2", "n4"):  # two links of n3 fall silent, its report is not missing yet
        rig.silence("n3", other, 1.0)
        rig.silence(other, "n3", 1.0)
    rig.run(1.1, 1.5)
    assert rig.verdicts() == [f"link-down {rig.pair('n2', 'n3')}", f"link-down {rig.pair('n3', 'n4')}"]
    rig.kill("n3", 1.0)
    changes = rig.run(1.6, 4.0)
    assert rig.verdicts() == ["node-down node/n3"]
    closed = [c.incident for c in changes if c.type == "incident.closed"]
    (kept,) = rig.knowledge.open.values()
    assert [i.note for i in closed] == [f"merged into {kept.id}"]
    assert kept.seq == 1


def test_expected_trouble_opens_nothing():
    rig = MeshRig(LINKS)
    rig.run(0.0, 1.0)
    rig.knowledge.windows.append(Window(names.node("n3"), 1.0, 20.0, "reboot"))
    rig.kill("n3", 1.0)
    assert rig.run(1.1, 19.9) == []
    assert [c.type for c in rig.run(20.0, 21.0)] == ["incident.opened"]
    assert rig.verdicts() == ["node-down node/n3"]
    assert rig.knowledge.windows == []


def test_a_window_covers_what_is_part_of_its_component_and_nothing_else():
    rig = MeshRig(LINKS)
    rig.step(0.0)
    rig.knowledge.windows.append(Window(names.node("n3"), 5.0, 9.0, "reboot"))
    assert rig.knowledge.expected(4.9) == frozenset()
    expected = rig.knowledge.expected(5.0)
    for inside in (names.node("n3"), names.interface("n3", "v3-2"), rig.link("n2", "n3"), rig.pair("n3", "n4")):
        assert inside in expected
    for outside in (names.node("n2"), names.interface("n2", "v2-3"), rig.link("n1", "n2"), rig.pair("n1", "n4")):
        assert outside not in expected
    assert rig.knowledge.expected(9.0) == frozenset()


def test_success_is_counted_by_cause_and_kind():
    rig = MeshRig(LINKS)
    for helped in (True, False, True):
        rig.knowledge.learn("link-down", "detach", helped=helped)
    rig.knowledge.learn("link-lossy", "detach", helped=False)
    assert rig.knowledge.statistics == {("link-down", "detach"): (3, 2), ("link-lossy", "detach"): (1, 0)}


def test_a_restart_takes_up_what_was_open_and_counts_on():
    rig = broken()
    rig.run(1.1, 3.0)
    (incident,) = rig.knowledge.open.values()
    again = broken()
    again.knowledge.restore([replace(incident, id="old", seq=7)], {("a", "b"): (2, 1)})
    assert again.run(1.1, 3.0) == []
    assert list(again.knowledge.open) == ["old"]
    assert again.knowledge.statistics == {("a", "b"): (2, 1)}
    again.set(again.link("n4", "n1"), loss_ratio=0.4)
    (opened,) = again.run(3.1, 5.0)
    assert opened.incident.seq == 8


def test_marks_and_closing_by_hand():
    rig = broken()
    rig.run(1.1, 3.0)
    (ident,) = rig.knowledge.open
    assert rig.knowledge.mark(ident, acted=True).incident.acted
    assert rig.knowledge.mark(ident, acted=True) is None
    assert rig.knowledge.mark("unheard-of", acted=True) is None
    assert rig.knowledge.close("unheard-of", 4.0, "x") is None
    closed = rig.knowledge.close(ident, 4.0, "false alarm").incident
    assert (closed.state, closed.note, closed.acted) == (IncidentState.CLOSED, "false alarm", True)
    assert rig.knowledge.open == {}
