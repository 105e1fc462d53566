"""What helps against which cause, on one node's own interfaces.

A mitigation must not cost other neighbours: where an interface is a radio shared by several, only the one neighbour
is ignored. What penalises an interface changes this node's own choice of route only, so each end acts for itself.
Who leaves a link that still carries something may part the mesh together with somebody far away who does the same:
that is for the controller alone, which sees both (`Scope.MESH`).
Measured background: docs/adr/0003-remedies.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from x0tta6bl4.catalog import Proposal, Scope, View
from x0tta6bl4.model import Action, Cause, Component
from x0tta6bl4.network import names

PENALTY: Final = 230  # BATMAN_IV: leaves TQ 25 of 255, low but not zero: zeros are left out of its average
OVERRIDE_KBIT: Final = 1000  # BATMAN_V: far below any real link, still a way if it is the only one
HOPS_MAX: Final = 4  # a longer way round does not win against a bad short one while that delivers at all (ADR 3)
WITNESSES_MAX: Final = 3
HEARD_MS: Final = 350.0
BAD: Final = ("link-silent", "link-lossy", "link-slow", "link-clipped")  # on a link that is no help as a way round
FAST_INTERVAL_MS: Final = 200
FAST_NODES_MAX: Final = 100  # up to here 5 originator messages a second and node stay under 1 % of 10 Mbit/s


class Remedies:
    """Proposals for one node's own interfaces.

    whole: the view is the controller's, of the whole mesh, and not that of this node's agent.
    """

    def __init__(self, own: str, *, whole: bool = False) -> None:
        self.own, self.whole = own, whole
        self.node = names.node(own)

    def by_cause(self) -> Mapping[str, Callable[[Cause, View], Sequence[Proposal]]]:
        """Cause code -> what may help."""
        return {
            "interface-down": self.interface_down,
            "interface-mtu-low": self.mtu_low,
            "link-down": self.link_down,
            "link-lossy": self.link_bad,
            "link-slow": self.link_bad,
            "link-clipped": self.link_bad,
            "mesh-converging": self.converge,
        }

    def interface_down(self, cause: Cause, view: View) -> Sequence[Proposal]:
        """A dead primary interface cuts the node off until it leaves the mesh; batman-adv leaves others by itself.

        With a stand-in the node keeps its name. Detached, it gets another, and what is known of the old one stays in
        the way of it for a while.
        """
        dead = cause.component
        if names.owner(dead) != self.own or view.value(dead, "primary") != 1.0 or view.value(dead, "attached") != 1.0:
            return ()
        if not self._others(dead, view):
            return ()
        witnesses, watch = self._witnesses(view, None), (dead, *_links_in(dead, view))
        return (
            Proposal(Action("stand-in-primary", dead), witnesses, watch, "a dead primary interface"),
            Proposal(Action("detach-interface", dead), witnesses, watch, "a dead primary interface"),
        )

    def mtu_low(self, cause: Cause, view: View) -> Sequence[Proposal]:
        """Restore the declared MTU."""
        if names.owner(cause.component) != self.own:
            return ()
        mtu, short = view.value(cause.component, "mtu_bytes"), view.value(cause.component, "mtu_short_bytes")
        if mtu is None or short is None or short <= 0:
            return ()
        action = Action("restore-mtu", cause.component, {"mtu_bytes": int(mtu + short)})
        return (Proposal(action, (), (cause.component,), f"MTU is {mtu:.0f}, declared {mtu + short:.0f}"),)

    def link_down(self, cause: Cause, view: View) -> Sequence[Proposal]:
        """Leave a dead link at once instead of after five originator intervals.

        Where one direction lives, batman-adv goes on believing in the link for long: the end that is not heard leaves.
        """
        end = self._own_end(cause.component)
        if end is None:
            return ()
        interface, far = end
        if view.value(interface, "up") != 1.0 or view.value(interface, "attached") != 1.0 or _radio(interface, view):
            return ()
        witnesses = self._witnesses(view, far, offered=True)
        if not witnesses:
            return ()
        if not self._heard(view) - {far.name}:
            return ()  # everything is silent: there is no way round, or it is this process that does not hear
        one_way = cause.component.kind == "link"
        avoids = (cause.component,) if one_way else tuple(view.related(cause.component, ("~part_of",)))
        watch = avoids
        reason = f"nothing {'reaches' if one_way else 'comes from'} {far.name} over {interface.name}"
        if view.value(interface, "primary") == 1.0:  # without it the node would lose its name
            ignore = [Action("block-neighbour", link) for link in _from(far, interface, view)]
            actions = (*ignore, Action("bounce-interface", interface))
            return tuple(Proposal(action, witnesses, watch, reason, avoids) for action in actions)
        leave = Action("detach-interface", interface)
        if self._stops_forwarding(interface, view):  # the kernel gives the way up by itself, and is not to come back
            leave = _override(interface)
        return (Proposal(leave, witnesses, watch, reason, avoids),)

    def link_bad(self, cause: Cause, view: View) -> Sequence[Proposal]:
        """Make this node choose another way than its own interface on a bad link, while it stays usable."""
        end = self._own_end(cause.component)
        if end is None:
            return ()
        interface, far = end
        if view.value(interface, "attached") != 1.0:
            return ()
        witnesses = self._witnesses(view, far)
        if not witnesses:
            return ()
        links = (
            tuple(view.related(cause.component, ("~part_of",)))
            if cause.component.kind == "adjacency"
            else (cause.component,)
        )
        reason = f"{cause.code} towards {far.name}"
        primary = view.value(interface, "primary") == 1.0
        may_leave = not primary and not self._stops_forwarding(interface, view)
        too_long = self._hops_round(view, far) > HOPS_MAX
        gentle, leave = [], [Action("detach-interface", interface)] if may_leave else []
        if _radio(interface, view) or (too_long and primary):
            leave = [Action("block-neighbour", link) for link in _from(far, interface, view)]
        elif not (too_long and may_leave):
            penalty = Action("set-hop-penalty", interface, {"hop_penalty": PENALTY})
            gentle = [_override(interface) if self._is_v(view) else penalty]
        found = [Proposal(action, witnesses, links, reason, links) for action in gentle]
        if self.whole and far.name in self._round(view, far, well=True):
            found += [Proposal(action, witnesses, links, reason, links, Scope.MESH) for action in leave]
        return found

    def converge(self, cause: Cause, view: View) -> Sequence[Proposal]:
        """batman-adv follows a vanished path for five originator intervals: make them short for a while."""
        interval = view.value(self.node, "orig_interval_ms")
        routes = view.fact(self.node, "routes")
        nodes = len(routes) if isinstance(routes, dict) else 0
        if interval is None or interval <= FAST_INTERVAL_MS or nodes > FAST_NODES_MAX:
            return ()
        action = Action("set-orig-interval", self.node, {"orig_interval_ms": FAST_INTERVAL_MS})
        return (Proposal(action, (), (self.node,), f"originator interval {interval:.0f} ms while ways change"),)

    def _is_v(self, view: View) -> bool:
        return view.value(self.node, "algorithm_v") == 1.0

    def _stops_forwarding(self, interface: Component, view: View) -> bool:
        """Would the node forward nothing between its other links where this one leaves? BATMAN_V's does (ADR 3)."""
        links = [i for i in self._others(interface, view) if view.value(i, "dummy") != 1.0]
        return self._is_v(view) and len(links) > 1

    def _others(self, interface: Component, view: View) -> list[Component]:
        """This node's other interfaces that are up and in the mesh."""
        return [i for i in view.components("interface") if i != interface and _usable(i, self.own, view)]

    def _own_end(self, component: Component) -> tuple[Component, Component] | None:
        """(own interface, far node): for a directed link only where it starts here."""
        near, far = names.ends(component)
        if near[0] == self.own:
            return names.interface(*near), names.node(far[0])
        if far[0] == self.own and component.kind == "adjacency":
            return names.interface(*far), names.node(near[0])
        return None

    def _witnesses(self, view: View, far: Component | None, *, offered: bool = False) -> tuple[Component, ...]:
        """Nodes that prove the data plane: those routed over `far`, itself only where there is nobody behind it.

        offered: only nodes towards which another neighbour is known to offer a way.
        """
        routes = view.fact(self.node, "routes")
        table: Mapping[str, str] = routes if isinstance(routes, dict) else {}
        over = sorted(to for to, via in table.items() if far is None or via == far.name)
        if offered and far is not None:
            known = self._offered(view, far)
            over = [to for to in over if to in known]
        behind = [to for to in over if far is None or to != far.name]
        return tuple(names.node(to) for to in (behind or over)[:WITNESSES_MAX])

    def _heard(self, view: View) -> set[str]:
        """Neighbours that are heard on one of this node's interfaces, and not only since this moment: where one link
        comes back, others may follow.
        """
        incoming = [k for k in view.related(self.node, ("~to",)) if k.kind == "link"]
        return {
            names.owner(k)
            for k in incoming
            if (silence := view.value(k, "silence_ms")) is not None
            and silence < HEARD_MS
            and not view.active("link-silent", k)
        }

    def _offered(self, view: View, far: Component) -> set[str]:
        """Nodes that another neighbour than `far` offers, or that the controller told of a way to round it."""
        offers = [o.name.split(">") for o in view.components("route") if view.value(o, "tq") is not None]
        found = {to for via, to in offers if via != far.name}
        return found | self._round(view, far).keys()

    def _hops_round(self, view: View, far: Component) -> int:
        """How many hops the shortest way to `far` has that does not begin with it; 0 where none is known."""
        return self._round(view, far).get(far.name, 0)

    def _round(self, view: View, far: Component, *, well: bool = False) -> Mapping[str, int]:
        """Nodes reached through other neighbours than `far`, and over how many hops; `well`: over good links only."""
        hops = {self.own: 0} | dict.fromkeys(sorted(self._heard(view) - {far.name}), 1)
        links = self._links(view)
        todo = deque(hops)
        todo.popleft()
        while todo:
            near = todo.popleft()
            for other in sorted(links(near)):
                if other not in hops and not (well and _bad(near, other, view)):
                    hops[other] = hops[near] + 1
                    todo.append(other)
        del hops[self.own]
        return hops

    def _links(self, view: View) -> Callable[[str], Iterable[str]]:
        """The neighbours of a node over links that carry something: as the controller sees them, or as it told."""
        if self.whole:
            live = view.live()
            return lambda near: (vertex.name for vertex in live.get(names.node(near), ()))
        told: dict[str, set[str]] = {}
        for pair in view.components("told"):
            if view.value(pair, "carries") is not None:
                one, other = pair.name.split(">")
                told.setdefault(one, set()).add(other)
                told.setdefault(other, set()).add(one)
        return lambda near: told.get(near, ())


