"""What the controller, or a node's agent by itself, believes about the mesh, as people look at it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from x0tta6bl4.catalog import View
from x0tta6bl4.core.agent import Agent
from x0tta6bl4.core.controller import Controller
from x0tta6bl4.core.view import (
    ClientView,
    ControlView,
    FaultView,
    InterfaceView,
    LinkView,
    MeshView,
    NodeView,
    PolicyView,
)
from x0tta6bl4.lab.participants import DeclaredNode
from x0tta6bl4.mape_k.guards import Limits
from x0tta6bl4.mape_k.loop import Loop
from x0tta6bl4.model import Component, IncidentState, Iteration, Seconds

LATE_MS = 2000.0  # a report of a node that is well comes each half second
SILENT_MS = 500.0
LOSS_SHOWN = 0.05


def mesh_view(
    believer: Controller | Agent,
    iteration: Iteration,
    *,
    at: Seconds,
    backend: str,
    clients: Sequence[ClientView] = (),
    faults: Sequence[FaultView] = (),
) -> MeshView:
    """The view that belongs to `iteration`; called on the loop's thread, right after the pass.

    at: the time to show (the lab's, where it has one of its own).
    """
    view = believer.loop.state.view(iteration.at)
    blamed = {
        incident.cause.component
        for incident in iteration.incidents
        if incident.state is not IncidentState.CLOSED and incident.cause.component.kind == "node"
    }
    ill = {symptom.component for symptom in iteration.symptoms}
    inventory = believer.ports.inventory
    names = {node.name for node in inventory}
    here = believer.ports.name if isinstance(believer, Agent) else ""
    return MeshView(
        at=at,
        backend=backend,
        algorithm=inventory[0].algorithm if inventory else "",
        seat=believer.ports.seat,
        nodes=tuple(_node(view, node, believer.boots.get(node.name, ""), blamed, here) for node in inventory),
        links=tuple(
            link
            for component in sorted(view.components("link"))
            if (link := _link(view, component, ill)) is not None and {link.source, link.target} <= names
        ),
        clients=tuple(clients),
        faults=tuple(faults),
        inventory=tuple(inventory),
        routes=_routes(believer.loop, names),
        control=control_view(believer.loop, believer.settings.limits),
        at_utc=believer.ports.clock.utc(),
    )


def _routes(loop: Loop, names: Collection[str]) -> dict[str, Mapping[str, str]]:
    """Each node's routing table as it was reported last; a report replaces the whole table, so it may be shared."""
    found = {}
    for name in names:
        table = loop.columns.fact(Component("node", name), "routes")
        if isinstance(table, Mapping):
            found[name] = table
    return found


def control_view(loop: Loop, declared: Limits) -> ControlView:
    """What people set, and the loop's own leases. declared: what the settings allow."""
    policies = tuple(
        PolicyView(
            kind.kind,
            kind.target,
            kind.title,
            loop.limits.level(kind).value,
            declared.level(kind).value,
            kind.risk,
            kind.repair,
            kind.irreversible,
        )
        for kind in loop.parts.catalog.actions
    )
    return ControlView(
        loop.control.paused,
        loop.limits.kill_switch,
        loop.control.reason,
        policies,
        tuple(loop.knowledge.windows),
        tuple(record for record in loop.executor.ledger.live.values() if record.lease),
    )


def _node(view: View, node: DeclaredNode, boot: str, blamed: set[Component], here: str) -> NodeView:
    """here: the node whose own agent believes this; it needs no report of itself."""
    component = Component("node", node.name)
    age_ms = 0.0 if node.name == here else view.value(component, "report_age_ms")
    if component in blamed:
        state = "down"
    elif age_ms is None:
        state = "unknown"
    else:
        state = "well" if age_ms < LATE_MS else "suspect"
    interfaces = tuple(_interface(view, node.name, declared.name) for declared in node.interfaces)
    return NodeView(node.name, state, None if age_ms is None else age_ms / 1000, interfaces, boot)


def _interface(view: View, node: str, name: str) -> InterfaceView:
    component = Component("interface", f"{node}:{name}")

    def flag(metric: str) -> bool | None:
        value = view.value(component, metric)
        return None if value is None else bool(value)

    mtu = view.value(component, "mtu_bytes")
    return InterfaceView(name, flag("up"), flag("attached"), flag("primary"), None if mtu is None else int(mtu))


def _link(view: View, link: Component, ill: set[Component]) -> LinkView | None:
    source, _, target = link.name.partition(">")
    if not target:
        return None
    loss, rtt, tq = (view.value(link, metric) for metric in ("loss_ratio", "rtt_ms", "tq"))
    node, _, interface = source.partition(":")
    state = _state(view, link, (source, target), loss, ill)
    return LinkView(node, target.split(":")[0], interface, state, loss, rtt, None if tq is None else tq / 255)


def _state(view: View, link: Component, ends: tuple[str, str], loss: float | None, ill: set[Component]) -> str:
    """One word for a link; an avoided one is named so even while it is ill."""
    ports = [Component("interface", end) for end in ends]
    if any(view.value(port, "attached") == 0 or (view.value(port, "hop_penalty") or 0) > 0 for port in ports):
        return "avoided"
    silence = view.value(link, "silence_ms")
    if silence is None and loss is None:
        return "unknown"
    if silence is not None and silence > SILENT_MS:
        return "down"
    return "suspect" if link in ill or (loss is not None and loss > LOSS_SHOWN) else "well"
