"""Actuators of one node, over its kernel: each knows what was before, so that it can take back what it did.

The dead-man timer is here, beside the interface: an order that nobody confirms in time is undone by `expire`,
whoever issued it. The journal (a small JSON file where a path is given) survives this process: at start, what was
not confirmed is undone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from x0tta6bl4.errors import ConfigError, NotSupported, ResourceError
from x0tta6bl4.model import Action, Component, Did, Order, Outcome, Seconds
from x0tta6bl4.network import names
from x0tta6bl4.network.kernel import Interface, Kernel
from x0tta6bl4.ports import Clock

Before = dict[str, float | str]
BOUNCE_S: Final = 1.2  # batman-adv drops the routes of an interface that is down within a second
KINDS: Final = frozenset(
    [
        "detach-interface",
        "set-hop-penalty",
        "set-throughput-override",
        "block-neighbour",
        "restore-mtu",
        "bounce-interface",
        "set-gw-mode",
        "set-orig-interval",
        "restart-service",
    ]
)


@dataclass
class Applied:
    """One order that was carried out and not taken back."""

    order: Order
    before: Before
    at: Seconds
    confirmed: bool = False
    due: list[tuple[Seconds, Callable[[], None]]] = field(default_factory=list)


class NodeActuator:
    """`ports.Actuator` for one node. mac_of: MAC of a neighbour's interface, by component (for block-neighbour)."""

    kinds = KINDS

    def __init__(
        self,
        node: str,
        kernel: Kernel,
        clock: Clock,
        *,
        mac_of: Callable[[Component], str],
        journal: Path | None = None,
    ) -> None:
        self.node, self.kernel, self.clock, self.mac_of, self.journal = node, kernel, clock, mac_of, journal
        self.applied: dict[str, Applied] = {}
        self._later: list[tuple[Seconds, Callable[[], None]]] = []

    # -- the port -----------------------------------------------------------------------------------------------

    def apply(self, order: Order) -> Outcome:
        """Do it; the same order twice is once. What cannot be done is an Outcome."""
        known = self.applied.get(order.id)
        if known is not None:
            return Outcome(order.id, Did.DONE, "already done", known.before)
        if order.action.kind not in self.kinds or _acts_on(order.action.target) != self.node:
            return Outcome(order.id, Did.REFUSED, f"{order.action.target} is not of {self.node}")
        try:
            before = self._do(order.action)
        except (ResourceError, NotSupported, ConfigError) as error:
            return Outcome(order.id, Did.FAILED, str(error))
        self.applied[order.id] = Applied(order, before, self.clock.now())
        self._write()
        return Outcome(order.id, Did.DONE, "", before)

    def confirm(self, order_id: str) -> Outcome:
        """It stays until `undo`."""
        known = self.applied.get(order_id)
        if known is None:
            return Outcome(order_id, Did.REFUSED, "not applied (any more)")
        known.confirmed = True
        self._write()
        return Outcome(order_id, Did.DONE, "", known.before)

    def undo(self, order_id: str) -> Outcome:
        """Restore what was before."""
        known = self.applied.get(order_id)
        if known is None:
            return Outcome(order_id, Did.UNDONE, "not applied (any more)")
        try:
            self._undo(known.order.action, known.before)
        except (ResourceError, NotSupported, ConfigError) as error:
            return Outcome(order_id, Did.FAILED, str(error))
        del self.applied[order_id]
        self._write()
        return Outcome(order_id, Did.UNDONE)

    def resolve(self, order: Order) -> Outcome:
        """After a restart: was it carried out? The journal knows; without one, the component is read."""
        known = self.applied.get(order.id)
        if known is not None:
            return Outcome(order.id, Did.DONE, "found done", known.before)
        return Outcome(order.id, Did.UNDONE, "not in the actuator's journal: it was not done, or was taken back")

    # -- time ---------------------------------------------------------------------------------------------------

    def expire(self) -> list[Outcome]:
        """Undo what nobody confirmed in time; finish what was to be done later (the second half of a bounce)."""
        now = self.clock.now()
        due, self._later = [c for t, c in self._later if t <= now], [(t, c) for t, c in self._later if t > now]
        for call in due:
            call()
        late = [a.order.id for a in self.applied.values() if not a.confirmed and now - a.at > a.order.deadman_s]
        return [replace(self.undo(order_id), detail="dead-man timer") for order_id in late]

    def recover(self) -> list[Outcome]:
        """At start: take back what an earlier process applied and did not confirm; take up what it confirmed."""
        if self.journal is None or not self.journal.exists():
            return []
        for entry in json.loads(self.journal.read_text()):
            action = Action(entry["kind"], Component.parse(entry["target"]), entry["parameters"])
            order = Order(entry["id"], entry["issuer"], entry["epoch"], action, entry["deadman_s"])
            self.applied[order.id] = Applied(order, entry["before"], self.clock.now(), entry["confirmed"])
        return [self.undo(a.order.id) for a in list(self.applied.values()) if not a.confirmed]

    # -- doing --------------------------------------------------------------------------------------------------

    def _interface(self, target: Component) -> Interface:
        name = target.name.split(":", 1)[1].split(">")[0]
        for interface in self.kernel.interfaces():
            if interface.name == name:
                return interface
        raise ConfigError("action.target", str(target), "a hard interface of this node")

    def _do(self, action: Action) -> Before:
        match action.kind:
            case "detach-interface":
                interface = self._interface(action.target)
                self.kernel.detach(interface.name)
                return _settings(interface)
            case "set-hop-penalty" | "set-throughput-override":
                interface = self._interface(action.target)
                option = "hop_penalty" if action.kind == "set-hop-penalty" else "throughput_override_kbit"
                before = getattr(interface, option)
                if before is None:
                    raise ConfigError("action.target", str(action.target), "an attached hard interface")
                self.kernel.set_hardif(interface.name, option, int(action.parameters[option]))
                return {option: before}
            case "restore-mtu":
                interface = self._interface(action.target)
                self.kernel.set_mtu(interface.name, int(action.parameters["mtu_bytes"]))
                return {"mtu_bytes": interface.mtu}
            case "block-neighbour":
                return self._block(action.target, True)
            case "bounce-interface":
                interface = self._interface(action.target)
                self.kernel.set_up(interface.name, False)
                self._later.append((self.clock.now() + BOUNCE_S, lambda: self.kernel.set_up(interface.name, True)))
                return {}
            case _:
                return self._do_mesh(action)

    def _do_mesh(self, action: Action) -> Before:
        if action.kind == "restart-service":
            self.kernel.restart_service(action.target.name.split(":", 1)[1])
            return {}
        mesh = self.kernel.mesh()
        if action.kind == "set-gw-mode":
            self.kernel.set_mesh("gw_mode", str(action.parameters["gw_mode"]))
            return {"gw_mode": mesh.gw_mode}
        self.kernel.set_mesh("orig_interval_ms", int(action.parameters["orig_interval_ms"]))
        return {"orig_interval_ms": mesh.orig_interval_ms}

    def _undo(self, action: Action, before: Mapping[str, float | str]) -> None:
        match action.kind:
            case "detach-interface":
                name = self._interface(action.target).name
                self.kernel.attach(name)
                for option in ("hop_penalty", "throughput_override_kbit"):
                    if before.get(option):
                        self.kernel.set_hardif(name, option, int(before[option]))
            case "set-hop-penalty" | "set-throughput-override":
                for option, value in before.items():
                    self.kernel.set_hardif(self._interface(action.target).name, option, int(value))
            case "restore-mtu":
                self.kernel.set_mtu(self._interface(action.target).name, int(before["mtu_bytes"]))
            case "block-neighbour":
                self._block(action.target, False)
            case "set-gw-mode" | "set-orig-interval":
                for option, value in before.items():
                    self.kernel.set_mesh(option, value if isinstance(value, str) else int(value))
            case _:
                raise NotSupported(f"{action.kind} cannot be undone")

    def _block(self, link: Component, on: bool) -> Before:
        source, target = names.ends(link)
        mac = self.mac_of(names.interface(*source))
        if target[0] != self.node or not mac:
            raise ConfigError(
                "action.target", str(link), f"a link towards {self.node} from a neighbour with a known MAC"
            )
        self.kernel.block(target[1], mac, on)
        return {"mac": mac}

    def _write(self) -> None:
        if self.journal is None:
            return
        entries = [
            {
                "id": a.order.id,
                "issuer": a.order.issuer,
                "epoch": a.order.epoch,
                "kind": a.order.action.kind,
                "target": str(a.order.action.target),
                "parameters": dict(a.order.action.parameters),
                "deadman_s": a.order.deadman_s,
                "before": a.before,
                "confirmed": a.confirmed,
            }
            for a in self.applied.values()
        ]
        temporary = self.journal.with_suffix(".new")
        with temporary.open("w") as file:
            json.dump(entries, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.journal)


def _acts_on(target: Component) -> str:
    """The node whose settings an action on `target` changes: for a link the one that hears it."""
    return names.ends(target)[1][0] if target.kind == "link" else names.owner(target)


def _settings(interface: Interface) -> Before:
    return {
        "hop_penalty": interface.hop_penalty or 0,
        "throughput_override_kbit": interface.throughput_override_kbit or 0,
    }
