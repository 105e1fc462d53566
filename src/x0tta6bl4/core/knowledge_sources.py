"""What a controller's knowledge base is fed with: the project's runbooks, followed folders, and closed incidents."""

from __future__ import annotations

import asyncio
import importlib
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from x0tta6bl4.core.archive import Archive, IncidentFilter
from x0tta6bl4.core.places import MeshPlaces
from x0tta6bl4.core.readers import IncidentFile
from x0tta6bl4.core.setting_groups import KNOWLEDGE_NAMES, KnowledgeSettings
from x0tta6bl4.errors import ConfigError, StoreError
from x0tta6bl4.knowledge import LANGUAGES
from x0tta6bl4.mape_k.memory import judge
from x0tta6bl4.ml.retrieval.folder import Folder, read_folder
from x0tta6bl4.ml.retrieval.incidents import incident_document
from x0tta6bl4.ml.retrieval.values import Document
from x0tta6bl4.ml.similar import Fingerprint, fingerprint
from x0tta6bl4.model import IncidentState
from x0tta6bl4.network.catalog import mesh_catalog

if TYPE_CHECKING:
    from x0tta6bl4.core.view import MeshView
    from x0tta6bl4.ml.rag import RAGAnalyzer

RUNBOOKS, INCIDENTS, NOTES, PAGES = KNOWLEDGE_NAMES
FOLLOW_S: Final = 60.0
AGAIN_S: Final = 1.0  # until the loop's commit of a closing has reached the store
WAITING_MAX: Final = 1000
PART: Final = 100  # incidents indexed at once
INCIDENTS_MAX: Final = 10_000  # beyond it the oldest are forgotten here; history keeps them
SHOWN: Final = 3
CATALOG: Final = mesh_catalog()


def healed(file: IncidentFile) -> dict[str, bool | None]:
    """Which of an incident's actions helped, by id; None where nobody can tell."""
    trials = {record.id: judge(None, record, file.incident) for record in file.actions}
    return {ident: trial.success if trial else None for ident, trial in trials.items()}


class Sources:
    """Keeps a knowledge base equal to what it is made of. `take` is for the loop's thread, the rest for one other.

    archive: where closed incidents are read. problems: what cannot be taken in now and why, by source. dropped:
    incidents that found the queue full; the next start takes them in from history.
    """

    def __init__(self, settings: KnowledgeSettings, archive: Archive) -> None:
        self._folders, self._archive = settings.folders, archive
        # In order, each once, with the mesh as it was then; one thread adds, the other takes.
        self._waiting: dict[str, MeshView | None] = {}
        self._kept: deque[str] = deque()  # documents of incidents, oldest first
        self._next = float("-inf")
        self.problems: dict[str, str] = {}
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Incidents that are not taken in yet."""
        return len(self._waiting)

    def take(self, incident: str, view: MeshView | None = None) -> None:
        """An incident has closed; never blocks. view: the mesh as it was then, None where that is past."""
        if incident in self._waiting:
            return
        if len(self._waiting) >= WAITING_MAX:
            self.dropped += 1
        else:
            self._waiting[incident] = view

    async def begin(self, rag: RAGAnalyzer) -> None:
        """Take in this version's runbooks, forget folders that are followed no more, queue incidents that are missing.

        Raises StoreError.
        """
        pages = importlib.import_module("x0tta6bl4.ml.rag").runbook_documents
        await rag.follow(Folder(tuple(page for language in LANGUAGES for page in pages(language)), {}), RUNBOOKS)
        known = rag.documents()
        await rag.forget([one.id for one in known if self._orphaned(str(one.metadata.get("source")))])
        past = sorted((one for one in known if one.metadata.get("source") == INCIDENTS), key=lambda one: one.timestamp)
        self._kept = deque(one.id for one in past)
        closed = IncidentFilter(IncidentState.CLOSED)
        for file in reversed(await asyncio.to_thread(self._archive.incidents, closed, "", WAITING_MAX)):
            if rag.document(f"{INCIDENTS}/{file.incident.id}") is None:
                self.take(file.incident.id)

    def _orphaned(self, source: str) -> bool:
        return not (source in KNOWLEDGE_NAMES or source in self._folders or source.startswith(f"{PAGES}/"))

    async def update(self, rag: RAGAnalyzer, now: float) -> float:
        """Take in what waits and, once a minute, what has changed in the folders; returns when to come again."""
        if now >= self._next:
            self._next = now + FOLLOW_S
            for name, directory in self._folders.items():
                await self._follow(rag, name, directory)
        try:
            await self._take_in(rag)
            self.problems.pop(INCIDENTS, None)
        except StoreError as error:
            self.problems[INCIDENTS] = str(error)
        return min(self._next, now + AGAIN_S) if self._waiting else self._next

    async def _follow(self, rag: RAGAnalyzer, name: str, directory: str) -> None:
        try:
            folder = await asyncio.to_thread(_read, directory, name)
            await rag.follow(folder, name)
        except (ConfigError, StoreError, OSError) as error:  # what was known of it stays
            self.problems[name] = str(error)
            return
        self.problems.pop(name, None)
        if folder.skipped:
            self.problems[name] = _left_out(folder.skipped)

    async def _take_in(self, rag: RAGAnalyzer) -> None:
        """Index those that the archive has as closed; those that it has not yet wait on."""
        for _ in range(0, len(self._waiting), PART):
            part = list(self._waiting)[:PART]
            files = await asyncio.to_thread(self._files, part)
            known = [file for file in files if file is not None]
            closed = [file for file in known if file.incident.state is IncidentState.CLOSED]
            documents = [document for one in closed if (document := self._told(one)) is not None]
            await rag.index_knowledge(documents)
            views = {ident: self._waiting.pop(ident) for ident in part}
            self._waiting.update({one.incident.id: views[one.incident.id] for one in known if one not in closed})
            self.dropped += len(files) - len(known)
            await self._forget_oldest(rag, documents)

    def _files(self, part: Sequence[str]) -> list[IncidentFile | None]:
        return [self._archive.incident(ident) for ident in part]

    def _told(self, file: IncidentFile) -> Document | None:
        """An incident as a document; None where an agent's words in it are no text."""
        try:
            seen = _fingerprint(file, self._waiting.get(file.incident.id))
            return incident_document(file.incident, file.actions, healed(file), CATALOG, seen)
        except ConfigError as error:
            self.problems[f"{INCIDENTS}/{file.incident.id}"] = str(error)
            return None

    async def _forget_oldest(self, rag: RAGAnalyzer, added: Sequence[Document]) -> None:
        known = set(self._kept)
        self._kept.extend(one.id for one in added if one.id not in known)
        old = [self._kept.popleft() for _ in range(len(self._kept) - INCIDENTS_MAX)]
        if old:
            await rag.forget(old)


def _fingerprint(file: IncidentFile, view: MeshView | None) -> Fingerprint | None:
    """With its place in the mesh as it was; None where that is not known any more."""
    if view is None:
        return None
    place = MeshPlaces(view).of(file.incident.cause.component)
    return fingerprint(file.incident, file.actions, place, view.algorithm)


def _read(directory: str, name: str) -> Folder:
    return read_folder(Path(directory).expanduser(), name)


def _left_out(skipped: Mapping[str, str]) -> str:
    first = "; ".join(f"{path}: {why}" for path, why in list(skipped.items())[:SHOWN])
    return f"{len(skipped)} left out: {first}" + ("; ..." if len(skipped) > SHOWN else "")
