"""What the endpoints, the live view and the loop's thread share in one process."""

from __future__ import annotations

from dataclasses import dataclass, field

from x0tta6bl4 import __version__
from x0tta6bl4.core.readers import Readers
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.stream import Stream
from x0tta6bl4.core.view import MeshView, Source
from x0tta6bl4.model import Iteration
from x0tta6bl4.monitoring import logs
from x0tta6bl4.monitoring.metrics import Metrics


@dataclass(slots=True)
class State:
    """The publisher that hands each pass to all readers of iterations.

    settings, token, source: filled in when the application starts. log: write a line for each change of state.
    """

    readers: Readers = field(default_factory=Readers)
    metrics: Metrics = field(default_factory=lambda: Metrics(__version__))
    settings: Settings = field(default_factory=Settings.model_construct)
    token: str = ""
    source: Source | None = None
    log: bool = True
    stream: Stream = field(init=False)

    def __post_init__(self) -> None:
        """The stream walks the ring of the readers."""
        self.stream = Stream(self.readers)

    def publish(self, iteration: Iteration, view: MeshView) -> None:
        """Hand one pass to snapshot, metrics and logs; called by the loop's thread."""
        self.metrics.observe(iteration)
        self.readers.publish(iteration, view)
        if self.log:
            logs.log_iteration(iteration)
