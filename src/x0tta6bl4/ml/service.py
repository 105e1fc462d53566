"""A system of which only names are known: its readings as an observation, its catalogue from metric and action names.

A metric is a component, part of the service that it is measured of, so that the loop takes in new names as they
come. A metric for which bounds were given is unwell outside of them; of any other the baseline learns what is usual.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Final

import numpy as np

from x0tta6bl4.catalog import ActionKind, Autonomy, Catalog, CauseRule, Expect, Metric, Mode, Remedy, SymptomRule
from x0tta6bl4.errors import ConfigError, SystemFull
from x0tta6bl4.mape_k.executor import READ_AFTER_S
from x0tta6bl4.model import Component, Edge, Layout, Observation, Relation, Seconds

SYSTEM: Final = "system"
SERVICE: Final = "service"
METRIC: Final = "metric"
UNWELL: Final = "unwell"
SYMPTOMS: Final = ("out-of-bounds", "unusual")
METRICS_MAX: Final = 1000  # of one system in its life
NAME_MAX: Final = 200
FLOAT_MAX: Final = float(np.finfo(np.float32).max)

Readings = Mapping[str, float | None]
Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take in the system, in seconds; raises ConfigError unless all are finite and > 0, judge_s > 1.

    confirm_s: how long a reading must stay bad before anything is done. action_s: how long an action may take to
    answer. judge_s: how long after an action readings may take to become well; then it has not helped. quiet_s: how
    long all must be well before an incident closes. stale_s: a reading older than this is unknown.
    """

    confirm_s: Seconds = 1.0
    action_s: Seconds = 30.0
    judge_s: Seconds = 30.0
    quiet_s: Seconds = 10.0
    stale_s: Seconds = 300.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, Real) or not 0 < float(value) < math.inf:
                raise ConfigError(f"timing.{field.name}", value, "a finite number of seconds > 0")
        if self.judge_s <= READ_AFTER_S:
            raise ConfigError(
                "timing.judge_s", self.judge_s, f"more than {READ_AFTER_S:g} s, the soonest that can be judged"
            )


def checked_name(field: str, name: object) -> str:
    """A name of a metric, action or component; raises ConfigError where it cannot be one."""
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= NAME_MAX or "/" in name:
        shown = f"{name[:40]}... of {len(name)} characters" if isinstance(name, str) and len(name) > NAME_MAX else name
        raise ConfigError(field, shown, f"a name of 1 to {NAME_MAX} printable characters without '/'")
    return name


def checked_readings(metrics: object) -> dict[str, float | None]:
    """Readings by metric name, None for what was not measured (None, NaN, infinite).

    Raises ConfigError where it is no mapping of name to number, or a number does not fit into a float32.
    """
    if not isinstance(metrics, Mapping):
        raise ConfigError("monitoring_data", type(metrics).__name__, "a mapping of metric name to number")
    return {checked_name("monitoring_data", name): _number(name, value) for name, value in metrics.items()}


def _number(name: str, value: object) -> float | None:
    if value is None:
        return None
    field = f"monitoring_data.{name}"
    if not isinstance(value, Real):
        raise ConfigError(field, type(value).__name__, "a number, or None where nothing was measured")
    try:
        number = float(value)
    except OverflowError:
        number = FLOAT_MAX * 2
    if not math.isfinite(number):
        return None
    if abs(number) > FLOAT_MAX:
        raise ConfigError(field, f"a number beyond {FLOAT_MAX:.3g}", f"at most {FLOAT_MAX:.3g} in either direction")
    return number


