"""A mitigation must not outlive what it avoids where nothing else leads there: who comes back is reached at once."""

import numpy as np
import pytest

from x0tta6bl4.core.wiring import sim_factory
from x0tta6bl4.lab import sim
from x0tta6bl4.lab.judge import judge
from x0tta6bl4.lab.scenarios import from_document

BACK_S = 24.0
RING = ["n1-n2", "n2-n3", "n3-n4", "n4-n5", "n5-n6", "n6-n1", "n1-n4"]


def mesh(links, *more, pairs=("n1-n3", "n2-n5"), algorithm="BATMAN_IV", topology=RING):
    """A mesh whose `links` are all cut for four seconds; `more` faults follow."""
    kind = {"fault": "partition", "links": links} if len(links) > 1 else {"fault": "link-blackhole", "link": links[0]}
    names = {end for link in topology for end in link.split("-")}
    return from_document(
        {
            "name": "returns",
            "title": "Back after four seconds",
            "topology": {"nodes": len(names), "links": topology},
            "algorithm": algorithm,
            "seat": "n1",
            "pairs": list(pairs),
            "background": {"loss_ratio": [0, 0]},
            "timeline": [{**kind, "at": 20, "until": BACK_S}, *more],
        }
    )


def lost_s(record, start, end):
    """Seconds' worth of probes that did not come back, of the pair that lost most."""
    worst = 0.0
    for pair in record.pairs:
        sent, rtt = np.array(pair.sent), np.array(pair.rtt_ms)
        within = (sent >= start) & (sent < end)
        worst = max(worst, float((~np.isfinite(rtt[within])).sum()) * 0.05)
    return worst


@pytest.mark.parametrize("algorithm", ["BATMAN_IV", "BATMAN_V"])
@pytest.mark.parametrize("links", [["n2-n3", "n3-n4"], ["n1-n2", "n1-n4", "n6-n1"]], ids=["node", "seat"])
def test_a_node_whose_links_all_come_back_is_reached_within_two_seconds(links, algorithm):
    scenario = mesh(links, algorithm=algorithm)
    healed = sim.run(scenario, seed=1, factory=sim_factory, until=60.0)
    alone = sim.run(scenario, seed=1, until=60.0)
    assert lost_s(healed, 20.0, BACK_S) > 3.0  # there was no way
    assert lost_s(healed, BACK_S, 60.0) < max(2.0, lost_s(alone, BACK_S, 60.0))
    if algorithm == "BATMAN_IV":  # under BATMAN_V a dead link is not left, it is made the last choice
        given_back = {event["data"]["detail"] for _, event in healed.events if event["type"] == "action.undone"}
        assert "what it avoids carries again, and no other way leads there" in given_back


def test_who_comes_back_does_not_leave_the_links_that_come_back_last():
    healed = sim.run(mesh(["n2-n3", "n3-n4"]), seed=1, factory=sim_factory, until=60.0)
    assert {step.node for step in healed.steps if step.what == "detach"} == {"n2", "n4"}


def test_where_another_way_leads_there_what_comes_back_is_not_used_at_once():
    scenario = mesh(["n2-n3"])
    healed = sim.run(scenario, seed=1, factory=sim_factory, until=60.0)
    attached = [step.at for step in healed.steps if step.what == "attach"]
    assert attached
    assert min(attached) > BACK_S + 9.0  # the hold
    assert lost_s(healed, BACK_S, 60.0) < 0.5


def test_a_dead_link_in_a_part_that_was_cut_off_is_a_trouble_of_its_own():
    triangle = ["n1-n2", "n2-n3", "n3-n1"]
    dead = {"fault": "link-blackhole", "link": "n2-n3", "at": 31, "until": 61}
    record = sim.run(mesh(["n1-n2", "n3-n1"], dead, pairs=("n2-n3",), topology=triangle), seed=1, factory=sim_factory)
    cut, link = judge(record).faults
    assert (cut.verdict, link.verdict) == ("partition partition/n2,n3", "link-down adjacency/n2:v2-3<>n3:v3-2")
    assert link.ttd_s < 1.0
    assert link.ttr_s < 3.0
    opened = [event["data"]["code"] for _, event in record.events if event["type"] == "incident.opened"]
    assert opened == ["partition", "link-down"]
