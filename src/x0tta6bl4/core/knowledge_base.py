"""The knowledge base of a running controller, on a thread of its own: neither the loop nor the API waits for it.

`ml.rag` and the packages that it needs (the extra `ml`) are imported on that thread only: without them every question
is answered with the reason, and all else goes on.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from x0tta6bl4.core.archive import Archive
from x0tta6bl4.core.knowledge_sources import Sources
from x0tta6bl4.core.setting_groups import KnowledgeSettings
from x0tta6bl4.errors import ConfigError, NotSupported, ProtocolError, StoreError, Temporary
from x0tta6bl4.ml.results import Passage
from x0tta6bl4.ml.retriever import Retriever, retrieve
from x0tta6bl4.model import IncidentState, Iteration
from x0tta6bl4.ports import Clock

if TYPE_CHECKING:
    from x0tta6bl4.core.store import SqlStore
    from x0tta6bl4.core.view import MeshView
    from x0tta6bl4.ml.rag import RAGAnalyzer
    from x0tta6bl4.ml.retrieval.values import RetrievalResult

T = TypeVar("T")
ANSWER_S: Final = 2.0
RETRY_S: Final = 30.0
CLOSE_S: Final = 10.0
BEFORE: Final = "the loop has not finished its first pass yet"
OFF: Final = "there is no knowledge base: knowledge.profile is off"
MISSING: Final = "the knowledge base needs packages that are not installed ({}): pip install 'x0tta6bl4[ml]'"

log = logging.getLogger("x0tta6bl4.knowledge")


class Beside:
    """A retriever of a plugin, on a thread: one that blocks, raises or hangs holds nobody back. One call in flight."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever
        self._call: Future[tuple[tuple[Passage, ...], str]] | None = None

    async def ask(self, query: str, k: int) -> tuple[tuple[Passage, ...], str]:
        """(what it finds, why there is nothing)."""
        if self._call is not None and not self._call.done():
            return (), "the call before has not ended"
        call = self._call = Future()
        threading.Thread(target=self._run, args=(call, query, k), name="retriever", daemon=True).start()
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(call)), ANSWER_S)
        except TimeoutError:
            return (), f"no answer within {ANSWER_S:g} s"

    def _run(self, call: Future[tuple[tuple[Passage, ...], str]], query: str, k: int) -> None:
        try:
            call.set_result(asyncio.run(retrieve(self._retriever, query, k)))
        except Exception as error:  # noqa: BLE001  # foreign code at its outer edge: the asker is told
            call.set_result(((), f"{type(error).__name__}: {error}"))


