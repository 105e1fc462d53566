"""Scenarios: the built-in ones are what the score expects, and every mistake gets a message a person can act on."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.lab import faults
from x0tta6bl4.lab.document import schema
from x0tta6bl4.lab.scenarios import Scenario, builtin, from_document, load, load_dir, parse

GOOD = """
name: t
title: a test
topology:
  nodes: 4
  links: [n1-n2, n2-n3, {between: n3-n4, delay_ms: 3, loss_ratio: 0.01, interfaces: [eth1, eth2]}, n4-n1]
pairs: [n1-n3]
timeline:
  - {fault: link-blackhole, link: n2-n3, at: 20, until: 60}
"""


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


ENTRY = "{fault: link-blackhole, link: n2-n3, at: 20, until: 60}"
MISTAKES = [
    # (text, field, what the message says is allowed)
    (changed("name: t", "name: [t"), "f.yaml: line", "YAML"),
    (changed("name: t", "name: t\nname: u"), "f.yaml: line 3", "YAML"),
    (changed("name: t", "name: 2020-13-45"), "f.yaml", "YAML without such values"),
    (changed("name: t", "name: Über"), "f.yaml: name", "lower-case"),
    (changed("title: a test", ""), "f.yaml: title", "required: one line"),
    (changed("name: t", "name: t\nalgorthm: BATMAN_V"), "f.yaml: algorthm", "algorithm"),
    (changed("name: t", "name: t\nalgorithm: OLSR"), "f.yaml: algorithm", "BATMAN_IV, BATMAN_V"),
    (changed("name: t", "name: t\ntuning: best"), "f.yaml: tuning", "default, tuned"),
    (changed("name: t", "name: t\nprimary: second"), "f.yaml: primary", "dummy, first"),
    (changed("name: t", "name: t\nmanagement: wifi"), "f.yaml: management", "inband, oob"),
    (changed("name: t", "name: t\nseat: n9"), "f.yaml: seat", "n1, n2, n3, n4"),
    (changed("name: t", "name: t\nseed: -1"), "f.yaml: seed", "0 to"),
    (changed("name: t", "name: t\n7: seven"), "f.yaml:", "keys that are text"),
    (changed("nodes: 4", "nodes: 1"), "f.yaml: topology.nodes", "2 to 254"),
    (changed("nodes: 4", "nodes: 4.5"), "f.yaml: topology.nodes", "2 to 254"),
    (changed("nodes: 4", "nodes: 5"), "f.yaml: topology", "a connected mesh"),
    (changed("nodes: 4", "nodes: 3"), "f.yaml: topology.links[2]", "n1, n2, n3"),
    (changed("n4-n1]", "n4-n4]"), "f.yaml: topology.links[3]", "two different nodes"),
    (changed("n4-n1]", "n4 n1]"), "f.yaml: topology.links[3]", "such as n1-n2"),
    (changed("n4-n1]", "n4-n1, n1-n2]"), "f.yaml: topology.links", "each name once"),
    (changed("n4-n1]", "n4-n1, {between: n1-n2, name: second}]"), "f.yaml: topology.links", "an interface name"),
    (changed("[eth1, eth2]", "[dum0, eth2]"), "f.yaml: topology.links", "the dummy's"),
    (changed("[eth1, eth2]", "[eth1]"), "f.yaml: topology.links[2].interfaces", "each end"),
    (changed("delay_ms: 3", "delay_ms: .nan"), "f.yaml: topology.links[2].delay_ms", "finite"),
    (changed("delay_ms: 3", "delay_ms: .inf"), "f.yaml: topology.links[2].delay_ms", "finite"),
    (changed("delay_ms: 3", "delay: 3"), "f.yaml: topology.links[2].delay", "delay_ms"),
    (changed("loss_ratio: 0.01", "loss_ratio: 2"), "f.yaml: topology.links[2].loss_ratio", "0 to 1"),
    (changed("[n1-n3]", "[n1-n9]"), "f.yaml: pairs[0]", "n1, n2"),
    (changed("[n1-n3]", "[]"), "f.yaml: pairs", "at least one"),
    (changed("[n1-n3]", "[n1-n3, n1-n3]"), "f.yaml: pairs", "each name once"),
    (changed("[n1-n3]", "[n1-n1]"), "f.yaml: pairs[0]", "two different"),
    (changed("at: 20, until: 60", "at: 60, until: 20"), "f.yaml: timeline[0].until", "after at"),
    (changed("at: 20, until: 60", "at: 20, until: 20"), "f.yaml: timeline[0].until", "after at"),
    (changed("at: 20", "at: -1"), "f.yaml: timeline[0].at", "seconds"),
    (changed("at: 20, until: 60", "at: 20"), "f.yaml: timeline[0].until", "required for link-blackhole"),
    (changed("link: n2-n3", "link: n1-n3"), "f.yaml: timeline[0].link", "a link of this topology"),
    (changed("link: n2-n3,", "node: n3,"), "f.yaml: timeline[0].link", "required for link-blackhole"),
    (changed("link: n2-n3", "link: n2-n3, loss_ratio: 0.5"), "f.yaml: timeline[0].loss_ratio", "only"),
    (changed("link-blackhole", "link-eaten"), "f.yaml: timeline[0].fault", "link-blackhole"),
    (changed("link-blackhole", "link-loss"), "f.yaml: timeline[0].loss_ratio", "required for link-loss"),
    (changed("link-blackhole", "link-flap, direction: forward"), "f.yaml: timeline[0].period_s", "required"),
    (
        changed(ENTRY, "{fault: mtu, interface: 'n1:v9', mtu_bytes: 600, at: 1, until: 2}"),
        "timeline[0].interface",
        "n1:v1-2",
    ),
    (
        changed(ENTRY, "{fault: interface-down, interface: 'n1:dum0', at: 1, until: 2}"),
        "timeline[0].interface",
        "n1:v1-2",
    ),
    (changed(ENTRY, "{fault: node-death, node: n7, at: 1, until: 2}"), "f.yaml: timeline[0].node", "n1, n2"),
    (changed(ENTRY, "{fault: node-reboot, node: n2, at: 1}"), "timeline[0].down_s", "required"),
    (changed(ENTRY, "{fault: node-reboot, node: n2, at: 1, down_s: 9, until: 2}"), "timeline[0].until", "only"),
    (changed(ENTRY, "{fault: partition, links: [n1-n2], at: 1, until: 2}"), "timeline[0].links", "parts the mesh"),
    (
        changed(ENTRY, ENTRY.replace("}", ", id: a}") + "\n  - " + ENTRY.replace("}", ", id: a}")),
        "timeline",
        "each name once",
    ),
    (
        changed("name: t", "name: t\nbackground: {loss_ratio: [0.5, 0.1]}"),
        "f.yaml: background.loss_ratio",
        "least <= most",
    ),
    (changed("name: t", "name: t\nbackground: {burst_ms: 500}"), "f.yaml: background.burst_ms", "150"),
    ("", "f.yaml", "a mapping"),
    ("- a\n- b\n", "f.yaml", "a mapping"),
    ("&a [*a]", "f.yaml", "levels"),
    ("!!python/object/apply:os.system [ls]", "f.yaml: line 1", "YAML"),
]


def test_the_good_one_is_good():
    scenario = parse(GOOD, "f.yaml")
    assert scenario.pairs == (("n1", "n3"),)
    assert [port.name for port in scenario.topology.node("n3").interfaces] == ["dum0", "v3-2", "eth1"]
    assert scenario.topology.link("n3-n4").delay_ms == 3.0
    assert scenario.topology.link("n3-n2") is scenario.topology.link("n2-n3")
    assert scenario.ends == 60.0


@pytest.mark.parametrize(("text", "field", "allowed"), MISTAKES)
def test_every_mistake_names_file_field_and_what_is_allowed(text, field, allowed):
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml")
    assert "f.yaml" in str(caught.value)
    assert field in caught.value.field
    assert allowed in caught.value.allowed


EXPECTED = {
    "agent-death": ("hard", "agent-down", "node/n4", False),
    "blackhole": ("hard", "link-down", "adjacency/n2:v2-3<>n3:v3-2", True),
    "delay-200": ("soft", "link-slow", "adjacency/n2:v2-3<>n3:v3-2", True),
    "flapping": ("soft", "link-down", "adjacency/n2:v2-3<>n3:v3-2", True),
    "interface-down-other": ("hard", "interface-down", "interface/n2:v2-3", True),
    "interface-down-primary": ("primary", "interface-down", "interface/n3:v3-2", True),
    "loss-40": ("soft", "link-lossy", "adjacency/n2:v2-3<>n3:v3-2", True),
    "loss-one-way": ("soft", "link-lossy", "link/n2:v2-3>n3:v3-2", True),
    "mtu-receiver": ("hard", "interface-mtu-low", "interface/n3:v3-2", True),
    "node-death": ("hard", "node-down", "node/n4", True),
    "node-reboot": ("hard", "node-down", "node/n4", False),
    "partition": ("hard", "partition", "partition/n6,n7", False),
    "two-links": ("hard", "link-down", "adjacency/n2:v2-3<>n3:v3-2", True),
}


def test_the_built_in_scenarios_and_their_truth():
    assert builtin() == sorted(EXPECTED)
    for name, expected in EXPECTED.items():
        scenario = load(name)
        fault = scenario.fault_records()[0]
        assert scenario.name == name
        assert (fault.kind_class, fault.truth.code, fault.truth.component, fault.repairable) == expected
        assert fault.start == 20.0


def test_tuning_makes_the_primary_a_dummy_and_the_fault_an_ordinary_one():
    tuned = load("interface-down-primary").variant(tuning="tuned", algorithm="BATMAN_V")
    assert (tuned.algorithm, tuned.orig_interval_ms, tuned.primary) == ("BATMAN_IV", 200, "dummy")
    assert tuned.fault_records()[0].kind_class == "hard"
    assert load("blackhole").orig_interval_ms == 1000


def test_a_cut_that_leaves_one_node_away_is_a_dead_node_and_truth_can_be_overridden():
    cut = parse(changed(ENTRY, "{fault: partition, links: [n1-n2, n2-n3], at: 1, until: 2}"))
    assert cut.fault_records()[0].truth.component == "node/n2"
    said = parse(changed("until: 60", "until: 60, truth: {code: link-lossy, component: link/x}"))
    assert said.fault_records()[0].truth.code == "link-lossy"


def test_direction_follows_how_the_link_is_written():
    for text, component in (("n2-n3", "link/n2:v2-3>n3:v3-2"), ("n3-n2", "link/n3:v3-2>n2:v2-3")):
        entry = f"{{fault: link-loss, link: {text}, direction: forward, loss_ratio: 0.3, at: 1, until: 2}}"
        assert parse(changed(ENTRY, entry)).fault_records()[0].truth.component == component


def test_node_death_without_another_path_is_not_repairable():
    line = changed("links: [n1-n2, n2-n3, ", "links: [n1-n2, n2-n3, ").replace(", n4-n1]", "]")
    scenario = parse(line.replace(ENTRY, "{fault: node-death, node: n2, at: 1, until: 2}"))
    assert not scenario.fault_records()[0].repairable


def test_radio_is_one_interface_for_all_members():
    radio = "radio: [{name: air, interface: wlan0, members: [n1, n2, n3], pairs: {n1-n3: 1.0, n1-n2: 0.1}}]"
    scenario = parse(changed("  nodes: 4", f"  {radio}\n  nodes: 4"))
    links = {link.name: link for link in scenario.topology.links if link.segment}
    assert sorted(links) == ["air:n1-n2", "air:n2-n3"]
    assert links["air:n1-n2"].loss_ratio == 0.1
    ports = scenario.topology.node("n2").interfaces
    assert [port.name for port in ports if port.radio] == ["wlan0"]
    assert len({port.mac for node in scenario.topology.nodes for port in node.interfaces}) == sum(
        len(node.interfaces) for node in scenario.topology.nodes
    )


def test_the_digest_is_of_the_content():
    first, second = parse(GOOD), parse("# a comment\n" + GOOD)
    assert first.digest == second.digest
    assert first.digest != first.variant(seed=2).digest


def test_files(tmp_path):
    with pytest.raises(ConfigError, match="one of agent-death"):
        load("blackhol")
    with pytest.raises(ConfigError, match="can be read"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match=r"\.yaml files"):
        load_dir(tmp_path)
    (tmp_path / "bad.yaml").write_bytes(b"name: \xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_dir(tmp_path)
    (tmp_path / "bad.yaml").write_text(GOOD)
    assert [scenario.name for scenario in load_dir(tmp_path)] == ["t"]
    (tmp_path / "bad.yaml").write_text("#" * 1_000_001)
    with pytest.raises(ConfigError, match="at most"):
        load(tmp_path / "bad.yaml")


def test_schema_and_code_know_the_same_faults():
    assert set(schema()["$defs"]["fault"]["properties"]["fault"]["enum"]) == set(faults.KINDS)


def taken(make):
    """A scenario, or a ConfigError that names the file; anything else is raised and fails the test."""
    try:
        return isinstance(make(), Scenario)
    except ConfigError as error:
        return "f.yaml" in error.field


WORDS = sorted(
    {*schema()["properties"], *schema()["$defs"]["fault"]["properties"], *faults.KINDS}
    | {"n1", "n2", "n1-n2", "n2-n3", "nodes", "links", "n1:v1-2", "BATMAN_V", "name", "dum0"}
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(schema()["properties"])), VALUES, max_size=6))
def test_any_change_of_a_good_document_is_a_scenario_or_a_config_error(changes):
    document = {**yaml.safe_load(GOOD), **changes}
    assert taken(lambda: from_document(document, "f.yaml"))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(schema()["$defs"]["fault"]["properties"])), VALUES, max_size=4))
def test_any_change_of_a_fault_is_a_scenario_or_a_config_error(changes):
    document = yaml.safe_load(GOOD)
    document["timeline"][0].update(changes)
    assert taken(lambda: from_document(document, "f.yaml"))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="{}[]:-,&*!|>'\"# \n\tabc019.e+~?%@", max_size=40))
def test_any_text_is_a_scenario_or_a_config_error(text):
    with pytest.raises(ConfigError):
        parse(text, "f.yaml")


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, len(GOOD) - 1), st.text(alphabet="{}[]:-,&*!|>'\"# \n\tabc019.e+~?%@", max_size=3), st.integers(0, 8)
)
def test_any_edit_of_a_good_text_is_a_scenario_or_a_config_error(at, inserted, removed):
    assert taken(lambda: parse(GOOD[:at] + inserted + GOOD[at + removed :], "f.yaml"))
