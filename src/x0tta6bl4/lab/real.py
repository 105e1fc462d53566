"""Runs of a scenario on a real kernel: starts the backend, sits the controller outside, returns the record."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from x0tta6bl4.clock import SystemClock
from x0tta6bl4.errors import ConfigError, Temporary
from x0tta6bl4.lab import host, pool, relay, vm
from x0tta6bl4.lab.live import OFF_TAIL_S, SETTLE_S, TAIL_S, WARM_S
from x0tta6bl4.lab.participants import ControllerPorts, Factory, Participant
from x0tta6bl4.lab.record import PairRecord, RunRecord, Step
from x0tta6bl4.lab.remote import LabProcess
from x0tta6bl4.lab.scenarios import Scenario
from x0tta6bl4.model import Event

BACKENDS: Final = ("vm", "host")
SLACK_S: Final = 120.0  # building, and a slow machine


def start(backend: str, progress: Callable[[str], None] = lambda doing: None) -> LabProcess:
    """Start a backend; one process serves any number of runs. Raises ConfigError, NotSupported, Permanent.

    progress: told again and again what it is doing; what it raises ends the start.
    """
    if backend not in BACKENDS:
        raise ConfigError("backend", backend, " | ".join(BACKENDS))
    return vm.start(progress=progress) if backend == "vm" else host.start(progress=progress)


class _Guest:
    """The guest that this Python process has started for `run`, kept for the run after.

    A boot takes more of a CPU than a run without a controller, and disturbs the runs beside it.
    """

    def __init__(self) -> None:
        self._kept: LabProcess | None = None
        pool.before_exit(self.close)

    @contextmanager
    def lent(self) -> Iterator[LabProcess]:
        """It, started where there is none; whoever leaves with an error ends it."""
        process, self._kept = self._kept or start("vm"), None
        try:
            yield process
        except BaseException:
            process.close()
            raise
        self._kept = process

    def close(self) -> None:
        """End it."""
        process, self._kept = self._kept, None
        if process is not None:
            process.close()


_guest: Final = _Guest()


class _Outside:
    """The controller outside the lab process: its transport, its events, its ticks."""

    def __init__(
        self, lab: LabProcess, scenario: Scenario, seed: int, factory: Factory, settings: Mapping[str, object]
    ) -> None:
        self.events: list[tuple[float, dict[str, object]]] = []  # by our clock
        self._notify, self._rest = lab.notify, False
        self._box = relay.Mailbox(lambda to, data: lab.notify(relay.notice(relay.TO_NODE, to, data)))
        self._controller: Participant = factory.controller(
            ControllerPorts(
                transport=self._box,
                clock=SystemClock(),
                random=random.Random(f"{seed}/controller"),  # noqa: S311 -- jitter, not a secret
                inventory=scenario.topology.inventory(scenario.orig_interval_ms, scenario.algorithm),
                seat=scenario.seat,
                emit=self._emit,
                settings=settings,
            )
        )
        self.period_s = self._controller.period_s

    def _emit(self, event: Event) -> None:
        document: dict[str, object] = {
            "type": event.type,
            "incident": event.incident,
            "component": event.component,
            "data": dict(event.data),
            "origin": event.origin,
        }
        self.events.append((time.monotonic(), document))

    def deliver(self, document: dict[str, Any]) -> None:
        """A datagram that came out of the mesh."""
        self._box.deliver(*relay.payload_of(document))

    def tick(self) -> None:
        """One tick of the controller; the lab process is told when it comes to rest, and when it does not stay so."""
        self._controller.tick(time.monotonic())
        if (rest := self._controller.at_rest()) != self._rest:
            self._rest = rest
            self._notify({"notice": relay.AT_REST, "value": rest})

    def close(self) -> None:
        """Stop it."""
        self._controller.close()


def run(
    scenario: Scenario,
    *,
    backend: str = "vm",
    seed: int | None = None,
    factory: Factory | None = None,
    factory_name: str | None = None,
    settings: Mapping[str, object] | None = None,
    process: LabProcess | None = None,
    tail_s: float = TAIL_S,
    early: bool = True,
) -> RunRecord:
    """Run `scenario` once on a real kernel.

    factory: builds the controller here; factory_name: the same as "MODULE:ATTRIBUTE", builds the agents in the lab
    process; both None is a run without a controller. process: a started backend to use; without one it is started, and
    ended, or where it is a guest kept for the next run of this Python process unless this one raises.
    tail_s: how long after the last fault the run may go on until settings are as at the start; early: it ends once
    they have been so for 20 s with agents and controller at rest (`quiet.Quiet`). Raises what `start` raises, Temporary
    where the lab process is lost.
    """
    if (factory is None) != (factory_name is None):
        raise ConfigError("factory_name", factory_name, "given together with factory, or neither")
    if process is None:
        with _guest.lent() if backend == "vm" else start(backend) as own:
            return run(
                scenario,
                backend=backend,
                seed=seed,
                factory=factory,
                factory_name=factory_name,
                settings=settings,
                process=own,
                tail_s=tail_s,
                early=early,
            )
    used_seed = scenario.seed if seed is None else seed
    tail = tail_s if factory is not None else OFF_TAIL_S
    request = {
        "document": scenario.document,
        "seed": used_seed,
        "factory": factory_name,
        "settings": dict(settings or {}),
        "tail_s": tail,
        "early": early,
    }
    trip_s = process.measure_clock()
    made = None if factory is None else partial(_Outside, process, scenario, used_seed, factory, settings or {})
    zero, result, said = _drive(process, request, made, WARM_S + SETTLE_S + scenario.ends + tail + SLACK_S)
    result["notes"]["clock_trip_ms"] = trip_s * 1e3
    events = [(at + process.offset - zero, event) for at, event in said]
    return _record(scenario, backend, used_seed, result, events, controller=factory is not None)


def keep(
    scenario: Scenario,
    *,
    seed: int,
    factory: Factory,
    factory_name: str,
    process: LabProcess,
    seen: Callable[[Sequence[PairRecord]], None],
) -> str:
    """Keep the mesh of `scenario` up until `process` is closed (Temporary); returns why it ended by itself.

    What is broken meanwhile is what `inject` and `mend` ask for. seen: told twice a second, on another thread, what
    each client pair saw over the last seconds.
    """
    request = {"document": scenario.document, "seed": seed, "factory": factory_name, "settings": {}, "kept": True}

    def heard(document: dict[str, Any]) -> None:
        if document["notice"] == relay.CLIENTS:
            seen(
                [
                    PairRecord(*pair, [], _rtts(rtt), [])
                    for pair, rtt in zip(scenario.pairs, document["rtt_ms"], strict=True)
                ]
            )

    made = partial(_Outside, process, scenario, seed, factory, {})
    _, result, _ = _drive(process, request, made, math.inf, heard)
    return str(result["invalid"] or "the lab's process ended the run")


def inject(process: LabProcess, ident: str, entry: Mapping[str, Any]) -> None:
    """Begin a fault in a mesh that is kept up: a timeline entry, of which only how long it lasts counts."""
    process.notify({"notice": relay.INJECT, "id": ident, "entry": dict(entry)})


def mend(process: LabProcess, ident: str) -> None:
    """End such a fault before its time."""
    process.notify({"notice": relay.MEND, "id": ident})


def _rtts(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _drive(
    process: LabProcess,
    request: dict[str, Any],
    make: Callable[[], _Outside] | None,
    wait_s: float,
    heard: Callable[[dict[str, Any]], None] = lambda document: None,
) -> tuple[float, dict[str, Any], list[tuple[float, dict[str, object]]]]:
    """(time zero on the lab's clock, result, events) of one run; the controller begins when the agents have begun."""
    zero = math.nan
    outside: _Outside | None = None

    def on_notice(document: dict[str, Any]) -> None:
        nonlocal zero, outside
        if document["notice"] == "start":
            zero = float(document["at"])
            outside = None if make is None else make()
        elif document["notice"] == relay.TO_CONTROLLER and outside is not None:
            outside.deliver(document)
        else:
            heard(document)

    process.on_notice = on_notice
    end = time.monotonic() + wait_s
    number = process.start("run", request=request)
    due = time.monotonic()
    try:
        while time.monotonic() < end:
            ended, result = process.finish(number, max(0.0, due - time.monotonic()))
            if ended:
                return zero, result, [] if outside is None else outside.events
            if outside is not None:
                outside.tick()
            due = max(due + (1.0 if outside is None else outside.period_s), time.monotonic())
        raise Temporary(f"lab process: the run did not end within {wait_s:.0f} s")
    finally:
        process.on_notice = lambda notice: None
        if outside is not None:
            outside.close()


def _record(
    scenario: Scenario,
    backend: str,
    seed: int,
    result: Mapping[str, Any],
    events: list[tuple[float, dict[str, object]]],
    *,
    controller: bool,
) -> RunRecord:
    pairs = [
        PairRecord(
            source=pair["source"],
            target=pair["target"],
            sent=pair["sent"],
            rtt_ms=_rtts(pair["rtt_ms"]),
            excused=[(start, end) for start, end in pair["excused"]],
            path_touched=pair["path_touched"],
        )
        for pair in result["pairs"]
    ]
    return RunRecord(
        scenario=scenario.name,
        backend=backend,
        algorithm=scenario.algorithm,
        tuning=scenario.tuning,
        management=scenario.management,
        seed=seed,
        controller=controller,
        duration=float(result["duration"]),
        faults=scenario.fault_records(),
        pairs=pairs,
        events=events,
        steps=[Step(**step) for step in result["steps"]],
        touched=[(at, tuple(nodes)) for at, nodes in result["touched"]],
        settings_start=result["settings_start"],
        settings_end=result["settings_end"],
        invalid=str(result["invalid"]),
        notes=dict(result["notes"]),
    )
