"""What a scenario's timeline means on a real mesh, without one."""

from x0tta6bl4.lab import injection, scenarios
from x0tta6bl4.lab.netlab import SILENCE, Blueprint, Impairment, blueprint_from, segments
from x0tta6bl4.lab.relay import payload_of

RING = "topology: {nodes: 6, links: [n1-n2, n2-n3, n3-n4, n4-n5, n5-n6, n6-n1, n1-n4]}"


def scenario(timeline, pairs="[n2-n3, n4-n6]", topology=RING):
    text = f"name: test\ntitle: Test\n{topology}\npairs: {pairs}\ntimeline:\n"
    return scenarios.parse(text + "".join(f"  - {entry}\n" for entry in timeline))


class Lab:
    """Notes what a timeline does to a mesh."""

    def __init__(self, made):
        self.done = []
        both = [ends for link in made.topology.links for ends in injection.ends_of(link)]
        self.paths = {ends: {"medium": Impairment(0.0, 1.0)} for ends in both}
        self.topology = made.topology

    def declared(self, end):
        return next(one for one in self.topology.node(end[0]).interfaces if one.name == end[1])

    def impair(self, ends, why, impairment):
        self.done.append(("impair", f"{ends[0][0]}>{ends[1][0]}", why, impairment))

    def hold_down(self, node, interface, on):
        self.done.append(("hold", node, interface, on))

    def set_mtu(self, node, interface, mtu):
        self.done.append(("mtu", node, interface, mtu))

    def shut_down(self, node):
        self.done.append(("shut", node))

    def boot(self, node):
        self.done.append(("boot", node))


def played(made, seed=1):
    lab, agents = Lab(made), []
    for change in injection.changes(lab, made, seed, 0.0, lambda node, alive: agents.append((node, alive))):
        lab.done.append(change.at)
        change.do()
    return lab.done, agents


def test_one_way_loss_touches_one_direction():
    entry = "{fault: link-loss, link: n2-n3, loss_ratio: 0.4, direction: forward, at: 5, until: 9}"
    done, agents = played(scenario([entry]))
    assert [one for one in done if isinstance(one, tuple)] == [
        ("impair", "n2>n3", "link-loss-0", Impairment(0.4)),
        ("impair", "n2>n3", "link-loss-0", None),
    ]
    assert agents == []


def test_a_reboot_silences_every_link_and_stops_the_agent():
    done, agents = played(scenario(["{fault: node-reboot, node: n4, at: 5, down_s: 10}"]))
    assert [at for at in done if isinstance(at, float)] == [5.0, 15.0]
    assert done.index(("shut", "n4")) < done.index(15.0) < done.index(("boot", "n4"))
    assert sum(1 for one in done if isinstance(one, tuple) and one[-1] == SILENCE) == 6
    assert agents == [("n4", False), ("n4", True)]


def test_a_broken_mtu_ends_at_what_was_declared():
    done, _agents = played(scenario(['{fault: mtu, interface: "n3:v3-2", mtu_bytes: 600, at: 1, until: 4}']))
    assert [one for one in done if isinstance(one, tuple)] == [("mtu", "n3", "v3-2", 600), ("mtu", "n3", "v3-2", 1560)]


def test_an_interface_is_held_down_and_given_back():
    done, _agents = played(scenario(['{fault: interface-down, interface: "n3:v3-2", at: 1, until: 4}']))
    assert [one for one in done if isinstance(one, tuple)] == [
        ("hold", "n3", "v3-2", True),
        ("hold", "n3", "v3-2", False),
    ]


def test_a_dead_agent_leaves_the_mesh_alone():
    done, agents = played(scenario(["{fault: agent-death, node: n3, at: 1, until: 4}"]))
    assert not [one for one in done if isinstance(one, tuple)]
    assert agents == [("n3", False), ("n3", True)]


def test_flapping_is_dead_first_in_each_period_and_ends_on_time():
    made = scenario(["{fault: link-flap, link: n2-n3, period_s: 4, duty: 0.5, at: 20, until: 29}"])
    assert injection.pulses(made.timeline[0]) == [(20, 22), (24, 26), (28, 29)]