def checked_bounds(healthy: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Bounds by metric name; raises ConfigError where one is no (low, high) with low <= high."""
    if not isinstance(healthy, Mapping):
        raise ConfigError("healthy", type(healthy).__name__, "a mapping of metric name to (low, high)")
    return {checked_name("healthy", name): _bounds(name, pair) for name, pair in healthy.items()}


def _bounds(name: str, pair: object) -> tuple[float, float]:
    match pair:
        case [Real(), Real()]:
            low, high = float(pair[0]), float(pair[1])
            if low <= high:
                return low, high
    raise ConfigError(f"healthy.{name}", pair, "(low, high), low <= high; -inf or inf for no bound")


def service_catalog(timing: Timing, actions: Iterable[ActionKind], remedy: Remedy) -> Catalog:
    """The catalogue: a service is unwell while any of its metrics is out of bounds or unusual."""
    return Catalog(
        name=SERVICE,
        metrics=(
            Metric(SERVICE, "measured", "how many metrics were measured", timing.stale_s),
            Metric(METRIC, "outside", "1 outside of the bounds that were given, else 0", timing.stale_s),
            Metric(METRIC, "value", "its reading", timing.stale_s, learn=True, spread_min=1e-9, spread_min_ratio=0.05),
        ),
        symptoms=(
            SymptomRule(
                SYMPTOMS[0], METRIC, "outside", "outside of the bounds that were given", 0.5, 0.5,
                raise_after_s=timing.confirm_s, clear_after_s=0.0,
            ),
            SymptomRule(
                SYMPTOMS[1], METRIC, "value", "far from what is usual", 0.5, 1 / 3, score=True,
                raise_after_s=timing.confirm_s, clear_after_s=0.0,
            ),
        ),
        causes=(
            CauseRule(
                UNWELL, SERVICE, "its readings are not well",
                tuple(Expect(code, Mode.ANY, ("~part_of",)) for code in SYMPTOMS), prior=0.6, settle_s=0.0,
            ),
        ),
        actions=tuple(actions),
        remedies={UNWELL: remedy},
    )  # fmt: skip


def action_kind(name: str, timing: Timing, *, executable: bool) -> ActionKind:
    """One named action: nobody knows how to undo it; without a callable it is advice."""
    return ActionKind(
        name,
        SERVICE,
        name,
        risk=0.0,
        irreversible=True,
        prove_s=timing.judge_s,
        autonomy=Autonomy.ACT if executable else Autonomy.ADVISE,
    )


def service(component: str) -> Component:
    """What incidents are about and actions are aimed at."""
    return Component(SERVICE, component)


def metric(component: str, name: str) -> Component:
    """One metric of one service."""
    return Component(METRIC, f"{component}/{name}")


class GivenReadings:
    """`ports.Sensor` over readings that the caller gives: each is handed to the loop once."""

    name = "given"

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.at: Seconds = 0.0  # of the last pass
        self.known: dict[str, dict[str, None]] = {}  # component -> its metrics, in order of appearance
        self._layouts: dict[str, Layout] = {}
        self._given: tuple[str, Readings] | None = None

    def give(self, component: str, readings: Readings) -> None:
        """Keep them for the next pass; raises ConfigError where there are more metrics than a system may have."""
        names = self.known.get(component, {})
        new = [name for name in readings if name not in names]
        if new or component not in self.known:
            if sum(map(len, self.known.values())) + len(new) > METRICS_MAX:
                raise SystemFull("monitoring_data", new[0], f"at most {METRICS_MAX} metrics in the life of a system")
            names = self.known[component] = {**names, **dict.fromkeys(new)}
            parts = [metric(component, name) for name in names]
            self._layouts[component] = Layout(
                (service(component), *parts),
                ("measured", "outside", "value"),
                tuple(Edge(part, Relation.PART_OF, service(component)) for part in parts),
            )
        self._given = (component, readings)

    def read(self, now: Seconds) -> Observation:
        """What was given since the last pass."""
        self.at = now
        if self._given is None:
            return Observation(self.name, now, Layout((), ()), np.empty((0, 0), np.float32))
        (component, readings), self._given = self._given, None
        layout = self._layouts[component]
        values = np.full((len(layout.components), 3), np.nan, np.float32)
        values[0, 0] = sum(value is not None for value in readings.values()) or np.nan  # blind: its age tells
        for row, name in enumerate(self.known[component], 1):
            value = readings.get(name)
            if value is not None and (bounds := self.bounds.get(name)) is not None:
                values[row, 1] = not bounds[0] <= value <= bounds[1]
            elif value is not None:
                values[row, 2] = value
        return Observation(self.name, now, layout, values)
