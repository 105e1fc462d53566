"""Latent risks: what will hurt one day, found before it does, each with the remedy an operator would apply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from x0tta6bl4.catalog import RiskRule, View
from x0tta6bl4.mape_k.graph import cut_points
from x0tta6bl4.model import Component, Risk
from x0tta6bl4.network import airtime, names
from x0tta6bl4.network.kernel import MTU_MIN_BYTES

CLEARLY_SLOWER: Final = 2  # times the interval that the airtime allows
ALIKE: Final = ("orig_interval_ms", "hop_penalty", "algorithm_v")


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
    """An originator interval clearly slower than the airtime allows: dead links are followed five intervals long.

    BATMAN_V too leaves a dead link only once another way leads by five originator messages
    (BATADV_OGM_MAX_ORIGDIFF in batadv_v_ogm_route_update); its ELP interval says how fast throughput is measured.
    """
    nodes, least = view.components("node"), CLEARLY_SLOWER * airtime.STEPS_MS[0]
    known = ((node, view.value(node, "orig_interval_ms")) for node in nodes)
    slow = {node: interval for node, interval in known if interval is not None and interval > least}
    if not slow:
        return []
    stations = _stations(view)
    fastest = {v: airtime.fastest_interval_ms(len(nodes), stations, v=v == 1.0) for v in (0.0, 1.0)}
    found = []
    for node, interval in slow.items():
        v = view.value(node, "algorithm_v")
        step = None if v is None else fastest[v]
        if step is not None and interval > CLEARLY_SLOWER * step:
            share = airtime.share(len(nodes), stations, step, v=v == 1.0)
            found.append(
                Risk(
                    "slow-originator-interval",
                    node,
                    f"dead links are followed for about {5 * interval / 1000:.0f} s",
                    f"batctl orig_interval {step} (on every node)",
                    f"orig_interval {interval:.0f} ms; {step} ms takes {share:.2%} of 10 Mbit/s "
                    f"with {len(nodes)} nodes, {stations} of them on one medium",
                )
            )
    return found


def _stations(view: View) -> int:
    """How many nodes send on the busiest medium: an interface and all that it hears."""
    heard = Counter(link.name.partition(">")[2] for link in view.components("link"))  # there may be 20,000
    return 1 + max(heard.values(), default=1)


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
    """Nodes on other settings than most, and interfaces on another MTU than their neighbours.

    The gateway mode is left out: a mesh has a few servers among many clients, on purpose.
    """
    nodes = view.components("node")
    # Loop avoidance matters between the nodes that are bridged to a LAN; the others need none (`loop_avoidance`).
    bridged = [node for node in nodes if view.value(node, "bridged") == 1.0]
    found = [risk for metric in ALIKE for risk in _unlike_most(view, nodes, metric)]
    return [*found, *_unlike_most(view, bridged, "bridge_loop_avoidance"), *_unlike_neighbours(view)]


def _unlike_most(view: View, nodes: Sequence[Component], metric: str) -> list[Risk]:
    known = ((node, view.value(node, metric)) for node in nodes)
    values = {node: value for node, value in known if value is not None}
    if len(set(values.values())) < 2:
        return []
    usual = Counter(values.values()).most_common(1)[0][0]
    return [
        Risk("different-settings", n, f"{metric} differs from most", f"set it to {usual:g}", f"{v:g}")
        for n, v in values.items()
        if v != usual
    ]


def _unlike_neighbours(view: View) -> list[Risk]:
    """Interfaces with a smaller MTU than one they hear; what is too small by itself is `small_mtu`."""
    attached = (i for i in view.components("interface") if view.value(i, "attached") == 1.0)
    mtus = {i: mtu for i in attached if (mtu := view.value(i, "mtu_bytes")) is not None and mtu >= MTU_MIN_BYTES}
    largest = max(mtus.values(), default=0.0)
    found = []
    for near, ours in mtus.items():
        if ours == largest:
            continue
        far = {names.interface(*names.ends(link)[0]) for link in view.related(near, ("~part_of",))} - {near}
        theirs = max((mtus.get(interface, 0.0) for interface in far), default=0.0)
        if theirs > ours:
            found.append(
                Risk(
                    "different-settings",
                    near,
                    "its MTU is smaller than a neighbour's, whose larger frames are lost here",
                    f"ip link set {near.name.partition(':')[2]} mtu {theirs:.0f}, or the smaller one on the neighbour",
                    f"MTU {ours:.0f}, the neighbour's is {theirs:.0f}",
                )
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
