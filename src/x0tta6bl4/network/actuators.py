"""Actuators of one node, over its kernel: each knows what was before, so that it can take back what it did.

The dead-man timer is here, beside the interface: an order that nobody confirms in time is undone by `expire`,
whoever issued it. The journal (a small JSON file where a path is given) survives this process: at start, what was
not confirmed is undone. It survives a reboot of the node too, which the settings of its network do not: entries of
an earlier boot are known as not there any more.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar, cast

from x0tta6bl4.errors import ConfigError, NotSupported, ResourceError
from x0tta6bl4.model import Action, Component, Did, Order, Outcome, Seconds
from x0tta6bl4.network.changes import IRREVERSIBLE, KINDS, SET_INTERFACE, TAKE_OUT, Changes, interface_of
from x0tta6bl4.network.journal import Applied, Journal
from x0tta6bl4.network.kernel import Kernel
from x0tta6bl4.ports import Clock

Method = TypeVar("Method", bound=Callable[..., Outcome])
RETRY_S: Final = 1.0  # what the kernel refused to take back is tried again
ENDED_MAX: Final = 1000
FOR_GOOD: Final = IRREVERSIBLE | {"restore-mtu"}  # once confirmed, hardly anybody takes it back
FOR_GOOD_MAX: Final = 50  # so many of them are remembered


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
        self.node, self.kernel, self.clock, self.journal = node, kernel, clock, journal
        self.changes = Changes(node, kernel, mac_of=mac_of, later=self._do_later)
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
            if not self.changes.concerns(action):
                return Outcome(order.id, Did.REFUSED, f"{action.kind} on {action.target} is not for {self.node}")
            before, change = self.changes.prepare(action)
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
                self.changes.undo(known.order.action, known.before)
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
            before, _ = self.changes.prepare(action)
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

    def _do_later(self, after_s: Seconds, call: Callable[[], None]) -> None:
        self._later.append((self.clock.now() + after_s, call))

    def _forget_earlier_boots(self, boot: str) -> list[Outcome]:
        gone = [i for i, known in self.applied.items() if boot and known.boot and known.boot != boot]
        for order_id in gone:
            self._end(order_id)
        return [Outcome(order_id, Did.UNDONE, "the node was restarted since") for order_id in gone]

    def _take_back_unproven(self) -> list[Outcome]:
        unproven = [a.order for a in self.applied.values() if not a.confirmed]
        for order in unproven:
            if order.action.kind == "bounce-interface":  # the second half may never have come
                self._do_later(0.0, self.changes.up(interface_of(order.action.target)))
                self.expire()
        return [self.undo(order.id) for order in unproven if order.action.kind not in IRREVERSIBLE]

    def _write(self) -> None:
        if self.journal is not None:
            self.journal.write(self.applied.values())
