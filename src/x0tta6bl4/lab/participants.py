"""Who takes part in a lab run besides the mesh itself: agents and a controller, built by a factory the caller gives.

The lab does not know the product's wiring (it may not import `core`): it hands out ports, calls `tick`, and stamps
what comes back. A factory in another process (the guest) is named as "module:attribute".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from x0tta6bl4.model import Event
from x0tta6bl4.network.kernel import Kernel
from x0tta6bl4.network.wire import Wire
from x0tta6bl4.ports import Clock, Random, Transport

CONTROLLER = "controller"


@dataclass(frozen=True, slots=True)
class DeclaredInterface:
    """What an operator declared about a hard interface; `peers` are the nodes it can hear ([] if unknown)."""

    name: str
    mac: str
    mtu: int
    dummy: bool = False
    radio: bool = False  # a shared medium with several neighbours


@dataclass(frozen=True, slots=True)
class DeclaredNode:
    """One expected member of the mesh: a node is its inventory name, mapped to all its MACs."""

    name: str
    interfaces: tuple[DeclaredInterface, ...]
    address: str = ""  # MAC of bat0
    orig_interval_ms: int = 1000
    algorithm: str = "BATMAN_IV"


@dataclass(frozen=True, slots=True)
class NodePorts:
    """What an agent gets: everything is of its own node, except the inventory."""

    name: str
    kernel: Kernel
    wire: Wire
    transport: Transport
    clock: Clock
    random: Random
    inventory: tuple[DeclaredNode, ...]
    seat: str  # the node beside which the controller sits
    settings: Mapping[str, object] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)  # outlives the agent, not the node: the next agent finds it


@dataclass(frozen=True, slots=True)
class ControllerPorts:
    """What the controller gets. `emit` is its event stream; the lab stamps arrivals in its own time."""

    transport: Transport
    clock: Clock
    random: Random
    inventory: tuple[DeclaredNode, ...]
    seat: str
    emit: Callable[[Event], None]
    settings: Mapping[str, object] = field(default_factory=dict)


class Participant(Protocol):
    """Something with a loop. The lab calls `tick` every `period_s`; it never blocks longer than a few ms."""

    period_s: float

    def tick(self, now: float) -> None:
        """Take in what arrived and do what is due."""
        ...

    def expect_reboot(self, seconds: float) -> None:
        """The node is told to shut down for a planned reboot (systemd stop): say goodbye, be back within `seconds`."""
        ...

    def at_rest(self) -> bool:
        """Is it done: no action under way, no lease held, no incident open? Only then may a run end early."""
        ...

    def close(self) -> None:
        """Stop; release what it holds."""
        ...


class Factory(Protocol):
    """Builds participants."""

    def agent(self, ports: NodePorts) -> Participant:
        """The agent of one node (after a reboot a new one)."""
        ...

    def controller(self, ports: ControllerPorts) -> Participant:
        """The controller of the mesh."""
        ...
