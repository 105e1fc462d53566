"""What agents may do alone and what only the controller does, which sees the whole; what they do together."""

import numpy as np
import pytest

from x0tta6bl4.catalog import Autonomy
from x0tta6bl4.core.wiring import LAB_LIMITS, Participants, sim_factory
from x0tta6bl4.lab import sim
from x0tta6bl4.lab.judge import judge
from x0tta6bl4.lab.scenarios import from_document, load
from x0tta6bl4.mape_k.guards import Limits


def ring(nodes, *lossy, algorithm):
    """A ring, with links that lose a third of everything from 20 s to 60 s."""
    names = [f"n{i}" for i in range(1, nodes + 1)]
    links = [f"{one}-{other}" for one, other in zip(names, [*names[1:], names[0]], strict=True)]
    timeline = [{"fault": "link-loss", "link": k, "loss_ratio": 0.3, "at": 20, "until": 60} for k in lossy]
    return from_document(
        {
            "name": "ring",
            "title": "A ring",
            "topology": {"nodes": nodes, "links": links},
            "algorithm": algorithm,
            "seat": "n1",
            "pairs": ["n2-n3", "n5-n6", "n1-n4"],
            "timeline": timeline,
        }
    )


def answered(record, start, end):
    """Share of probes that came back, for each pair."""
    shares = []
    for pair in record.pairs:
        sent, rtt = np.array(pair.sent), np.array(pair.rtt_ms)
        within = (sent >= start) & (sent < end)
        shares.append(float(np.isfinite(rtt[within]).mean()))
    return shares


@pytest.mark.parametrize("algorithm", ["BATMAN_IV", "BATMAN_V"])
def test_two_lossy_links_of_a_ring_are_not_both_left(algorithm):
    record = sim.run(ring(6, "n2-n3", "n5-n6", algorithm=algorithm), seed=1, factory=sim_factory, until=60.0)
    assert not [s for s in record.steps if s.what in ("detach", "block")], "each is the other's only way round"
    for start in range(20, 60, 5):
        assert min(answered(record, start, start + 5)) > 0.2


@pytest.mark.parametrize("algorithm", ["BATMAN_IV", "BATMAN_V"])
def test_one_lossy_link_of_a_long_ring_is_left_at_the_controllers_order(algorithm):
    record = sim.run(ring(8, "n2-n3", algorithm=algorithm), seed=1, factory=sim_factory)
    (fault,) = judge(record).faults
    assert fault.recovered
    assert fault.ttr_s < 6
    ordered = {
        e["data"]["kind"] for _, e in record.events if e["type"] == "action.applied" and e["origin"] == "controller"
    }
    assert ordered == {"detach-interface"}
    assert record.settings_start == record.settings_end


@pytest.mark.parametrize("name", ["blackhole", "node-death", "interface-down-primary", "mtu-receiver", "loss-40"])
@pytest.mark.parametrize("level", [Autonomy.ADVISE, Autonomy.APPROVE])
def test_where_nothing_is_done_by_itself_a_remedy_is_named(name, level):
    limits = Limits(autonomy_default=level, actions_max=40)
    record = sim.run(load(name), seed=3, factory=Participants(threads=False, limits=limits), until=40.0)
    plans = [e["data"]["chosen"] for _, e in record.events if e["type"] == "plan.made"]
    waiting = [e for _, e in record.events if e["type"] == "action.awaiting_approval"]
    assert plans
    assert bool(waiting) == (level is Autonomy.APPROVE)
    assert record.steps == []


@pytest.mark.parametrize(("most", "left"), [(40, {"n2", "n3", "n5", "n6"}), (2, {"n2", "n3"})])
def test_the_storm_brake_holds_all_agents(most, left):
    limits = Limits(autonomy_default=Autonomy.ACT, actions_max=most)
    factory = Participants(threads=False, limits=limits, agent_limits=LAB_LIMITS)
    faults = [{"fault": "link-blackhole", "link": k, "at": at, "until": 50} for k, at in (("n2-n3", 20), ("n5-n6", 30))]
    record = sim.run(load("blackhole").variant(timeline=faults), seed=3, factory=factory, until=45.0)
    assert {s.node for s in record.steps if s.what in ("detach", "block")} == left
    braked = [e["data"]["braked"] for _, e in record.events if e["type"] == "brake.changed"]
    assert braked == ([True] if most == 2 else [])
