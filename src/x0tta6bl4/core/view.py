"""The mesh as people look at it: one frozen value for a page, a table or a document. Missing is None, never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from x0tta6bl4.core.alerts import Incoming
from x0tta6bl4.core.archive import Archive
from x0tta6bl4.core.knowledge_base import KnowledgeBase
from x0tta6bl4.core.samples import Samples
from x0tta6bl4.lab.participants import DeclaredNode
from x0tta6bl4.mape_k.commands import Commands
from x0tta6bl4.model import ActionRecord, Iteration, Seconds, Window


@dataclass(frozen=True, slots=True)
class InterfaceView:
    """One hard interface of a node."""

    name: str
    up: bool | None = None
    attached: bool | None = None
    primary: bool | None = None
    mtu: int | None = None


@dataclass(frozen=True, slots=True)
class NodeView:
    """One expected node. state: "well", "suspect", "down", or "unknown" where nothing was heard of it yet.

    report_age_s: seconds since its agent last reported.
    """

    name: str
    state: str
    report_age_s: Seconds | None = None
    interfaces: tuple[InterfaceView, ...] = ()
    boot_id: str = ""


@dataclass(frozen=True, slots=True)
class LinkView:
    """One directed link, `source` and `target` as node names. state as of a node, and "avoided" under a mitigation."""

    source: str
    target: str
    interface: str
    state: str
    loss_ratio: float | None = None
    rtt_ms: float | None = None
    quality: float | None = None  # [0, 1]: TQ / 255, or throughput against the best of the mesh


@dataclass(frozen=True, slots=True)
class ClientView:
    """What a client pair sees end to end, by the lab's own probes; a mesh outside the lab has none."""

    source: str
    target: str
    well: bool | None
    loss_ratio: float | None = None
    rtt_ms: float | None = None


@dataclass(frozen=True, slots=True)
class FaultView:
    """A fault that the lab injected; the controller never sees it."""

    id: str
    kind: str
    component: str
    since_s: Seconds
    remaining_s: Seconds | None = None


@dataclass(frozen=True, slots=True)
class PolicyView:
    """How much the controller may do by itself with one kind of action: `level` now, `declared` in settings."""

    kind: str
    target: str
    title: str
    level: str
    declared: str
    risk: float
    repair: bool
    irreversible: bool


@dataclass(frozen=True, slots=True)
class ControlView:
    """What people set at run time, and what the controller's own mitigations hold."""

    paused: bool = False
    kill_switch: bool = False
    reason: str = ""
    policies: tuple[PolicyView, ...] = ()
    windows: tuple[Window, ...] = ()
    leases: tuple[ActionRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class MeshView:
    """The mesh at `at` (monotonic seconds of the loop). backend: "mesh" (this machine's), "sim", "vm" or "host".

    routes: node -> target -> next hop, as the nodes' own routing tables said last. at_utc: the same moment by the wall
    clock that the loop goes by; None where it has none.
    """

    at: Seconds
    backend: str
    algorithm: str = ""
    seat: str = ""
    nodes: tuple[NodeView, ...] = ()
    links: tuple[LinkView, ...] = ()
    clients: tuple[ClientView, ...] = ()
    faults: tuple[FaultView, ...] = ()
    inventory: tuple[DeclaredNode, ...] = ()
    routes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    control: ControlView = ControlView()
    at_utc: float | None = None


class Publisher(Protocol):
    """Where a loop's thread leaves what it did.

    commands: what its loop is asked to do. archive: where its history is read, replaced where there is a store.
    samples: takes readings where there is no store. incoming: other systems' alerts, restored where there is a store.
    knowledge: kept where there is a store, and closed before it.
    """

    commands: Commands
    archive: Archive
    samples: Samples
    incoming: Incoming
    knowledge: KnowledgeBase

    def publish(self, iteration: Iteration, view: MeshView) -> None:
        """Called after every pass; never blocks and never raises for its readers' sake."""
        ...


class Source(Protocol):
    """Something that runs a loop over a mesh on its own thread: this machine's mesh, or a lab's.

    Laws: `start` returns at once and publishes soon; `stop` is idempotent and returns when the thread has ended;
    `failure` is "" while all is well.
    """

    title: str

    def start(self, publisher: Publisher) -> None:
        """Begin on a thread of its own."""
        ...

    def stop(self) -> None:
        """End, and undo what only made sense while running."""
        ...

    def failure(self) -> str:
        """Why it ended by itself, in one line."""
        ...


@runtime_checkable
class SlowSource(Source, Protocol):
    """A source that takes long to begin, and says what it is doing meanwhile. start_s: how long at most."""

    start_s: Seconds

    def progress(self) -> str:
        """What it does before its first pass, in a few words."""
        ...


@runtime_checkable
class LabSource(Source, Protocol):
    """A source over a mesh that the lab made: the only kind in which faults can be injected."""

    def inject(self, kind: str, target: str, for_s: Seconds, parameters: Mapping[str, float]) -> str:
        """Begin a fault that ends by itself after `for_s`; returns its id.

        Raises ConfigError for an unknown kind, target or parameter. May be called from any thread.
        """
        ...

    def end(self, fault: str) -> bool:
        """End a fault before its time; False where none of this id is active. May be called from any thread."""
        ...
