"""`x0t run` as operators start it: one process a node on a real batman-adv, each with its own settings and store."""

import json
import time
from pathlib import Path

import pytest

from x0tta6bl4.lab import scenarios, vm
from x0tta6bl4.lab.netlab import Blueprint

HERE = Path(__file__).resolve().parent
pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]

NODES = ("n1", "n2", "n3")
MESH = """name: field
title: Three nodes in a ring
topology: {nodes: 3, links: [n1-n2, n2-n3, n3-n1]}
seat: n1
pairs: [n2-n3]
timeline: []
"""
CUT = {"a": ("n2", "v2-3"), "b": ("n3", "v3-2")}
START_S = 240.0  # three Pythons at a tenth of native speed, on a busy machine


class Field:
    """A guest with the mesh; `field.py` is its other end."""

    def __init__(self, process):
        self.process = process

    def __call__(self, function, **args):
        return self.process.call("call", wait_s=300, target=f"field:{function}", args=args)

    def settings(self, node):
        """What an action may have changed on a node."""
        mesh = self.process.call("kernel", node=node, method="mesh", args=[])
        ports = self.process.call("kernel", node=node, method="interfaces", args=[])
        known = ("name", "attached", "mtu", "hop_penalty", "throughput_override_kbit", "blocked")
        return mesh["orig_interval_ms"], [{key: port[key] for key in known} for port in ports]

    def items(self, node, path):
        status, document = self("ask", node=node, path=path)
        assert status == 200, document
        return document["items"]

    def until(self, seen, limit_s):
        """Wait until `seen()` is true, and return it; an `x0t run` that ends by itself fails the test."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            assert self("ended") == {}
            if found := seen():
                return found
            time.sleep(1.0)
        raise AssertionError(f"not within {limit_s} s; {[self('ask', node=n, path='/v1/mesh/status') for n in NODES]}")


@pytest.fixture(scope="module")
def field():
    if reason := vm.missing():
        pytest.skip(reason)
    with vm.start(extra_path=(HERE,)) as process:
        process.call("build", blueprint=Blueprint(scenarios.parse(MESH).topology).document())
        yield Field(process)


def answered(field, seconds=2):
    return field("answered", source="n2", target="n3", seconds=seconds)


def nodes_well(field, at):
    status, document = field("ask", node=at, path="/v1/mesh/status")
    return {one["name"] for one in document["node_list"] if one["state"] == "well"} if status == 200 else set()


def actions(field, kind, cause, component):
    """What the controller knows of actions of this kind in the newest incident of this cause: state and detail."""
    found = field.items("n1", "/v1/incidents")
    ident = next((one["id"] for one in found if (one["cause"], one["component"]) == (cause, component)), None)
    if ident is None:
        return {}
    status, document = field("ask", node="n1", path=f"/v1/incidents/{ident}")
    assert status == 200, document
    return {one["target"]: (one["state"], one["detail"]) for one in document["actions"] if one["kind"] == kind}


def test_every_node_of_a_mesh_runs_it_and_it_does_what_each_allows(field):
    field("configure", seat="n1", autonomy={"n1": "act", "n2": "act"})  # n3 as installed: it advises
    code, printed = field("command", node="n1", words=["doctor", "--json"])
    assert code in (0, 1), printed
    found = {check["check"]: check for check in json.loads(printed)["items"]}
    assert found["batman-adv"]["what"] == "mesh interface bat0", found
    assert [found[check]["level"] for check in ("inventory", "hellos", "mtu", "primary")] == ["ok"] * 4, found
    before = {node: field.settings(node) for node in NODES}

    def calm():
        """Nothing is left of what the machine's own troubles, or ours, made of the mesh."""
        still = {node: field.settings(node) for node in NODES} == before
        return still and all(one["state"] == "closed" for one in field.items("n1", "/v1/incidents"))

    field("start", nodes=NODES)
    field.until(lambda: nodes_well(field, "n1") == set(NODES), START_S)
    for node in ("n2", "n3"):  # an agent tells what it sees by itself
        assert node in field.until(lambda node=node: nodes_well(field, node), START_S)
    field.until(lambda: answered(field) > 0.9 and calm(), 120)

    # a dead link, whose ends are away from the controller
    field("cut", **CUT, on=True)
    assert answered(field, 1) < 0.5
    field.until(lambda: answered(field) > 0.9, 30)
    dead = "link-down", "adjacency/n2:v2-3<>n3:v3-2"
    left = field.until(lambda: actions(field, "detach-interface", *dead), 30)
    assert list(left) == ["interface/n2:v2-3"]
    field.until(lambda: actions(field, "detach-interface", *dead)["interface/n2:v2-3"][0] == "confirmed", 30)
    assert field.settings("n3") == before["n3"]

    # who did it is killed; started again, it takes back what is no longer needed
    field("kill", node="n2")
    detached = field.settings("n2")
    assert detached != before["n2"]
    field("start", nodes=["n2"])
    field.until(lambda: nodes_well(field, "n2") == {"n2"}, START_S)
    assert field.settings("n2")[1] == detached[1]
    field("cut", **CUT, on=False)
    field.until(calm, 120)

    # broken configuration: repaired where that is allowed, told where it is not
    field("set_mtu", node="n2", interface="v2-1", mtu=1400)
    field.until(lambda: field.settings("n2") == before["n2"], 60)
    field("set_mtu", node="n3", interface="v3-1", mtu=1400)
    low = "interface-mtu-low", "interface/n3:v3-1"
    told = ("refused", "restore-mtu is not allowed on this node")
    field.until(lambda: actions(field, "restore-mtu", *low) == {"interface/n3:v3-1": told}, 60)
    advised = [plan["chosen"][0]["kind"] for plan in field.items("n3", "/v1/plans") if plan["state"] == "advised"]
    assert "restore-mtu" in advised
    assert [port["mtu"] for port in field.settings("n3")[1] if port["name"] == "v3-1"] == [1400]
    field("set_mtu", node="n3", interface="v3-1", mtu=1560)

    # people's word comes by the controller
    status, problem = field("put", node="n3", path="/v1/control", document={"paused": True, "reason": "here"})
    assert (status, "n1 (10.9.0.1)" in problem["detail"]) == (409, True), problem

    field.until(calm, 120)
    assert field("stop") == dict.fromkeys(NODES, 0)
    assert {node: field.settings(node) for node in NODES} == before
