"""What the endpoints, the live view and the loop's thread share in one process."""

from __future__ import annotations

import importlib
import logging
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from x0tta6bl4 import __version__
from x0tta6bl4.core.alerts import Delivery, Incoming, Sender
from x0tta6bl4.core.archive import Archive, Memory
from x0tta6bl4.core.briefs import in_brief
from x0tta6bl4.core.knowledge_base import KnowledgeBase
from x0tta6bl4.core.plugins import load
from x0tta6bl4.core.readers import Readers
from x0tta6bl4.core.samples import Samples
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.snapshots import Snapshots
from x0tta6bl4.core.stream import Stream
from x0tta6bl4.core.view import MeshView, Source
from x0tta6bl4.mape_k.commands import Commands
from x0tta6bl4.ml.rewrite import Endpoint
from x0tta6bl4.model import Iteration
from x0tta6bl4.monitoring import logs, tracing
from x0tta6bl4.monitoring.metrics import Metrics
from x0tta6bl4.monitoring.notify import Notices
from x0tta6bl4.monitoring.tracing import Tracing
from x0tta6bl4.network.catalog import mesh_catalog

SYSTEM: Final = "default"
SYSTEMS_MAX: Final = 16
log = logging.getLogger("x0tta6bl4.app")


@dataclass(slots=True)
class State:
    """The publisher that hands each pass to all readers of iterations.

    settings, token, source, sender: filled in when the application starts. log: write a line for each change of state.
    commands: what the loop is asked to do. archive: history; the source replaces it where it has a store. samples: the
    last minutes of readings, where a source takes them. incoming: other systems' alerts. knowledge: runbooks, notes and
    past incidents, on a thread of its own.
    """

    readers: Readers = field(default_factory=Readers)
    metrics: Metrics = field(default_factory=lambda: Metrics(__version__, mesh_catalog(None)))
    settings: Settings = field(default_factory=Settings.model_construct)
    token: str = ""
    source: Source | None = None
    log: bool = True
    tracing: Tracing | None = None
    notices: Notices | None = None
    commands: Commands = field(default_factory=Commands)
    samples: Samples = field(default_factory=Samples)
    incoming: Incoming = field(default_factory=Incoming)
    knowledge: KnowledgeBase = field(default_factory=KnowledgeBase)
    sender: Sender | None = None
    endpoint: Endpoint | None = None
    archive: Archive = field(init=False)
    stream: Stream = field(init=False)
    snapshots: Snapshots = field(init=False)
    _facades: OrderedDict[str, Any] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        """All of them read what the readers hold."""
        self.stream = Stream(self.readers)
        self.snapshots = Snapshots(self.readers)
        self.archive = Memory(self.readers, self.samples)

    def facade(self, system: str = SYSTEM) -> Any:
        """The library's `MLEnhancedMAPEK` for one system, made when it is first asked for.

        The one that was not asked for longest is forgotten where there are more than SYSTEMS_MAX.
        """
        if system not in self._facades:
            library = importlib.import_module("x0tta6bl4.ml.integration")
            self._facades[system] = library.MLEnhancedMAPEK(retriever=self.knowledge)
        self._facades.move_to_end(system)
        if len(self._facades) > SYSTEMS_MAX:
            self._facades.popitem(last=False)
        return self._facades[system]

    def has_facade(self, system: str) -> bool:
        """Has this system had an iteration that is remembered?"""
        return system in self._facades

    def delivery(self) -> dict[str, object]:
        """How sending alerts goes."""
        return asdict(self.sender.delivery if self.sender is not None else Delivery(configured=False))

    def open(self) -> None:
        """Start what tells other programs; raises ConfigError or NotSupported where the settings ask too much."""
        plugins = load(self.settings.plugins.enabled)
        notifiers = plugins.notifiers()
        self.knowledge.open(self.settings.knowledge)
        self.tracing = tracing.start(__version__, self.settings.monitoring.otlp_endpoint)
        language = self.settings.explanation.language
        self.notices = Notices(notifiers, self.metrics.notified, lambda incident: in_brief(incident, language))
        log.info("plugins: %s", ", ".join(plugins.names))

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        self.knowledge.close()
        if self.tracing is not None:
            self.tracing.close()
        if self.notices is not None:
            self.notices.close()

    def publish(self, iteration: Iteration, view: MeshView) -> None:
        """Hand one pass to snapshot, metrics and logs; called by the loop's thread."""
        self.metrics.observe(iteration)
        self.metrics.mesh((node.state for node in view.nodes), (link.state for link in view.links))
        self.metrics.control(paused=view.control.paused, kill_switch=view.control.kill_switch)
        self.readers.publish(iteration, view)
        self.knowledge.see(iteration, self.archive, view)
        if self.sender is not None:
            self.sender.see(iteration, time.time())
        if self.log:
            logs.log_iteration(iteration)
        if self.tracing is not None:
            self.tracing.observe(iteration)
        if self.notices is not None:
            self.notices.observe(iteration)
