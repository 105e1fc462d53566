"""Monitor's way in: sensors are asked, what they say is folded into the state, what they fail at is kept as a value."""

from __future__ import annotations

from typing import Final

import numpy as np

from x0tta6bl4.mape_k.columns import Columns
from x0tta6bl4.mape_k.graph import Graph
from x0tta6bl4.mape_k.parts import Parts
from x0tta6bl4.model import Observation, Seconds

SILENT_AFTER_S: Final = 5.0  # a sensor that has not answered for so long is an error


class Senses:
    """The sensors of one loop.

    errors: sensor -> why it gives nothing now. late: those whose reading was dropped in this pass, because the one
    before had not ended.
    """

    def __init__(self, parts: Parts, columns: Columns, graph: Graph) -> None:
        self._parts, self._columns, self._graph = parts, columns, graph
        self.errors: dict[str, str] = {}
        self.late: tuple[str, ...] = ()
        self._answered: dict[str, Seconds] = {}
        self._taken = 0

    def ask(self, now: Seconds) -> None:
        """Start a reading of every sensor that may block, each in its lane; the worker hands them to `take`."""
        late: list[str] = []
        for sensor in self._parts.sensors:
            self._answered.setdefault(sensor.name, now)
            if not self._parts.worker.start(f"read:{sensor.name}", sensor.name, lambda s=sensor: s.read(now)):  # type: ignore[misc]
                late.append(sensor.name)
                if now - self._answered[sensor.name] > SILENT_AFTER_S:
                    self.errors[sensor.name] = f"no answer for {now - self._answered[sensor.name]:.0f} s"
        self.late = tuple(late)

    def look(self, now: Seconds) -> None:
        """Read those that answer at once."""
        for sensor in self._parts.instant:
            try:
                observation = sensor.read(now)
            except Exception as error:  # noqa: BLE001  # the edge of the loop: a sensor that raises is a value
                self.errors[sensor.name] = f"{type(error).__name__}: {error}"
            else:
                self.take(observation, now)

    def take(self, observation: Observation, now: Seconds) -> None:
        """Fold one observation into the state; its failure is a value."""
        self._answered[observation.sensor] = now
        if observation.error:
            self.errors[observation.sensor] = observation.error
        else:
            self.errors.pop(observation.sensor, None)
        shape = (len(observation.layout.components), len(observation.layout.metrics))
        ages = observation.age_s
        if np.shape(observation.values) != shape or (isinstance(ages, np.ndarray) and ages.shape != shape):
            self.errors[observation.sensor] = f"readings of shape {np.shape(observation.values)}, its layout is {shape}"
            return
        self._graph.learn(observation.layout)
        self._taken += self._columns.fold(observation)

    def count(self) -> int:
        """How many values were taken since the last question."""
        taken, self._taken = self._taken, 0
        return taken
