"""The controller's knowledge base: fed by the loop without holding it up, kept over restarts, honest."""

import asyncio
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from driven import Driven, knowing, served, until
from hand_made import CAUSE, action, incident, iteration
from x0tta6bl4.core import knowledge_sources
from x0tta6bl4.core.archive import IncidentFilter
from x0tta6bl4.core.knowledge_base import KnowledgeBase
from x0tta6bl4.core.knowledge_sources import Sources, healed
from x0tta6bl4.core.readers import IncidentFile
from x0tta6bl4.core.setting_groups import KnowledgeSettings
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.errors import ConfigError, NotSupported, StoreError, Temporary
from x0tta6bl4.ml.rag import RAGAnalyzer
from x0tta6bl4.ml.retrieval.ports import MemoryKnowledge
from x0tta6bl4.model import ActionState, IncidentState

CLOSED = IncidentState.CLOSED
PATIENT_S = 20.0
FINAL = (ActionState.CONFIRMED, ActionState.UNDONE)


class History:
    """An archive of incidents by id; `log` says which were read on which thread."""

    def __init__(self, *files):
        self.files = {file.incident.id: file for file in files}
        self.threads = set()

    def incidents(self, wanted, cursor, limit):
        assert wanted == IncidentFilter(CLOSED)
        return [file for file in reversed(self.files.values()) if wanted.takes(file)][:limit]

    def incident(self, ident):
        self.threads.add(threading.get_ident())
        return self.files.get(ident)


def closed(ident="i1", *actions):
    return IncidentFile(incident(ident, CLOSED, closed_at=20.0), actions=actions)


def told(base, query="hello loss", **where):
    return asyncio.run(base.ask(lambda rag: rag.retrieve_context(query, 5, 0.0, where), PATIENT_S))


def known(base):
    async def ids(rag):
        return {document.id for document in rag.documents()}

    return asyncio.run(base.ask(ids, PATIENT_S))


@pytest.fixture
def base():
    made = KnowledgeBase()
    yield made
    made.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "knowledge"]


def begun(base, history=None, **settings):
    base.open(KnowledgeSettings(**settings))
    base.see(iteration(), history or History())
    return base


def test_runbooks_of_both_languages_are_there_at_once(base):
    begun(base)
    assert told(base, "packets are lost on a link", language="en")[0].id == "runbooks/link-lossy.md"
    assert told(base, "на линке теряются пакеты", language="ru")[0].id == "runbooks/link-lossy.ru.md"


def test_a_closed_incident_is_found_with_what_helped(base):
    file = closed("i7", action(ActionState.CONFIRMED))
    history = History()
    begun(base, history)
    history.files["i7"] = file
    base.see(iteration(incidents=(file.incident,)), history)
    until(lambda: "incidents/i7" in known(base))
    found = told(base, "both ends miss hellos", kind="incident")
    assert found[0].metadata["cause"] == "link-lossy"
    assert threading.get_ident() not in history.threads


def test_an_incident_waits_until_history_has_it_closed(base):
    history = History(IncidentFile(incident("i1")))
    begun(base, history)
    base.see(iteration(incidents=(closed().incident,)), history)
    until(lambda: history.threads)
    assert "incidents/i1" not in known(base)
    history.files["i1"] = closed()
    until(lambda: "incidents/i1" in known(base))


def test_what_closed_while_it_was_away_is_taken_from_history(base):
    begun(base, History(closed("a"), closed("b")))
    until(lambda: {"incidents/a", "incidents/b"} <= known(base))


def test_words_of_an_agent_that_are_no_text_end_nothing(base):
    bad = incident("bad", CLOSED, closed_at=20.0, cause=replace(CAUSE, detail="\0"))
    begun(base, History(IncidentFile(bad), closed("good")))
    until(lambda: "incidents/good" in known(base))
    assert "binary data in 'incidents/bad'" in standing(base)["problems"][0]


def standing(base, within_s=PATIENT_S):
    async def call(rag):
        return base.standing(rag)

    return asyncio.run(base.ask(call, within_s))


