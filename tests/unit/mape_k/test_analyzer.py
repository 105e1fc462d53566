"""Root cause on the graph: many symptoms, one verdict, at the right place."""

import pytest

from fakes import MeshRig
from x0tta6bl4.model import Cause, Component
from x0tta6bl4.network import names

RING = "n1-n2 n2-n3 n3-n4 n4-n5 n5-n6 n6-n1"
CHORD = f"{RING} n2-n5"


def rig_of(links=CHORD, **options):
    rig = MeshRig(links, **options)
    rig.run(0.0, 3.0)  # what is usual is learned
    assert rig.active == ()
    return rig


def test_a_dead_node_explains_its_dead_links():
    rig = rig_of()
    rig.kill("n3", 3.0)
    changes = rig.run(3.0, 6.0)
    assert rig.verdicts() == ["node-down node/n3"]
    assert [c.type for c in changes].count("incident.opened") == 1
    (incident,) = rig.knowledge.open.values()
    explained = {str(s.component) for s in incident.cause.explains if s.code == "link-silent"}
    assert explained == {str(rig.link("n3", "n2")), str(rig.link("n3", "n4"))}
    assert incident.opened_at <= 3.0 + 1.0
    assert incident.since == pytest.approx(3.0, abs=0.01)


def test_a_broken_interface_explains_its_links_both_ways():
    rig = rig_of()
    port = names.interface("n3", "v3-4")
    rig.set(port, up=0)
    for a, b in (("n3", "n4"), ("n4", "n3")):
        rig.silence(a, b, 3.0)
    rig.run(3.1, 6.0)
    assert rig.verdicts() == [f"interface-down {port}"]


def test_a_low_mtu_explains_that_large_frames_do_not_pass():
    rig = rig_of()
    port = names.interface("n3", "v3-4")
    rig.set(port, mtu_bytes=1400, mtu_short_bytes=160)
    rig.set(rig.link("n4", "n3"), large_silence_ms=rig.since(3.0))
    rig.run(3.1, 8.0)
    assert {s.code for s in rig.active} == {"mtu-short", "link-clipped"}
    assert rig.verdicts() == [f"interface-mtu-low {port}"]


def test_large_frames_that_do_not_pass_without_a_known_reason():
    rig = rig_of()
    rig.set(rig.link("n4", "n3"), large_silence_ms=rig.since(3.0))
    rig.run(3.1, 8.0)
    assert rig.verdicts() == [f"link-clipped {rig.link('n4', 'n3')}"]


def test_a_dead_link_is_named_as_the_pair():
    rig = rig_of()
    rig.silence("n2", "n3", 3.0)
    rig.silence("n3", "n2", 3.0)
    rig.run(3.1, 6.0)
    assert rig.verdicts() == [f"link-down {rig.pair('n2', 'n3')}"]


def test_one_dead_direction_is_named_as_the_link():
    rig = rig_of()
    rig.silence("n2", "n3", 3.0)
    rig.run(3.1, 6.0)
    assert rig.verdicts() == [f"link-down {rig.link('n2', 'n3')}"]


@pytest.mark.parametrize(("readings", "code"), [({"loss_ratio": 0.4}, "link-lossy"), ({"rtt_ms": 202.0}, "link-slow")])
def test_a_bad_pair_is_one_incident(readings, code):
    rig = rig_of()
    rig.set(rig.link("n2", "n3"), **readings)
    rig.set(rig.link("n3", "n2"), **readings)
    rig.run(3.1, 6.0)
    assert rig.verdicts() == [f"{code} {rig.pair('n2', 'n3')}"]


def test_one_way_loss_is_named_with_its_direction():
    rig = rig_of()
    rig.set(rig.link("n3", "n2"), loss_ratio=0.4)
    rig.run(3.1, 6.0)
    assert rig.verdicts() == [f"link-lossy {rig.link('n3', 'n2')}"]


