"""A controller that tells what it did, pass by pass: the link between a run and its readers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from x0tta6bl4.core.controller import Controller
from x0tta6bl4.lab.participants import ControllerPorts, Factory, NodePorts, Participant
from x0tta6bl4.mape_k.commands import Commands
from x0tta6bl4.model import Event, Iteration

Told = Callable[[Controller, Iteration], None]
"""Called on the loop's thread after every pass of the controller."""


def watched(
    build: Callable[[ControllerPorts], Participant], ports: ControllerPorts, told: Told, commands: Commands
) -> Controller:
    """What `build` makes of `ports`, telling `told` of every pass and doing what `commands` asks.

    The iteration that is told carries every event since the last one, agents' actions included, which the controller
    says only after its own pass.
    """
    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        ports.emit(event)

    made = build(replace(ports, emit=emit))
    assert isinstance(made, Controller), "only the product's own controller can be watched"

    def see(iteration: Iteration) -> None:
        told_now = replace(iteration, events=tuple(events))
        events.clear()
        told(made, told_now)

    made.see = see
    made.loop.commands = commands
    return made


class Watched:
    """Wraps a factory so that its controller is watched."""

    def __init__(self, base: Factory, told: Told, commands: Commands) -> None:
        self._base, self._told, self._commands = base, told, commands

    def agent(self, ports: NodePorts) -> Participant:
        """The agent as it is."""
        return self._base.agent(ports)

    def controller(self, ports: ControllerPorts) -> Participant:
        """The controller, watched."""
        return watched(self._base.controller, ports, self._told, self._commands)