ORDERED: Final = ("interface-down", "interface-mtu-low", "link-down", "link-lossy", "link-slow", "link-clipped")


def for_any_node() -> Mapping[str, Callable[[Cause, View], Sequence[Proposal]]]:
    """What the controller may order or advise: the same remedies, for each node concerned."""

    def of(code: str) -> Callable[[Cause, View], Sequence[Proposal]]:
        return lambda cause, view: [p for node in _concerned(cause.component) for p in _for(node, code, cause, view)]

    return {code: of(code) for code in ORDERED} | {"node-down": _around}


def _for(node: str, code: str, cause: Cause, view: View) -> list[Proposal]:
    found = Remedies(node, whole=True).by_cause()[code](cause, view)
    return [replace(proposal, side=node) for proposal in found]


def _around(cause: Cause, view: View) -> Sequence[Proposal]:
    """A dead node is left by each of its neighbours."""
    pairs = dict.fromkeys(view.related(cause.component, ("~from", "part_of")))
    dead = cause.component.name
    found: list[Proposal] = []
    for pair in (p for p in pairs if p.kind == "adjacency"):
        (near,) = (node for node, _ in names.ends(pair) if node != dead)
        found += _for(near, "link-down", replace(cause, component=pair), view)
    return found


def _concerned(component: Component) -> list[str]:
    if component.kind == "interface":
        return [names.owner(component)]
    (one, _), (other, _) = names.ends(component)
    return [one, other] if component.kind == "adjacency" else [one]