def test_a_dead_agent_on_a_live_node_is_not_a_dead_node():
    rig = rig_of()
    for other in rig.neighbours("n3"):
        rig.set(rig.link("n3", other), hello_silence_ms=rig.since(3.0), loss_ratio=None, large_silence_ms=None)
        rig.set(rig.link(other, "n3"), **dict.fromkeys(rig.LINK))
    rig.set(names.node("n3"), report_age_ms=rig.since(3.0))
    rig.run(3.1, 8.0)
    assert rig.verdicts() == ["agent-down node/n3"]


def test_a_node_whose_reports_do_not_arrive_but_whose_hellos_do_is_unreachable():
    rig = rig_of()
    rig.set(names.node("n3"), report_age_ms=rig.since(3.0))
    rig.run(3.1, 4.4)
    assert rig.verdicts() == []
    rig.run(4.5, 14.0)
    assert rig.verdicts() == ["node-unreachable node/n3"]


def test_two_faults_at_once_are_two_incidents():
    rig = rig_of()
    for a, b in (("n2", "n3"), ("n5", "n6")):
        rig.silence(a, b, 3.0)
        rig.silence(b, a, 3.0)
    rig.run(3.1, 6.0)
    assert rig.verdicts() == [f"link-down {rig.pair('n2', 'n3')}", f"link-down {rig.pair('n5', 'n6')}"]


def cut_off(rig, border, away, t):
    """The seat hears nothing of `away` any more; only its own side of the border still measures."""
    for near, far in border:
        rig.silence(far, near, t)
        rig.set(rig.link(near, far), **dict.fromkeys(rig.LINK))
    for node in away:
        rig.set(names.node(node), report_age_ms=rig.since(t))
        for other in rig.neighbours(node):
            if other in away:
                rig.set(rig.link(node, other), **dict.fromkeys(rig.LINK))


def test_a_node_of_which_only_reports_are_missing_is_not_called_dead():
    rig = rig_of()
    for node in ("n2", "n3"):  # nobody beside them is heard either
        rig.set(names.node(node), report_age_ms=rig.since(3.0))
        for other in rig.neighbours(node):
            rig.set(rig.link(node, other), **dict.fromkeys(rig.LINK))
            rig.set(rig.link(other, node), **dict.fromkeys(rig.LINK))
    rig.run(3.1, 9.0)
    assert not any("node-down" in verdict for verdict in rig.verdicts())


def test_a_last_report_from_before_the_fault_speaks_against_nothing():
    rig = rig_of()
    rig.set(names.node("n3"), report_age_ms=rig.since(2.5))
    rig.set(rig.link("n2", "n3"), **dict.fromkeys(rig.LINK))  # nobody tells how n3 hears since 2.9
    rig.silence("n3", "n2", 3.0)
    rig.run(3.1, 5.0)
    assert f"link-down {rig.pair('n2', 'n3')}" in rig.verdicts()


def test_what_is_about_to_clear_is_no_ground_for_a_verdict():
    rig = rig_of()
    rig.silence("n2", "n3", 3.0)
    rig.silence("n3", "n2", 3.0)
    rig.run(3.1, 3.4)  # raised now
    rig.heal("n2", "n3")
    rig.heal("n3", "n2")
    rig.run(3.45, 6.0)
    assert rig.changes == []


def test_evidence_that_keeps_speaking_against_a_verdict_overturns_it():
    rig = rig_of()
    rig.set(rig.link("n2", "n3"), **dict.fromkeys(rig.LINK))  # how n3 hears is not known yet
    rig.silence("n3", "n2", 3.0)
    rig.run(3.1, 6.0)
    assert rig.verdicts() == [f"link-down {rig.pair('n2', 'n3')}"]
    rig.heal("n2", "n3")
    rig.run(6.1, 7.0)
    assert rig.verdicts() == [f"link-down {rig.pair('n2', 'n3')}"]  # it may be that one end told of a recovery first
    rig.run(7.1, 9.0)
    assert rig.verdicts() == [f"link-down {rig.link('n3', 'n2')}"]


def test_a_partition_is_named_with_its_cut():
    rig = rig_of(RING)
    cut_off(rig, [("n2", "n3"), ("n5", "n4")], ["n3", "n4"], 3.0)
    rig.run(3.1, 7.0)
    assert rig.verdicts() == ["partition partition/n3,n4"]
    (incident,) = rig.knowledge.open.values()
    assert incident.cause.detail == "cut at n2-n3, n4-n5"