def test_more_than_the_queue_holds_is_counted():
    sources = Sources(KnowledgeSettings(), History())
    for number in range(knowledge_sources.WAITING_MAX + 3):
        sources.take(f"i{number}")
        sources.take("i0")
    assert (sources.waiting, sources.dropped) == (knowledge_sources.WAITING_MAX, 3)


def test_the_oldest_incidents_are_forgotten(monkeypatch):
    monkeypatch.setattr(knowledge_sources, "INCIDENTS_MAX", 2)
    rag, history = RAGAnalyzer(), History(*(closed(f"i{number}") for number in range(4)))
    sources = Sources(KnowledgeSettings(), history)

    async def taken():
        await sources.begin(rag)
        await sources.update(rag, 0.0)

    asyncio.run(taken())
    kinds = Counter(document.id for document in rag.documents() if document.metadata["kind"] == "incident")
    assert set(kinds) == {"incidents/i2", "incidents/i3"}


def test_what_helped_is_judged_as_everywhere():
    good, bad = (replace(action(state, state.value), applied_at=11.0) for state in FINAL)
    good = replace(good, confirmed_at=12.0)
    assert healed(closed("i1", good, bad, action(ActionState.REFUSED, "never"))) == {
        "confirmed": True, "undone": False, "never": None
    }  # fmt: skip


# -- kept, and honest -------------------------------------------------------------------------------------------------


def test_notes_and_incidents_outlive_a_restart(tmp_path):
    settings = Settings(store={"directory": str(tmp_path)})
    with served(settings, Driven(tmp_path)) as client:
        knowing(client)
        client.source.bench.web.demand = 2.0
        note = client.post("/v1/knowledge", json={"text": "A stork nests on the mast.", "tags": ["mast"]}).json()
        plan = until(lambda: client.get("/v1/plans", params={"state": "awaiting approval"}).json()["items"])[0]
        client.post(f"/v1/incidents/{plan['incident']}/close", json={"reason": "a drill"})
        path = f"/v1/knowledge/passages/incidents/{plan['incident']}"
        until(lambda: client.get(path).status_code == 200)
    with served(settings, Driven(tmp_path, 1e6)) as client:
        knowing(client)
        assert client.get(path).json()["kind"] == "incident"
        found = client.get("/v1/knowledge/search", params={"q": "stork"}).json()["items"][0]
        assert (found["document"], found["tags"]) == (note["id"], ["mast"])
        assert found["at_utc"] > 1e9


class Broken(MemoryKnowledge):
    """A store that fails until it is mended."""

    broken = True

    def documents(self):
        if self.broken:
            raise StoreError("the disk is on fire")
        return super().documents()


def test_a_store_that_fails_is_told_and_asked_again(base, monkeypatch):
    monkeypatch.setattr("x0tta6bl4.core.knowledge_base.RETRY_S", 0.05)
    store = Broken()
    monkeypatch.setattr(base, "_store", lambda: store)
    begun(base)

    def refusal():
        with pytest.raises(Temporary) as refused:
            standing(base, 0.1)
        return str(refused.value)

    until(lambda: refusal() == "the knowledge base is not ready: the disk is on fire")
    store.broken = False
    assert standing(base)["documents"] > 30


def test_before_the_first_pass_and_where_it_is_off_the_reason_is_told(base):
    base.open(KnowledgeSettings())
    with pytest.raises(Temporary, match="not finished its first pass"):
        told(base)
    begun(base, profile="off")
    with pytest.raises(NotSupported, match=r"knowledge\.profile is off"):
        told(base)


def test_a_slow_answer_holds_nobody_up(base):
    begun(base)

    async def slow(rag):
        await asyncio.sleep(60)

    async def beside():
        ticks = 0
        asked = asyncio.create_task(base.ask(slow, 0.3))
        while not asked.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks, asked.exception()

    told(base)
    ticks, error = asyncio.run(beside())
    assert ticks > 10
    assert isinstance(error, Temporary)
    assert "may still take effect" in str(error)


