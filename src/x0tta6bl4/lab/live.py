"""One scenario on a real mesh, from building to the record. Runs inside the lab process (`guest.py`).

Three threads: one sends the client probes and watches its timer, one works off the timeline, the main one ticks the
agents and passes datagrams to the controller outside. A slow agent delays other agents, never the measurement.
"""

from __future__ import annotations

import gc
import math
import select
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, cast

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.lab import injection, paths, relay
from x0tta6bl4.lab.agents import Agents
from x0tta6bl4.lab.field import Field
from x0tta6bl4.lab.lines import Lines
from x0tta6bl4.lab.netlab import Blueprint, settings
from x0tta6bl4.lab.participants import Factory
from x0tta6bl4.lab.quiet import Quiet
from x0tta6bl4.lab.scenarios import Scenario, from_document
from x0tta6bl4.network.linux import LinuxKernel
from x0tta6bl4.network.sockets import LinuxTransport

if TYPE_CHECKING:
    from x0tta6bl4.lab.guest import Session

WARM_INTERVAL_MS: Final = 100  # TQ is a window of 64 intervals: it fills faster when they are short
WARM_S: Final = 9.0
SETTLE_S: Final = 6.0  # at the declared interval, agents running, before time zero
OFF_TAIL_S: Final = 12.0  # after the last fault's end, without a controller
TAIL_S: Final = 120.0  # the longest hold of a mitigation (90 s) and 30 s: then nothing may differ from the start
LAG_MAX_S: Final = 0.1
KEPT_S: Final = 86_400.0  # for so long bursts of background loss are planned where a mesh is kept up
TELL_S: Final = 0.5  # how often its clients are told of


def run(session: Session, request: Mapping[str, Any]) -> dict[str, object]:
    """Carry out one run and return what the driver needs for its record (times from time zero, in seconds).

    request: document (of the scenario), seed, factory ("module:attribute" or None), settings, tail_s, early. kept: the
    mesh stays up until the driver goes away, and is broken as it asks (`relay.INJECT`, `relay.MEND`).
    """
    scenario = from_document(request["document"])
    seed = int(request["seed"])
    began = time.monotonic()
    lab = session.replace(Blueprint(scenario.topology, scenario.algorithm, scenario.orig_interval_ms))
    build_s = time.monotonic() - began
    injection.apply_background(lab, scenario.background, seed)
    factory = _factory(request.get("factory"))
    kernels = {node: lab.kernel(node) for node in lab.nodes}
    agents = Agents(session, lab, scenario, factory, request)
    kept = bool(request.get("kept"))
    field = Field(lab, scenario, seed, KEPT_S if kept else float(request.get("tail_s", TAIL_S)), agents.ask, kept=kept)
    sys.setswitchinterval(0.001)  # the probes' thread must not wait for an agent's
    try:
        _warm(session, kernels, scenario)
        before = _settings(kernels)
        agents.start_all()
        start = time.monotonic() + SETTLE_S
        agents.start = start
        session.lines.send({"notice": "start", "at": start})
        field.go(start)
        if kept:
            _keep(session, field, agents)
        else:
            _serve(session, field, agents, same=lambda: _settings(kernels) == before, request=request)
        after = _settings(kernels)
        field.end()
        return _result(field, agents, before=before, after=after, build_s=build_s)
    finally:
        sys.setswitchinterval(0.005)
        agents.close()
        field.close()
        for kernel in kernels.values():
            kernel.close()
        gc.unfreeze()


def _factory(name: str | None) -> Factory | None:
    if name is None:
        return None
    from x0tta6bl4.lab.guest import named  # noqa: PLC0415 -- guest imports this module by name when it runs one

    found = named(name)
    return cast("Factory", found() if isinstance(found, type) else found)


def _warm(session: Session, kernels: Mapping[str, LinuxKernel], scenario: Scenario) -> None:
    """Fill the TQ windows at a short interval, then go back to the declared one."""
    declared = scenario.orig_interval_ms
    for kernel in kernels.values():
        kernel.set_mesh("orig_interval_ms", min(declared, WARM_INTERVAL_MS))
    end = time.monotonic() + WARM_S
    while time.monotonic() < end:
        for document in session.lines.receive(0.5):
            session.answer(document)
    for kernel in kernels.values():
        kernel.set_mesh("orig_interval_ms", declared)
    gc.collect()
    gc.freeze()