def joined(rig, border, away):
    """The cut is healed: everything is measured again, and well."""
    for near, far in border:
        rig.heal(near, far)
        rig.heal(far, near)
        rig.set(rig.link(near, far), loss_ratio=0.0)
    for node in away:
        rig.set(names.node(node), report_age_ms=100.0)
        for other in rig.neighbours(node):
            rig.heal(node, other)
            rig.set(rig.link(node, other), loss_ratio=0.0)


BORDER, AWAY = [("n2", "n3"), ("n5", "n4")], ["n3", "n4"]


def back_again():
    """A ring of which a part was cut off from 3 s to 7 s; it is 7 s."""
    rig = rig_of(RING)
    cut_off(rig, BORDER, AWAY, 3.0)
    rig.run(3.1, 7.0)
    joined(rig, BORDER, AWAY)
    return rig


def test_trouble_in_a_part_that_was_cut_off_is_another_one():
    rig = back_again()
    rig.run(7.1, 9.0)
    (cut,) = rig.knowledge.open.values()
    assert cut.quiet_since is not None
    for one, other in (("n3", "n4"), ("n4", "n3")):
        rig.silence(one, other, 9.0)
    rig.run(9.1, 10.5)
    assert rig.verdicts() == [f"link-down {rig.pair('n3', 'n4')}", "partition partition/n3,n4"]
    rig.run(10.6, 20.0)
    assert rig.verdicts() == [f"link-down {rig.pair('n3', 'n4')}"]  # what is over closes in its time


def test_a_part_that_is_reached_again_over_one_link_is_no_longer_cut_off():
    rig = back_again()
    rig.silence("n3", "n2", 3.0)
    rig.silence("n2", "n3", 3.0)  # this one stays dead
    changes = rig.run(7.1, 12.0)
    assert rig.verdicts() == [f"link-down {rig.pair('n2', 'n3')}"]
    assert [change.type for change in changes] == ["incident.updated"]


def test_a_part_that_is_cut_off_again_is_the_same_trouble():
    rig = back_again()
    rig.run(7.1, 9.0)
    cut_off(rig, BORDER, AWAY, 9.0)
    assert rig.run(9.1, 15.0) == []
    (incident,) = rig.knowledge.open.values()
    assert incident.reopened == 1


def test_a_cause_that_is_about_to_clear_is_nothing_to_act_on():
    rig = rig_of()
    for one, other in (("n2", "n3"), ("n3", "n2")):
        rig.silence(one, other, 3.0)
    rig.run(3.1, 6.0)
    (incident,) = rig.knowledge.open.values()
    assert rig.analyzer.stands(incident.cause, 6.0)
    rig.heal("n2", "n3")
    rig.step(6.1)
    assert ("link-silent", rig.link("n2", "n3")) in {(s.code, s.component) for s in rig.active}
    assert not rig.analyzer.stands(incident.cause, 6.1)


def test_a_lone_dead_node_is_no_partition_though_two_borders_are_dead():
    rig = rig_of(RING)
    rig.kill("n4", 3.0)
    rig.run(3.1, 7.0)
    assert rig.verdicts() == ["node-down node/n4"]


def test_without_a_seat_nobody_is_cut_off():
    rig = rig_of(RING)
    rig.analyzer.seat = None
    cut_off(rig, [("n2", "n3"), ("n5", "n4")], ["n3", "n4"], 3.0)
    rig.run(3.1, 7.0)
    assert not any("partition" in v for v in rig.verdicts())


def test_the_verdict_waits_for_what_is_not_known_yet():
    rig = rig_of()
    rig.silence("n3", "n2", 3.0)
    rig.set(rig.link("n2", "n3"), **dict.fromkeys(rig.LINK))  # how n3 hears n2 nobody says
    rig.run(3.1, 3.4)
    assert rig.verdicts() == []
    assert rig.analyzer.next_look is not None
    raised = 3.4
    settled = raised + rig.catalog.cause["link-down", "adjacency"].settle_s
    assert rig.analyzer.next_look == pytest.approx(settled)
    rig.step(settled - 0.05)
    assert rig.verdicts() == []
    rig.step(settled)
    assert rig.verdicts() != []


