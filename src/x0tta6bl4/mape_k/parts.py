"""The parts list of a loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from x0tta6bl4.catalog import Catalog, Scope
from x0tta6bl4.mape_k.guards import RULES, Limits, Rule
from x0tta6bl4.model import Component, Seconds
from x0tta6bl4.ports import Actuator, Clock, Detector, Prober, Ranker, Sensor, Store, Worker


@dataclass(frozen=True)
class Parts:
    """What a loop is built from. `instant` sensors answer at once; `sensors` may block and run in the worker.

    detectors: kind of component -> those that judge its learnable metrics beside the baseline; none is shared.
    """

    catalog: Catalog
    clock: Clock
    store: Store
    worker: Worker
    prober: Prober
    new_id: Callable[[], str]
    origin: str
    scope: Scope
    sensors: Sequence[Sensor] = ()
    instant: Sequence[Sensor] = ()
    actuators: Sequence[Actuator] = ()
    limits: Limits = field(default_factory=Limits)
    seat: Component | None = None
    ranker: Ranker | None = None
    detectors: Mapping[str, Sequence[Detector]] = field(default_factory=dict)
    rules: Sequence[Rule] = RULES
    hold_down_s: Seconds = 10.0
    patience_s: Seconds = 0.0  # how long the mesh's loop leaves to a node what the node may heal itself