def _settings(kernels: Mapping[str, LinuxKernel]) -> dict[str, dict[str, str]]:
    return {node: settings(kernel) for node, kernel in kernels.items()}


def _serve(
    session: Session,
    field: Field,
    agents: Agents,
    *,
    same: Callable[[], bool],
    request: Mapping[str, Any],
) -> None:
    """Tick, pass on datagrams and answer the driver until the run ends; `same`: are settings as at the start?"""
    end = field.start + field.probes_end + 1
    quiet = Quiet(field.start + field.scenario.ends + OFF_TAIL_S, same, agents, alone=request.get("factory") is None)
    now = time.monotonic()
    while now < end and not field.failure:
        due = agents.work()
        for document in _exchange(session, agents, min(due, end)):
            if document["notice"] == relay.AT_REST:
                quiet.controller = bool(document["value"])
        now = time.monotonic()
        if request.get("early", True) and quiet.ended(now):
            break


def _keep(session: Session, field: Field, agents: Agents) -> None:
    """Tick, pass on datagrams, break what the driver asks to, and tell what clients see, until something fails.

    The driver's going away ends it (Temporary).
    """
    tell = field.start
    while not field.failure:
        due = agents.work()
        for document in _exchange(session, agents, min(due, tell)):
            with suppress(ConfigError):  # the driver has checked it
                if document["notice"] == relay.INJECT:
                    field.inject(document["id"], document["entry"])
                elif document["notice"] == relay.MEND:
                    field.mend(document["id"])
        if (now := time.monotonic()) >= tell:
            tell = now + TELL_S
            session.lines.send({"notice": relay.CLIENTS, "rtt_ms": field.recent()})


def _exchange(session: Session, agents: Agents, until: float) -> list[dict[str, Any]]:
    """Wait for the driver or the bridge until `until`, and take in what they bring; returns other notices."""
    left: list[dict[str, Any]] = []
    bridge = agents.bridge
    sources: list[Lines | LinuxTransport] = [session.lines, *([bridge] if bridge is not None else [])]
    ready, _, _ = select.select(sources, [], [], max(0.0, until - time.monotonic()))
    if bridge is not None and bridge in ready:
        for node, _at, payload in bridge.receive():
            session.lines.send(relay.notice(relay.TO_CONTROLLER, node, payload))
    if session.lines in ready:
        for document in session.lines.receive(0.0):
            if document.get("notice") == relay.TO_NODE:
                agents.to_node(*relay.payload_of(document))
            elif document.get("op") == "clock":
                session.answer(document)
            elif "notice" in document:
                left.append(document)
    return left


def _result(
    field: Field,
    agents: Agents,
    *,
    before: dict[str, dict[str, str]],
    after: dict[str, dict[str, str]],
    build_s: float,
) -> dict[str, object]:
    start = field.start
    reasons = [field.failure] if field.failure else []
    if field.lag_s > LAG_MAX_S:
        reasons.append(f"guest timer lag {field.lag_s * 1e3:.0f} ms")
    duration = time.monotonic() - start
    pairs = [
        {
            "source": pair.source,
            "target": pair.target,
            "sent": [round(at - start, 4) for at in pair.sent],
            "rtt_ms": [None if math.isnan(value) else round(value, 3) for value in pair.rtt_ms],
            "excused": injection.excused(field.scenario, (pair.source, pair.target)),
            "path_touched": paths.path_touched(field.scenario, (pair.source, pair.target)),
        }
        for pair in field.clients.pairs
    ]
    return {
        "duration": duration,
        "pairs": pairs,
        "steps": [asdict(step) for step in agents.steps],
        "touched": field.touched,
        "settings_start": before,
        "settings_end": after,
        "invalid": "; ".join(reasons),
        "notes": {
            "timer_lag_ms": field.lag_s * 1e3,
            "agent_lag_ms": agents.lag_s * 1e3,
            "agents_busy_share": agents.busy_s / (duration + SETTLE_S),
            "build_s": build_s,
        },
    }
