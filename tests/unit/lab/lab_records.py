"""Hand-made run records: the lab's probes drawn by intervals, so that the right answer is plain arithmetic."""

import math

from x0tta6bl4.lab.record import FaultRecord, PairRecord, RunRecord, Truth

STEP = 0.05
LINK = "adjacency/n2:v2-3<>n3:v3-2"


def pair(lost=(), slow=(), excused=(), *, end=80.0, source="n2", target="n3", start=0.0, path_touched=()):
    """One probe each 50 ms from `start` to `end`; answered in 10 ms but where `lost` or `slow` (200 ms)."""
    sent = [start + i * STEP for i in range(round((end - start) / STEP))]

    def rtt(at):
        if any(a - 1e-9 <= at < b - 1e-9 for a, b in lost):
            return math.nan
        return 200.0 if any(a - 1e-9 <= at < b - 1e-9 for a, b in slow) else 10.0

    return PairRecord(source, target, sent, [rtt(at) for at in sent], list(excused), list(path_touched))


def fault(component=LINK, code="link-down", *, start=20.0, end=60.0, kind_class="hard", repairable=True, name="f1"):
    return FaultRecord(name, "link-blackhole", kind_class, start, end, Truth(code, component), repairable, ("n2", "n3"))


def said(at, type_, incident="i1", component=LINK, *, code="link-down", causes=None, **data):
    """One event as the lab stamped it."""
    if type_.startswith("incident."):
        data = {"code": code, "component": component, "causes": causes or [{"code": code, "component": component}]}
    return (at, {"type": type_, "incident": incident, "component": component, "data": data, "origin": "controller"})


def run(pairs=None, *, controller=True, faults=None, **fields):
    values = {
        "scenario": "blackhole",
        "backend": "sim",
        "algorithm": "BATMAN_IV",
        "tuning": "default",
        "management": "inband",
        "seed": 0,
        "controller": controller,
        "duration": 86_400.0 / 8,
        "faults": [fault()] if faults is None else faults,
        "pairs": [pair()] if pairs is None else pairs,
        "events": [],
        "steps": [],
        "touched": [(20.0, ("n2", "n3")), (60.0, ("n2", "n3"))],
        "settings_start": {"n1": {"attached": "v1-2,v1-6", "mtu:v1-2": "1560"}},
        "settings_end": {"n1": {"attached": "v1-6 v1-2", "mtu:v1-2": "1560"}},
    }
    return RunRecord(**values | fields)