def test_bursts_are_a_function_of_seed_and_direction():
    background = scenarios.Background(bursts_per_hour=600.0)
    one, other = (("n1", "v1-2"), ("n2", "v2-1")), (("n2", "v2-1"), ("n1", "v1-2"))
    found = injection.bursts(background, one, 7, 3600)
    assert found == injection.bursts(background, one, 7, 3600)
    assert found != injection.bursts(background, other, 7, 3600)
    assert found != injection.bursts(background, one, 8, 3600)
    assert all(0 < end - start <= 0.15 for start, end in found)
    assert 450 < len(found) < 750
    assert injection.bursts(scenarios.Background(bursts_per_hour=0.0), one, 7, 3600) == []


def test_background_loss_lies_in_its_range_and_leaves_deaf_pairs_out():
    made = scenario(["{fault: agent-death, node: n3, at: 1, until: 4}"])
    lab = Lab(made)
    deaf = next(iter(lab.paths))
    lab.paths[deaf] = {"medium": SILENCE}
    injection.apply_background(lab, made.background, 3)
    losses = [one[3].loss for one in lab.done]
    assert len(losses) == len(lab.paths) - 1
    assert all(0.0005 <= loss <= 0.002 for loss in losses)
    assert len(set(losses)) > 10


def test_a_pair_is_excused_while_an_end_is_dead_or_cut_off():
    made = scenario(
        ["{fault: node-death, node: n4, at: 5, until: 9}", "{fault: node-reboot, node: n2, at: 7, down_s: 6}"]
    )
    assert injection.excused(made, ("n4", "n6")) == [(5, 9)]
    assert injection.excused(made, ("n2", "n3")) == [(7, 13)]
    assert injection.excused(made, ("n3", "n6")) == [(7, 9)]  # only while both of n3's neighbours are gone
    assert injection.excused(made, ("n5", "n6")) == []


def test_a_partition_excuses_pairs_across_it_only():
    made = scenario(["{fault: partition, links: [n1-n6, n4-n5], at: 20, until: 60}"])
    assert injection.excused(made, ("n5", "n6")) == []
    assert injection.excused(made, ("n1", "n5")) == [(20, 60)]


def test_a_one_way_hole_or_loss_excuses_nobody():
    made = scenario(
        [
            "{fault: link-loss, link: n2-n3, loss_ratio: 0.9, at: 1, until: 2}",
            "{fault: link-blackhole, link: n1-n2, direction: forward, at: 1, until: 2}",
        ]
    )
    assert injection.excused(made, ("n2", "n3")) == []


def test_impairments_add_up():
    total = Impairment(0.5, 10, 1).and_then(Impairment(0.5, 200, 0))
    assert total == Impairment(0.75, 210, 1)
    assert Impairment().and_then(SILENCE).loss == 1.0


def test_a_radio_segment_is_one_medium_and_a_link_another():
    radio = "topology: {nodes: 4, links: [n1-n2], radio: [{name: west, members: [n2, n3, n4], pairs: {n3-n4: 1}}]}"
    made = scenario(["{fault: agent-death, node: n3, at: 1, until: 4}"], "[n2-n3]", radio)
    assert segments(made.topology) == [
        [("n1", "v1-2"), ("n2", "v2-1")],
        [("n2", "radio0"), ("n3", "radio0"), ("n4", "radio0")],
    ]


def test_a_blueprint_survives_json():
    import json

    made = scenario(["{fault: agent-death, node: n3, at: 1, until: 4}"])
    blueprint = Blueprint(made.topology, "BATMAN_V", 200)
    assert blueprint_from(json.loads(json.dumps(blueprint.document()))) == blueprint


def test_datagrams_survive_json():
    from x0tta6bl4.lab.relay import TO_NODE, notice

    assert payload_of(notice(TO_NODE, "n3", b"\0\xffabc")) == ("n3", b"\0\xffabc")
