"""Latent risks: what will hurt one day, found before it does, each with the remedy an operator would apply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from x0tta6bl4.catalog import RiskRule, View
from x0tta6bl4.mape_k.graph import cut_points
from x0tta6bl4.model import Component, Risk
from x0tta6bl4.network.kernel import MTU_MIN_BYTES

SLOW_INTERVAL_MS: Final = 500  # six intervals are how long batman-adv follows a dead link
AIRTIME_NODES_MAX: Final = (
    100  # up to here 5 originator messages a second for each node are well under 1 % of 10 Mbit/s
)


def fragile_primary(view: View) -> Sequence[Risk]:
    """The loss of the primary interface cuts the node off though others are active."""
    return [
        Risk(
            "fragile-primary",
            node,
            "the loss of its primary interface would cut this node off",
            "attach an always-up dummy interface first, so that it is the primary",
            f"{interfaces:.0f} interfaces, the primary one can lose its carrier",
        )
        for node in view.components("node")
        if view.value(node, "primary_dummy") == 0.0
        and (interfaces := view.value(node, "mesh_interfaces")) is not None
        and interfaces > 1
    ]


def small_mtu(view: View) -> Sequence[Risk]:
    """Full-size frames do not fit with batman-adv's headers."""
    return [
        Risk(
            "small-mtu",
            interface,
            f"hard-interface MTU is under {MTU_MIN_BYTES}",
            f"ip link set {interface.name.partition(':')[2]} mtu {MTU_MIN_BYTES} (on both ends)",
            f"MTU {mtu:.0f}",
        )
        for interface in view.components("interface")
        if view.value(interface, "dummy") != 1.0
        and view.value(interface, "attached") == 1.0
        and (mtu := view.value(interface, "mtu_bytes")) is not None
        and mtu < MTU_MIN_BYTES
    ]


def single_ways(view: View) -> Sequence[Risk]:
    """Cut vertices and bridges of the live graph."""
    vertices, bridges = cut_points(view.live())
    found = [
        Risk(
            "cut-vertex", v, "the loss of this node would part the mesh", "add a link that goes round it", "live graph"
        )
        for v in sorted(vertices)
    ]
    for pair in sorted(sorted(p) for p in bridges):
        name = "-".join(v.name for v in pair)
        found.append(
            Risk("bridge", pair[0], f"the loss of link {name} would part the mesh", "add a second way", "live graph")
        )
    return found


def slow_interval(view: View) -> Sequence[Risk]:
    """An originator interval slower than the airtime allows: dead links are followed five intervals long."""
    nodes = view.components("node")
    if len(nodes) > AIRTIME_NODES_MAX:
        return []
    return [
        Risk(
            "slow-originator-interval",
            node,
            f"dead links are followed for about {5 * interval / 1000:.0f} s",
            "batctl orig_interval 200 (BATMAN_IV, on every node)",
            f"orig_interval {interval:.0f} ms, {len(nodes)} nodes",
        )
        for node in nodes
        if view.value(node, "algorithm_v") == 0.0
        and (interval := view.value(node, "orig_interval_ms")) is not None
        and interval > SLOW_INTERVAL_MS
    ]


def loop_avoidance(view: View) -> Sequence[Risk]:
    """Bridge loop avoidance holds back broadcasts for 30 s after a start and helps only where there is a bridge."""
    return [
        Risk(
            "loop-avoidance-without-bridge",
            node,
            "bridge loop avoidance is on, but the mesh interface is in no bridge",
            "batctl bridge_loop_avoidance 0",
            "broadcasts are held back for 30 s after each start",
        )
        for node in view.components("node")
        if view.value(node, "bridge_loop_avoidance") == 1.0 and view.value(node, "bridged") == 0.0
    ]


def different_settings(view: View) -> Sequence[Risk]:
    """Nodes on other settings than most."""
    found: list[Risk] = []
    for metric in ("orig_interval_ms", "hop_penalty", "algorithm_v"):
        values: dict[Component, float] = {}
        for node in view.components("node"):
            value = view.value(node, metric)
            if value is not None:
                values[node] = value
        if len(set(values.values())) > 1:
            usual = Counter(values.values()).most_common(1)[0][0]
            found.extend(
                Risk("different-settings", n, f"{metric} differs from most", f"set it to {usual:g}", f"{v:g}")
                for n, v in values.items()
                if v != usual
            )
    return found


RULES: Final[tuple[RiskRule, ...]] = (
    fragile_primary,
    small_mtu,
    single_ways,
    slow_interval,
    loop_avoidance,
    different_settings,
)