class KnowledgeBase:
    """One `RAGAnalyzer` with its sources. It begins with the first pass after `open` and ends with `close`.

    `see` is for the loop's thread and never blocks; `ask` is for an event loop and never blocks it. It is a
    `ml.retriever.Retriever` for the library's loop.
    """

    def __init__(self) -> None:
        self._settings = KnowledgeSettings()
        self._store: Callable[[], Any] = lambda: None
        self.beside: Mapping[str, Beside] = {}
        self._guard = threading.Lock()
        self._reset(wanted=False)

    def _reset(self, *, wanted: bool) -> None:
        self._wanted, self._ending = wanted, False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._sources: Sources | None = None
        self._woken = asyncio.Event()
        self._ready: Future[RAGAnalyzer] = Future()
        self._trouble = "it is being built"

    def open(self, settings: KnowledgeSettings) -> None:
        """Begin with the next pass, unless the settings say that there is none."""
        with self._guard:
            self._settings = settings
            self._reset(wanted=settings.profile != "off")

    def keep_in(self, store: SqlStore, clock: Clock) -> None:
        """Keep what is known in this store, which must outlive `close`; without one it ends with the process."""
        self._store = lambda: importlib.import_module("x0tta6bl4.core.store.knowledge").SqlKnowledge(store, clock)

    def see(self, iteration: Iteration, archive: Archive, view: MeshView | None = None) -> None:
        """Take in one pass: what it closed is read from the archive later, and indexed. view: the mesh in that pass."""
        with self._guard:
            if not self._wanted or self._ending:
                return
            if self._sources is None:
                self._begin(archive)
            assert self._sources is not None
            closed = [one.id for one in iteration.incidents if one.state is IncidentState.CLOSED]
            for ident in closed:
                self._sources.take(ident, view)
            if closed:
                self._wake()

    def close(self) -> None:
        """End it once what was begun is kept, after ten seconds at most; what waits is taken in at the next start."""
        with self._guard:
            if not self._ending:
                self._ending = True
                self._wake()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
        self._store = lambda: None

    async def ask(self, call: Callable[[RAGAnalyzer], Coroutine[Any, Any, T]], within_s: float = ANSWER_S) -> T:
        """What `call` returns, which runs on the knowledge base's thread.

        Raises NotSupported where there is none, Temporary where it is not ready or does not answer within `within_s`
        seconds, each with the reason; and what `call` raises.
        """
        if self._settings.profile == "off":
            raise NotSupported(OFF)
        loop, ready = self._loop, self._ready
        if loop is None:
            raise Temporary(f"the knowledge base is not ready: {BEFORE}")
        try:
            rag = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(ready)), within_s)
        except TimeoutError:
            raise Temporary(f"the knowledge base is not ready: {self._trouble}") from None
        if self._ending:
            raise Temporary("the knowledge base is closed")
        answer = asyncio.run_coroutine_threadsafe(call(rag), loop)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(answer), within_s)
        except TimeoutError:
            raise Temporary(
                f"the knowledge base did not answer in {within_s:g} s; what was begun may still take effect"
            ) from None

    async def retrieve_context(self, query: str, k: int = 5, threshold: float = 0.3) -> RetrievalResult:
        """At most `k` documents that fit; raises like `ask`."""
        return await self.ask(lambda rag: rag.retrieve_context(query, k, threshold))

    async def elsewhere(self, query: str, k: int) -> tuple[list[tuple[str, Passage]], list[str]]:
        """([(retriever's name, passage)], why some gave nothing): what the retrievers beside it find."""
        names = list(self.beside)
        answers = await asyncio.gather(*(self.beside[name].ask(query, k) for name in names))
        found = [(name, passage) for name, (passages, _) in zip(names, answers, strict=True) for passage in passages]
        return found, [f"{name}: {why}" for name, (_, why) in zip(names, answers, strict=True) if why]

    def standing(self, rag: RAGAnalyzer) -> dict[str, Any]:
        """How it stands: how much it knows, what it was taught, and what could not be taken in."""
        stats, sources = rag.get_stats(), self._sources
        assert sources is not None
        return {
            **{name: stats[name] for name in ("documents", "passages", "profile", "learned_from")},
            "waiting": sources.waiting,
            "dropped": sources.dropped,
            "problems": [f"{source}: {why}" for source, why in sorted(sources.problems.items())],
        }

    # -- its thread -----------------------------------------------------------------------------------------------

    def _begin(self, archive: Archive) -> None:
        self._sources = Sources(self._settings, archive)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(self._loop, self._sources), name="knowledge")
        self._thread.daemon = True
        self._thread.start()

    def _wake(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._woken.set)

    def _run(self, loop: asyncio.AbstractEventLoop, sources: Sources) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:  # its end waits for what is being written
            runner.run(self._serve(sources))

    async def _serve(self, sources: Sources) -> None:
        try:
            rag = await self._built(sources)
            while rag is not None and not self._ending:
                now = asyncio.get_running_loop().time()
                await self._sleep(await sources.update(rag, now) - now)
        except (NotSupported, ConfigError, ProtocolError) as error:
            self._fail(str(error))
        except ImportError as error:
            self._fail(MISSING.format(error.name))
        except Exception as error:  # the outer edge of this thread: the reader is told
            log.exception("the knowledge base ended")
            self._fail(f"the knowledge base ended: {type(error).__name__}: {error}")
        while not self._ending:
            await self._sleep(None)
        asked = asyncio.all_tasks() - {asyncio.current_task()}
        if asked:
            await asyncio.wait(asked, timeout=ANSWER_S)

    async def _built(self, sources: Sources) -> RAGAnalyzer | None:
        """It with all that is kept and the runbooks; a store that fails is asked again. None: it ends before."""
        while not self._ending:
            try:
                rag = await asyncio.to_thread(self._make)
                await sources.begin(rag)
            except StoreError as error:
                self._trouble = str(error)
                log.warning("the knowledge base is not ready: %s", error)
                await self._sleep(RETRY_S)
            else:
                self._ready.set_result(rag)
                return rag
        return None

    def _make(self) -> RAGAnalyzer:
        made: RAGAnalyzer = importlib.import_module("x0tta6bl4.ml.rag").RAGAnalyzer(
            self._settings.profile, self._store()
        )
        return made

    def _fail(self, why: str) -> None:
        log.warning("%s", why)
        if self._ready.done():
            self._ready = Future()
        self._ready.set_exception(NotSupported(why))

    async def _sleep(self, seconds: float | None) -> None:
        """Until something happens, at most so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)
        self._woken.clear()