def test_an_impatient_loop_waits_less():
    opened = []
    for patience in (1.0, 0.25):
        rig = rig_of(patience=patience)
        rig.silence("n3", "n2", 3.0)
        rig.set(rig.link("n2", "n3"), **dict.fromkeys(rig.LINK))
        rig.run(3.05, 6.0, every=0.05)
        (incident,) = rig.knowledge.open.values()
        opened.append(incident.opened_at)
    assert opened[0] - opened[1] == pytest.approx(0.3, abs=0.06)


def test_newer_evidence_contradicts():
    rig = rig_of()
    rig.silence("n2", "n3", 3.0)
    rig.silence("n3", "n2", 3.0)
    rig.run(3.1, 5.0)
    (incident,) = rig.knowledge.open.values()
    assert rig.analyzer.stands(incident.cause, 5.0)
    rig.heal("n3", "n2")
    rig.run(5.1, 5.5)
    assert not rig.analyzer.stands(incident.cause, 5.5)
    assert rig.analyzer.contradicted(incident.cause, 5.5)
    rig.heal("n2", "n3")
    rig.run(5.6, 6.5)
    assert not rig.analyzer.contradicted(incident.cause, 6.5)  # nothing of it is left: that is recovery


@pytest.mark.parametrize("ways", [[("n2", "n3"), ("n3", "n2")], [("n3", "n2")]])
def test_a_link_that_loses_packets_and_then_all_of_them_is_called_dead(ways):
    rig = rig_of()
    for way in ways:
        rig.set(rig.link(*way), loss_ratio=0.4)
    rig.run(3.1, 8.0)
    place = rig.pair("n2", "n3") if len(ways) == 2 else rig.link("n3", "n2")
    assert rig.verdicts() == [f"link-lossy {place}"]
    for way in ways:
        rig.silence(*way, 8.0)
        rig.set(rig.link(*way), loss_ratio=1.0)
    changes = rig.run(8.1, 12.0)
    assert rig.verdicts() == [f"link-down {place}"]
    assert [c.type for c in changes] == ["incident.updated"]  # it is the same trouble


def test_a_lossy_link_that_is_silent_for_a_moment_is_still_called_lossy():
    rig = rig_of()
    for way in (("n2", "n3"), ("n3", "n2")):
        rig.set(rig.link(*way), loss_ratio=0.4)
    rig.run(3.1, 8.0)
    for way in (("n2", "n3"), ("n3", "n2")):
        rig.set(rig.link(*way), silence_ms=rig.since(8.0))
    rig.run(8.1, 9.0)
    for way in (("n2", "n3"), ("n3", "n2")):
        rig.set(rig.link(*way), silence_ms=10.0)
    rig.run(9.1, 15.0)
    assert rig.verdicts() == [f"link-lossy {rig.pair('n2', 'n3')}"]


def test_causes_that_no_rule_describes_stand_and_cover_what_they_touch():
    rig = rig_of(RING)
    away = Cause("partition", Component("partition", "n3,n4"), 0.9, (), behind=(names.node("n3"), names.node("n4")))
    assert rig.analyzer.stands(away, 3.0)
    assert not rig.analyzer.contradicted(away, 3.0)
    covered = rig.analyzer.covers(away)
    assert ("link-silent", rig.link("n2", "n3")) in covered
    assert ("node-silent", names.node("n4")) in covered
    assert ("link-silent", rig.link("n1", "n2")) not in covered


def test_the_verdict_lists_what_else_it_could_be_and_how_sure_it_is():
    rig = rig_of()
    rig.silence("n2", "n3", 3.0)
    rig.silence("n3", "n2", 3.0)
    rig.run(3.1, 6.0)
    (incident,) = rig.knowledge.open.values()
    others = [(c.code, c.component) for c in incident.diagnosis.causes[1:]]
    assert ("link-down", rig.link("n2", "n3")) in others
    assert len(others) <= 4
    assert all(0.0 < c.confidence <= 1.0 for c in incident.diagnosis.causes)


