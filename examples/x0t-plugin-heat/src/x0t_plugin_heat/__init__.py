"""Heat: a sensor, what its readings mean, and a guard that acts on no node that is hot."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np

from x0tta6bl4.catalog import ActionKind, Catalog, CauseRule, Expect, Metric, Mode, Proposal, Scope, SymptomRule
from x0tta6bl4.core.plugins import Site
from x0tta6bl4.mape_k.guards import Situation
from x0tta6bl4.model import Component, Layout, Observation, Seconds, Severity

HOT_C: Final = 85.0  # most boards throttle here
COOL_C: Final = 75.0
METRICS: Final = ("temperature_c", "load_ratio")


class HeatSensor:
    """Reads the hottest thermal zone, and the load of one minute for each core.

    A machine without thermal zones has a load and no temperature; one whose load cannot be read is an error.
    """

    name = "heat"

    def __init__(self, node: str, root: Path = Path("/")) -> None:
        self._zones, self._load = root / "sys/class/thermal", root / "proc/loadavg"
        self._layout = Layout((Component("node", node),), METRICS)

    def read(self, now: Seconds) -> Observation:
        """One row: the temperature in degrees Celsius, the load as a share of the cores."""
        try:
            load = float(self._load.read_text(encoding="ascii").split()[0]) / (os.cpu_count() or 1)
        except (OSError, ValueError, IndexError) as error:
            nothing = np.full((1, len(METRICS)), np.nan, np.float32)
            return Observation(self.name, now, self._layout, nothing, error=f"{self._load}: {error}")
        values = np.array([[self._hottest(), load]], np.float32)
        return Observation(self.name, now, self._layout, values)

    def _hottest(self) -> float:
        degrees = []
        for zone in self._zones.glob("thermal_zone*/temp"):
            try:
                degrees.append(int(zone.read_text(encoding="ascii")) / 1000)
            except (OSError, ValueError):
                continue  # a zone that is switched off answers with an error
        return max(degrees, default=float("nan"))


def sensor(site: Site) -> HeatSensor | None:
    """Entry point: beside a node's loop only, the controller hears of it in the agent's reports."""
    return HeatSensor(site.name) if site.scope is Scope.NODE else None


def catalogue(site: Site) -> Catalog:
    """Entry point: what the readings mean, in both scopes. There is no remedy: a person must look."""
    return Catalog(
        name="heat",
        metrics=(
            Metric("node", "temperature_c", "temperature of its hottest thermal zone", stale_after_s=10.0),
            Metric("node", "load_ratio", "load of one minute, as a share of its cores", stale_after_s=10.0),
        ),
        symptoms=(
            SymptomRule(
                "node-hot", "node", "temperature_c", "it is about to throttle", HOT_C, COOL_C,
                raise_after_s=5.0, clear_after_s=10.0, severity=Severity.MINOR,
            ),
        ),
        causes=(
            CauseRule(
                "node-overheated", "node", "a node is too hot: look at its fan, its sun, its load",
                (Expect("node-hot", Mode.MUST),), 0.5, settle_s=0.0, severity=Severity.MINOR,
            ),
        ),
        actions=(),
    )  # fmt: skip


def too_hot(proposal: Proposal, kind: ActionKind, view: Situation) -> str:
    """Refuses every action on a node that is hot: what restarts there may not come up again."""
    node = Component("node", proposal.action.target.name.partition(":")[0])
    degrees = view.value(node, "temperature_c")
    return f"{node.name} is at {degrees:.0f} C, limit {HOT_C:.0f} C" if degrees is not None and degrees >= HOT_C else ""


RULES: Final = (too_hot,)
"""Entry point."""
