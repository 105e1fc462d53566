"""What the loop asks of the world: small protocols, each with its laws; everything real and every fake is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from x0tta6bl4.model import (
    Action,
    ActionRecord,
    Candidate,
    Component,
    Event,
    Incident,
    Observation,
    Order,
    Outcome,
    Plan,
    Seconds,
)


class Clock(Protocol):
    """Time. Laws: `now` never goes back; `utc` may (wall clocks are set)."""

    def now(self) -> Seconds:
        """Monotonic seconds."""
        ...

    def utc(self) -> float:
        """Seconds since 1970, for people and for UUIDs, never for arithmetic."""
        ...


class Random(Protocol):
    """A seeded source of randomness."""

    def random(self) -> float:
        """Uniform in [0, 1)."""
        ...


@runtime_checkable
class Sensor(Protocol):
    """Reads the world. Laws: returns an Observation even when it failed (`error` says why); never acts;
    keeps its Layout object while components do not change.
    """

    name: str

    def read(self, now: Seconds) -> Observation:
        """One pass of readings; may block (a worker calls it)."""
        ...


class Proof:
    """What a prober measured: `well` is the verdict, `samples` how many probes it rests on.

    share: of the probes to the worst target the share that was answered, late or not, where the prober counts them.
    """

    __slots__ = ("detail", "samples", "share", "well")

    def __init__(self, well: bool | None, samples: int, detail: str = "", share: float | None = None) -> None:
        self.well, self.samples, self.detail, self.share = well, samples, detail, share


class Prober(Protocol):
    """Proves through the data plane. Laws: never blocks; `watch` is idempotent; a verdict of None means
    "not enough samples yet", never "well".
    """

    def watch(self, key: str, targets: Sequence[Component], now: Seconds) -> None:
        """Start (or go on) sending end-to-end probes towards `targets` (nodes) for the proof named `key`."""
        ...

    def verdict(self, key: str, since: Seconds, now: Seconds) -> Proof:
        """Judge the probes sent after `since`."""
        ...

    def forget(self, key: str) -> None:
        """Stop the probes of `key`."""
        ...


class Actuator(Protocol):
    """Carries out actions of the kinds it names.

    Laws: applying the same order id twice is applying it once; undoing all orders, in any order, restores what was
    before the first; touches nothing but the target; what it cannot do is an Outcome, not an exception; an order that
    is not confirmed within `deadman_s` is undone by the actuator itself, whoever issued it. An actuator that cannot
    answer at once (it is behind a network) returns None and hands the outcome in later.
    """

    kinds: frozenset[str]

    def apply(self, order: Order) -> Outcome | None:
        """Do it and start the dead-man timer."""
        ...

    def confirm(self, order_id: str) -> Outcome | None:
        """Stop the dead-man timer: the change stays until `undo`."""
        ...

    def undo(self, order_id: str) -> Outcome | None:
        """Restore what was before."""
        ...

    def resolve(self, order: Order) -> Outcome | None:
        """After a restart: was this order carried out? Read the component; UNKNOWN if that cannot tell."""
        ...


class Detector(Protocol):
    """Scores readings against what is expected. Laws: batched; does not change its inputs; NaN scores 0."""

    name: str

    def score(self, values: object, now: Seconds) -> object:
        """float32 [metrics, slots] -> scores in [0, 1], same shape."""
        ...

    def learn(self, values: object, mask: object, now: Seconds) -> None:
        """Update from the readings where `mask` is true (not from what was just called anomalous)."""
        ...


class Ranker(Protocol):
    """Orders candidate actions. Laws: total order; pure; never drops or adds a candidate."""

    def rank(self, candidates: Sequence[Candidate], context: Mapping[str, float | str]) -> Sequence[Candidate]:
        """Best first."""
        ...


class Store(Protocol):
    """Keeps decisions. Laws: `commit` is all or nothing and durable when it returns; a record committed twice
    (same id and state) is kept once; `open_*` return what had not ended when the process last stopped.
    """

    def commit(
        self,
        *,
        incidents: Sequence[Incident] = (),
        actions: Sequence[ActionRecord] = (),
        plans: Sequence[Plan] = (),
        events: Sequence[Event] = (),
    ) -> None:
        """Keep all of it, then return; raises StoreError where it could not."""
        ...

    def open_incidents(self) -> Sequence[Incident]:
        """Incidents that are not closed."""
        ...

    def open_actions(self) -> Sequence[ActionRecord]:
        """Actions that are not final, and confirmed mitigations whose lease is not reverted."""
        ...

    @property
    def epoch(self) -> int:
        """How many processes have owned this store: orders of an earlier owner are refused."""
        ...

    def last_event(self) -> int:
        """The number of the last event kept, to count on from; 0 where there is none."""
        ...

    def past_actions(self) -> Sequence[ActionRecord]:
        """The last actions, ended ones too, oldest first."""
        ...

    def statistics(self) -> Mapping[tuple[str, str], tuple[int, int]]:
        """(cause code, action kind) -> (trials, successes)."""
        ...


class Worker(Protocol):
    """Runs blocking calls beside the loop, one in flight for each `lane`.

    Laws: `start` returns False (and does nothing) while the lane is busy; every started call appears exactly
    once in `finished`, its exception included. The inline worker of the simulator runs it at once.
    """

    def start(self, lane: str, tag: str, call: Callable[[], object]) -> bool:
        """Start `call` in `lane` unless that is busy."""
        ...

    def finished(self) -> Iterable[tuple[str, str, object]]:
        """(lane, tag, result or exception) of calls that ended since the last question."""
        ...


class Transport(Protocol):
    """Carries datagrams between a node's agent and the controller: in-band, only while the mesh carries them.

    Laws: never blocks; may lose, delay or reorder; never duplicates or alters.
    """

    def send(self, to: str, payload: bytes) -> None:
        """Send to the participant named `to` (a node's name, or "controller")."""
        ...

    def receive(self) -> Sequence[tuple[str, Seconds, bytes]]:
        """(from, arrival on the local monotonic clock, payload) since the last question."""
        ...


class Twin(Protocol):
    """Tries a remedy on a model of the system before it is tried on the system."""

    def predict(self, action: Action, target: Component) -> float:
        """Probability in [0, 1] that the action helps."""
        ...