def test_a_pass_costs_the_loop_nothing(base):
    history = History(*(closed(f"i{number}") for number in range(500)))
    begun(base, history)
    one = iteration(incidents=tuple(file.incident for file in history.files.values()))
    began = time.perf_counter()
    for _ in range(10):
        base.see(one, history)
    assert (time.perf_counter() - began) / 10 < 0.2  # 500 that closed at once, while all of them are indexed


def test_closing_it_keeps_what_was_begun_and_opening_begins_anew(base):
    begun(base)
    told(base)
    base.close()
    with pytest.raises(Temporary, match="closed"):
        told(base)
    begun(base)
    assert told(base, "link-lossy")[0].id == "runbooks/link-lossy.md"


WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("Stemmer", "tokenizers", "wordllama", "onnxruntime", "hnswlib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from pathlib import Path
from driven import Driven, served, until
from x0tta6bl4 import cli
from x0tta6bl4.core import machine, demo
from x0tta6bl4.core.settings import Settings
place = Path(sys.argv[1])
with served(Settings(store={"directory": str(place)}), Driven(place)) as client:
    # until its thread has tried the imports, the answer is that it is being built
    until(lambda: "not ready" not in client.get("/v1/knowledge/passages").json()["detail"], 30.0)
    for path in ("search?q=x", "passages"):
        answer = client.get(f"/v1/knowledge/{path}")
        print(answer.status_code, answer.json()["detail"])
    print(client.post("/v1/knowledge", json={"text": "x"}).status_code)
    print(client.get("/v1/mesh/status").status_code, client.source.failure() or "well")
"""


def test_without_the_extra_the_reason_is_told_and_all_else_goes_on(tmp_path):
    tests = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path)], cwd=tests, capture_output=True, text=True, check=False,
        env={"PATH": "", "PYTHONPATH": str(tests)}, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line[:3] for line in lines] == ["503", "503", "503", "200"], done.stdout
    assert all("pip install 'x0tta6bl4[ml]'" in line for line in lines[:2]), done.stdout
    assert lines[3] == "200 well"


# -- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_followed(tmp_path):
    wiki = tmp_path / "wiki"
    wiki.mkdir()
    (wiki / "a.md").write_text("# Anna\nThe feeder was replaced.")
    (wiki / "b.md").write_bytes(b"\x00\xff\xfe")
    (wiki / "loop").symlink_to(wiki, target_is_directory=True)
    rag, sources = RAGAnalyzer(), Sources(KnowledgeSettings(folders={"wiki": str(wiki), "gone": "/no/such"}), History())

    def pages():
        return {one.id for one in rag.documents() if one.metadata["source"] == "wiki"}

    asyncio.run(sources.update(rag, 0.0))
    assert pages() == {"wiki/a.md"}
    assert "b.md" in sources.problems["wiki"]
    assert "a folder that exists" in sources.problems["gone"]
    (wiki / "a.md").unlink()
    (wiki / "b.md").write_text("text now")
    asyncio.run(sources.update(rag, 59.0))
    assert pages() == {"wiki/a.md"}
    asyncio.run(sources.update(rag, 61.0))
    assert pages() == {"wiki/b.md"}
    assert "wiki" not in sources.problems
    asyncio.run(Sources(KnowledgeSettings(), History()).begin(rag))
    assert pages() == set()


def test_names_of_folders_are_checked(tmp_path):
    for name in ("notes", "a/b", ""):
        with pytest.raises(ValueError, match="folders"):
            KnowledgeSettings(folders={name: str(tmp_path)})
    with pytest.raises(ConfigError, match=r"knowledge\.profile"):
        RAGAnalyzer("best")


def test_the_librarys_loop_is_told_what_is_known(tmp_path):
    with served(Settings(store={"directory": str(tmp_path)}), Driven()) as client:
        body = {"monitoring_data": {"cpu": 0.5}, "available_actions": ["restart"]}
        assert client.post("/v1/autonomic/loop", json=body).status_code == 200
        assert client.get("/v1/ml/stats").json()["retrieval"] is True
