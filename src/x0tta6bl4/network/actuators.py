"""Actuators of one node, over its kernel: each knows what was before, so that it can take back what it did.

The dead-man timer is here, beside the interface: an order that nobody confirms in time is undone by `expire`,
whoever issued it. The journal (a small JSON file where a path is given) survives this process: at start, what was
not confirmed is undone. It survives a reboot of the node too, which the settings of its network do not: entries of
an earlier boot are known as not there any more.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar, cast

from x0tta6bl4.errors import ConfigError, NotSupported, ResourceError
from x0tta6bl4.model import Action, Component, Did, Order, Outcome, Seconds
from x0tta6bl4.network import names
from x0tta6bl4.network.journal import Applied, Before, Journal
from x0tta6bl4.network.kernel import Interface, Kernel
from x0tta6bl4.ports import Clock

Method = TypeVar("Method", bound=Callable[..., Outcome])
BOUNCE_S: Final = 1.2  # batman-adv drops the routes of an interface that is down within a second
RETRY_S: Final = 1.0  # what the kernel refused to take back is tried again
ENDED_MAX: Final = 1000
TARGETS: Final = {  # kind of action -> kind of component it acts on
    "detach-interface": "interface",
    "stand-in-primary": "interface",
    "set-hop-penalty": "interface",
    "set-throughput-override": "interface",
    "block-neighbour": "link",
    "restore-mtu": "interface",
    "bounce-interface": "interface",
    "set-gw-mode": "node",
    "set-orig-interval": "node",
    "restart-service": "service",
}
KINDS: Final = frozenset(TARGETS)
IRREVERSIBLE: Final = frozenset(("bounce-interface", "restart-service"))
FOR_GOOD: Final = IRREVERSIBLE | {"restore-mtu"}  # once confirmed, hardly anybody takes it back
FOR_GOOD_MAX: Final = 50  # so many of them are remembered
SET_INTERFACE: Final = frozenset(("set-hop-penalty", "set-throughput-override"))
TAKE_OUT: Final = frozenset(("detach-interface", "stand-in-primary"))
OPTIONS: Final = ("hop_penalty", "throughput_override_kbit")


def _one_at_a_time(method: Method) -> Method:
    @functools.wraps(method)
    def locked(self: NodeActuator, *args: object) -> Outcome:
        with self._lock:  # a method in all but name
            return method(self, *args)

    return cast("Method", locked)


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
        journal: Journal | None = None,
    ) -> None:
        self.node, self.kernel, self.clock, self.mac_of, self.journal = node, kernel, clock, mac_of, journal
        self.applied: dict[str, Applied] = {}
        self._later: list[tuple[Seconds, Callable[[], None]]] = []
        self._lock = threading.RLock()  # orders come on a worker's thread, dead-man timers on the loop's
        self._ended: dict[str, None] = {}  # ids that were taken back, oldest first

    # -- the port -----------------------------------------------------------------------------------------------

    def apply(self, order: Order) -> Outcome:
        """Do it; the same order twice is once. What cannot be done, or not in time any more, is an Outcome."""
        return self._apply(order, self.clock.now())

    @_one_at_a_time
    def _apply(self, order: Order, arrived: Seconds) -> Outcome:
        known = self.applied.get(order.id)
        if known is not None:
            return Outcome(order.id, Did.DONE, "already done", known.before)
        if order.id in self._ended:  # a copy that was long under way
            return Outcome(order.id, Did.REFUSED, "it was taken back, or failed, before")
        if not self.clock.now() - arrived <= order.expires_s:  # NaN is too late
            return Outcome(order.id, Did.REFUSED, "the order has expired: it came too late to be begun")
        action = order.action
        try:
            if TARGETS.get(action.kind) != action.target.kind or _acts_on(action.target) != self.node:
                return Outcome(order.id, Did.REFUSED, f"{action.kind} on {action.target} is not for {self.node}")
            before, change = self._prepare(action)
        except (ResourceError, NotSupported, ConfigError) as error:
            return Outcome(order.id, Did.FAILED, str(error))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            return Outcome(order.id, Did.REFUSED, f"malformed order: {type(error).__name__}: {error}")
        boot = "" if self.journal is None else self.kernel.boot_id()
        self.applied[order.id] = Applied(order, before, self.clock.now(), boot=boot)
        try:
            self._write()  # before anything is touched: a process that is killed now leaves a trace
            change()
        except (ResourceError, NotSupported, OSError) as error:
            self._end(order.id)
            return Outcome(order.id, Did.FAILED, str(error))
        return Outcome(order.id, Did.DONE, "", before)

    @_one_at_a_time
    def confirm(self, order_id: str) -> Outcome:
        """It stays until `undo`."""
        known = self.applied.get(order_id)
        if known is None:
            return Outcome(order_id, Did.REFUSED, "not applied (any more)")
        known.confirmed = True
        kept = [a.order.id for a in self.applied.values() if a.confirmed and a.order.action.kind in FOR_GOOD]
        for old in kept[:-FOR_GOOD_MAX]:
            del self.applied[old]
        try:
            self._write()
        except OSError as error:  # a restart would take it back: so does the dead-man timer
            known.confirmed = False
            return Outcome(order_id, Did.FAILED, f"{self.journal}: {error}")
        return Outcome(order_id, Did.DONE, "", known.before)

    @_one_at_a_time
    def undo(self, order_id: str) -> Outcome:
        """Restore what was before; an id that is not known is REFUSED, one that was taken back before is UNDONE."""
        known = self.applied.get(order_id)
        if known is None:
            did = Did.UNDONE if order_id in self._ended else Did.REFUSED
            return Outcome(order_id, did, "not applied (any more)")
        heir = self._heir(known)
        try:
            if heir is None or known.order.action.kind in IRREVERSIBLE:
                self._undo(known.order.action, known.before)
            else:  # its change stands, and restores one day what was before this one
                heir.before = {**heir.before, **known.before}
        except (ResourceError, NotSupported, ConfigError) as error:
            known.confirmed &= known.order.action.kind in IRREVERSIBLE  # nobody wants it: `expire` tries on
            return Outcome(order_id, Did.FAILED, str(error))
        self._end(order_id)
        return Outcome(order_id, Did.UNDONE)

    def _heir(self, known: Applied) -> Applied | None:
        """The next order that did the same to the same target, or took out the interface that this one set."""
        action, all_of_them = known.order.action, list(self.applied.values())
        heirs = {action.kind, *(TAKE_OUT if action.kind in SET_INTERFACE else ())}
        for later in all_of_them[all_of_them.index(known) + 1 :]:
            if later.order.action.target == action.target and later.order.action.kind in heirs:
                return later
        return None

    def _end(self, order_id: str) -> None:
        del self.applied[order_id]
        self._ended[order_id] = None
        while len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]
        with suppress(OSError):  # an entry that stays is taken back once more at the next start, which changes nothing
            self._write()

    @_one_at_a_time
    def resolve(self, order: Order) -> Outcome:
        """After a restart: was it carried out? The journal knows; without one, the component is read."""
        known = self.applied.get(order.id)
        if known is not None:
            return Outcome(order.id, Did.DONE, "found done", known.before)
        if self.journal is not None or order.id in self._ended:
            return Outcome(order.id, Did.UNDONE, "not in the actuator's journal: it was not done, or was taken back")
        return Outcome(order.id, *self._read_back(order.action))

    def _read_back(self, action: Action) -> tuple[Did, str]:
        """Without a journal: what is not as the action would leave it was not done; otherwise nobody can tell."""
        try:
            before, _ = self._prepare(action)
        except (ResourceError, NotSupported, ConfigError, ValueError, KeyError, TypeError, IndexError) as error:
            return Did.UNKNOWN, str(error)
        wanted = {"attached": 0.0} if action.kind in TAKE_OUT else action.parameters
        if any(option in before and before[option] != value for option, value in wanted.items()):
            return Did.UNDONE, "found as it was before"
        return Did.UNKNOWN, "no journal, and the component cannot tell"

    # -- time ---------------------------------------------------------------------------------------------------

    def expire(self) -> list[Outcome]:
        """Undo what nobody confirmed in time; finish what was to be done later (the second half of a bounce)."""
        if not self._lock.acquire(blocking=False):
            return []  # an order is being carried out: the next tick comes soon
        try:
            return self._expire(self.clock.now())
        finally:
            self._lock.release()

    def _expire(self, now: Seconds) -> list[Outcome]:
        due, self._later = [c for t, c in self._later if t <= now], [(t, c) for t, c in self._later if t > now]
        for call in due:
            try:
                call()
            except (ResourceError, NotSupported):  # an interface must not stay down
                self._later.append((now + RETRY_S, call))
        outcomes = []
        for known in list(self.applied.values()):
            if known.confirmed or now - known.at <= known.order.deadman_s or now < known.retry_at:
                continue
            if known.order.action.kind in IRREVERSIBLE:  # there is nothing to take back
                self._end(known.order.id)
                continue
            known.retry_at = now + RETRY_S
            outcomes.append(replace(self.undo(known.order.id), detail="dead-man timer"))
        return outcomes

    def recover(self) -> list[Outcome]:
        """At start: take back what an earlier process applied and did not confirm; take up what it confirmed.

        What was applied in an earlier boot of the node went with it, confirmed or not: nothing is touched.
        Raises ConfigError where the journal is not one.
        """
        if self.journal is None:
            return []
        self.applied.update((known.order.id, known) for known in self.journal.read(self.clock.now()))
        return [*self._forget_earlier_boots(self.kernel.boot_id()), *self._take_back_unproven()]

    def _forget_earlier_boots(self, boot: str) -> list[Outcome]:
        gone = [i for i, known in self.applied.items() if boot and known.boot and known.boot != boot]
        for order_id in gone:
            self._end(order_id)
        return [Outcome(order_id, Did.UNDONE, "the node was restarted since") for order_id in gone]

    def _take_back_unproven(self) -> list[Outcome]:
        unproven = [a.order for a in self.applied.values() if not a.confirmed]
        for order in unproven:
            if order.action.kind == "bounce-interface":  # the second half may never have come
                self._later.append((self.clock.now(), self._up(_interface_of(order.action.target))))
                self.expire()
        return [self.undo(order.id) for order in unproven if order.action.kind not in IRREVERSIBLE]

    # -- doing --------------------------------------------------------------------------------------------------

    def _interface(self, target: Component) -> Interface:
        name = _interface_of(target)
        for interface in self.kernel.interfaces():
            if interface.name == name:
                return interface
        raise ConfigError("action.target", str(target), "a hard interface of this node")

    def _up(self, name: str) -> Callable[[], None]:
        return lambda: self.kernel.set_up(name, True)

    def _prepare(self, action: Action) -> tuple[Before, Callable[[], None]]:
        """What undo will restore, and the change itself; nothing is touched yet."""
        kernel = self.kernel
        if action.target.kind != "interface":
            return self._prepare_others(action)
        interface = self._interface(action.target)
        name = interface.name
        match action.kind:
            case "detach-interface":
                return _settings(interface), lambda: kernel.detach(name)
            case "stand-in-primary":
                if not interface.attached:
                    raise ConfigError("action.target", str(action.target), "an attached hard interface")
                return _settings(interface), lambda: kernel.stand_in(name, True)
            case "set-hop-penalty" | "set-throughput-override":
                option = OPTIONS[action.kind == "set-throughput-override"]
                before, value = getattr(interface, option), int(action.parameters[option])
                if before is None:
                    raise ConfigError("action.target", str(action.target), "an attached hard interface")
                return {option: before}, lambda: kernel.set_hardif(name, option, value)
            case "restore-mtu":
                mtu = int(action.parameters["mtu_bytes"])
                return {"mtu_bytes": interface.mtu}, lambda: kernel.set_mtu(name, mtu)
            case _:
                return {}, lambda: self._bounce(name)

    def _bounce(self, name: str) -> None:
        self.kernel.set_up(name, False)
        self._later.append((self.clock.now() + BOUNCE_S, self._up(name)))

    def _prepare_others(self, action: Action) -> tuple[Before, Callable[[], None]]:
        kernel = self.kernel
        match action.kind:
            case "block-neighbour":
                interface, mac = self._far_end(action.target)
                blocked = any(mac in i.blocked for i in kernel.interfaces() if i.name == interface)
                return {"mac": mac, "blocked": float(blocked)}, lambda: kernel.block(interface, mac, True)
            case "restart-service":
                service = action.target.name.split(":", 1)[1]
                return {}, lambda: kernel.restart_service(service)
            case "set-gw-mode":
                mode = str(action.parameters["gw_mode"])
                return {"gw_mode": kernel.mesh().gw_mode}, lambda: kernel.set_mesh("gw_mode", mode)
            case _:
                interval = int(action.parameters["orig_interval_ms"])
                before: Before = {"orig_interval_ms": kernel.mesh().orig_interval_ms}
                return before, lambda: kernel.set_mesh("orig_interval_ms", interval)

    def _undo(self, action: Action, before: Mapping[str, float | str]) -> None:
        match action.kind:
            case "detach-interface":
                name = self._interface(action.target).name
                if before.get("attached", 1.0):
                    self.kernel.attach(name)
                    self._set_again(action.target, before)
            case "stand-in-primary":
                self.kernel.stand_in(self._interface(action.target).name, False)
                self._set_again(action.target, before)
            case "set-hop-penalty" | "set-throughput-override":
                self._set_again(action.target, before)
            case "restore-mtu":
                self.kernel.set_mtu(self._interface(action.target).name, int(before["mtu_bytes"]))
            case "block-neighbour":
                interface, mac = names.ends(action.target)[1][1], str(before["mac"])
                self.kernel.block(interface, mac, bool(before.get("blocked", 0.0)))
            case "set-gw-mode" | "set-orig-interval":
                for option, value in before.items():
                    self.kernel.set_mesh(option, value if isinstance(value, str) else int(value))
            case _:
                raise NotSupported(f"{action.kind} cannot be undone")

    def _set_again(self, target: Component, before: Mapping[str, float | str]) -> None:
        interface = self._interface(target)
        for option in OPTIONS:
            if option in before and getattr(interface, option) != before[option]:
                self.kernel.set_hardif(interface.name, option, int(before[option]))

    def _far_end(self, link: Component) -> tuple[str, str]:
        """(own interface, MAC of the neighbour) of a link towards this node."""
        source, target = names.ends(link)
        mac = self.mac_of(names.interface(*source))
        if not mac:
            allowed = f"a link towards {self.node} from a neighbour with a known MAC"
            raise ConfigError("action.target", str(link), allowed)
        return target[1], mac

    def _write(self) -> None:
        if self.journal is not None:
            self.journal.write(self.applied.values())


def _acts_on(target: Component) -> str:
    """The node whose settings an action on `target` changes: for a link the one that hears it."""
    return names.ends(target)[1][0] if target.kind == "link" else names.owner(target)


def _interface_of(target: Component) -> str:
    return target.name.split(":", 1)[1]


def _settings(interface: Interface) -> Before:
    settings: Before = {"attached": float(interface.attached)}
    for option in OPTIONS:
        value = getattr(interface, option)
        if value is not None:
            settings[option] = value
    return settings