def _links_in(interface: Component, view: View) -> list[Component]:
    return [
        k for k in view.related(interface, ("~part_of",)) if k.kind == "link" and names.ends(k)[1] == _end(interface)
    ]


def _bad(one: str, other: str, view: View) -> bool:
    """Does any link between these two nodes, either way, show trouble?"""
    ends = {one, other}
    both = [link for node in ends for link in view.related(names.node(node), ("~from",)) if link.kind == "link"]
    between = [link for link in both if {name for name, _ in names.ends(link)} == ends]
    return any(view.active(code, link) for link in between for code in BAD)


def _from(far: Component, interface: Component, view: View) -> list[Component]:
    return [link for link in _links_in(interface, view) if names.owner(link) == far.name]


def _end(interface: Component) -> tuple[str, str]:
    owner, _, name = interface.name.partition(":")
    return owner, name


def _override(interface: Component) -> Action:
    return Action("set-throughput-override", interface, {"throughput_override_kbit": OVERRIDE_KBIT})


def _radio(interface: Component, view: View) -> bool:
    return view.value(interface, "radio") == 1.0


def _usable(interface: Component, own: str, view: View) -> bool:
    return (
        names.owner(interface) == own
        and view.value(interface, "up") == 1.0
        and view.value(interface, "attached") == 1.0
    )