def test_where_nobody_behind_a_dead_link_is_heard_the_node_there_is_among_the_first_three():
    rig = rig_of(seat="n2")
    rig.silence("n3", "n2", 3.0)
    rig.set(rig.link("n3", "n2"), loss_ratio=1.0)  # lossy too: the same place
    for ends in (("n2", "n3"), ("n3", "n4"), ("n4", "n3")):  # what n3 and n4 would tell does not arrive
        rig.set(rig.link(*ends), **dict.fromkeys(rig.LINK))
    for node in ("n3", "n4"):
        rig.set(names.node(node), report_age_ms=rig.since(3.0))
    rig.run(3.1, 4.2)
    (incident,) = rig.knowledge.open.values()
    assert incident.cause.component == rig.pair("n2", "n3")
    places = [c.component for c in incident.diagnosis.causes]
    assert rig.pair("n2", "n3") not in places[1:]
    assert ("node-down", names.node("n3")) in [(c.code, c.component) for c in incident.diagnosis.causes[:3]]


def test_a_dead_agent_with_a_dead_link_is_both_and_no_dead_node():
    rig = rig_of()
    near, far = rig.neighbours("n3")[:2]
    for other in (near, far):
        rig.set(rig.link("n3", other), hello_silence_ms=rig.since(3.0), loss_ratio=None, large_silence_ms=None)
        rig.set(rig.link(other, "n3"), **dict.fromkeys(rig.LINK))
    rig.set(rig.link("n3", near), silence_ms=rig.since(3.0))
    rig.set(names.node("n3"), report_age_ms=rig.since(3.0))
    rig.run(3.1, 8.0)
    assert sorted(rig.verdicts()) == ["agent-down node/n3", f"link-down {rig.pair('n3', near)}"]


def test_where_every_link_is_silent_the_node_is_dead_not_its_agent():
    rig = rig_of()
    for other in rig.neighbours("n3"):
        rig.set(rig.link("n3", other), hello_silence_ms=rig.since(3.0), silence_ms=rig.since(3.0), loss_ratio=None)
        rig.set(rig.link(other, "n3"), **dict.fromkeys(rig.LINK))
    rig.set(names.node("n3"), report_age_ms=rig.since(3.0))
    rig.run(3.1, 8.0)
    assert rig.verdicts() == ["node-down node/n3"]


def test_a_report_that_is_back_does_not_decide_between_two_causes():
    """n5 is heard again and tells that n4 is silent: that n5 was not heard makes the link no likelier than the node."""
    rig = MeshRig("n1-n2 n2-n3 n3-n4 n4-n5 n5-n1")
    rig.run(0.0, 2.0)
    rig.kill("n4", 2.0)
    rig.set(rig.link("n4", "n5"), **dict.fromkeys(rig.LINK))
    rig.set(names.node("n5"), report_age_ms=rig.since(2.0))
    rig.run(2.1, 5.0)
    rig.silence("n4", "n5", 2.0)
    rig.set(names.node("n5"), report_age_ms=100.0)
    rig.step(5.1)
    free = {("link-silent", rig.link("n4", "n5")), ("node-silent", names.node("n5"))}
    assert free <= {(symptom.code, symptom.component) for symptom in rig.active}
    (diagnosis,) = rig.analyzer.diagnose(rig.active, free, 5.4)
    assert (diagnosis.cause.code, diagnosis.cause.component) == ("node-down", names.node("n4"))


def test_a_way_that_is_silent_is_dead_not_lossy_though_the_other_lived_a_little_longer():
    rig = rig_of()
    rig.silence("n3", "n2", 3.0)
    rig.run(3.1, 3.3)
    rig.set(rig.link("n2", "n3"), **dict.fromkeys(rig.LINK))  # n3 is cut off: that was its last word
    rig.set(rig.link("n3", "n2"), loss_ratio=0.6)
    rig.run(3.4, 6.0)
    assert rig.verdicts() == [f"link-down {rig.link('n3', 'n2')}"]
