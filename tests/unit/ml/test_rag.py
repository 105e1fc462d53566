# ruff: noqa: RUF001  # Russian is meant here
"""The library's face: knowledge is kept, found, filed from folders, learned from; and bad input is told so."""

import asyncio
import os
import random
import threading

import numpy as np
import pytest

from x0tta6bl4.core.store import SqlStore
from x0tta6bl4.core.store.knowledge import SqlKnowledge
from x0tta6bl4.errors import ConfigError, ProtocolError, StoreError
from x0tta6bl4.knowledge import runbooks
from x0tta6bl4.ml.rag import (
    Document,
    RAGAnalyzer,
    RetrievalResult,
    benchmark_factory_fast,
    runbook_documents,
)
from x0tta6bl4.ml.retrieval.folder import read_folder
from x0tta6bl4.ml.retrieval.fusion import Weights
from x0tta6bl4.ml.retrieval.learn import Learned, _least, learn
from x0tta6bl4.ml.retrieval.ports import Feedback, MemoryKnowledge
from x0tta6bl4.ml.retrieval.semantic import Adapter
from x0tta6bl4.network.catalog import mesh_catalog


class Hand:
    def now(self):
        return 1.0

    def utc(self):
        return 1_700_000_000.0


def on_disk(path):
    return SqlStore(f"sqlite:///{path}", "c", clock=Hand(), random=random.Random(2))


def run(coroutine):
    return asyncio.run(coroutine)


def filled(*documents, **options):
    knowledge = RAGAnalyzer(**options)
    run(knowledge.index_knowledge(documents))
    return knowledge


NOTES = [
    Document("lossy", "Packets vanish between two neighbours.", {"kind": "note"}),
    {"id": "down", "content": "The router lost its power supply."},
]


def test_what_is_indexed_is_retrieved_with_scores():
    knowledge = RAGAnalyzer(utc=lambda: 42.0)
    assert run(knowledge.index_knowledge(NOTES)) == 2
    found = run(knowledge.retrieve_context("vanishing packets", k=5, threshold=0.3))
    assert isinstance(found, RetrievalResult)
    assert isinstance(found, list)
    assert [one.id for one in found] == ["lossy"]
    assert found.documents is found
    assert len(found.similarities) == 1
    assert 0.3 <= found.similarities[0] <= 1
    assert (found.query, found.timestamp, found.note) == ("vanishing packets", 42.0, "")
    assert found[0].metadata == {"kind": "note", "passage": "lossy#0", "headings": []}


def test_the_threshold_is_a_floor():
    knowledge = filled(*NOTES)
    for threshold in (0.0, 0.2, 0.5, 1.0):
        found = run(knowledge.retrieve_context("power of the router", 5, threshold))
        assert all(similarity >= threshold for similarity in found.similarities)
    assert len(run(knowledge.retrieve_context("power of the router", 5, 0.0))) == 2


def test_an_empty_base_says_so():
    knowledge = RAGAnalyzer()
    found = run(knowledge.retrieve_context("anything"))
    assert (found, found.note) == ([], "nothing is known yet: the knowledge base is empty")
    assert run(knowledge.augment_analysis({"a": 1}, "x"))["rag"]["documents"] == []
    assert knowledge.get_stats()["documents"] == 0


def test_nothing_that_fits_is_told_apart_from_nothing_known():
    found = run(filled(*NOTES).retrieve_context("sourdough baguette", threshold=0.5))
    assert (found, found.note) == ([], "nothing fits well enough")


def test_an_analysis_is_augmented_and_left_as_it_was():
    analysis = {"symptom": "link-silent"}
    told = run(filled(*NOTES).augment_analysis(analysis, "packets vanish"))
    assert analysis == {"symptom": "link-silent"}
    assert told["symptom"] == "link-silent"
    assert told["rag"]["documents"][0]["id"] == "lossy"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"query": 5}, "knowledge.query"),
        ({"query": "x" * 200_001}, "knowledge.query"),
        ({"query": "x", "k": 0}, "knowledge.k"),
        ({"query": "x", "k": 1001}, "knowledge.k"),
        ({"query": "x", "threshold": 1.5}, "knowledge.threshold"),
        ({"query": "x", "threshold": float("nan")}, "knowledge.threshold"),
    ],
)
def test_bad_arguments_are_named(arguments, field):
    with pytest.raises(ConfigError, match=field):
        run(filled(*NOTES).retrieve_context(**arguments))


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ("text", "knowledge.entry"),
        ({"id": "a"}, "knowledge.entry"),
        ({"id": "a", "content": "x", "more": 1}, "knowledge.entry"),
        ({"id": "a", "content": "x", "metadata": 3}, r"knowledge\.entry\.metadata"),
        ({"id": "a", "content": None}, "document.content"),
        ({"id": "lossy", "content": "a twin"}, "document.id"),
    ],
)
def test_one_bad_entry_keeps_all_out(entry, field):
    knowledge = RAGAnalyzer()
    with pytest.raises(ConfigError, match=field):
        run(knowledge.index_knowledge([*NOTES, entry]))
    assert knowledge.get_stats()["documents"] == 0


def test_an_unknown_profile_is_refused():
    with pytest.raises(ConfigError, match=r"knowledge\.profile: got 'best', allowed: fast or accurate"):
        RAGAnalyzer("best")


@pytest.mark.parametrize("profile", ["fast", "accurate"])
def test_a_restart_finds_what_was_kept(tmp_path, profile):
    with on_disk(tmp_path / "a.db") as store:
        knowledge = filled(*NOTES, profile=profile, store=SqlKnowledge(store, Hand()))
        before = run(knowledge.retrieve_context("vanishing packets", 2, 0.0)).similarities
    with on_disk(tmp_path / "a.db") as store:
        again = RAGAnalyzer(profile, SqlKnowledge(store, Hand()))
        assert run(again.retrieve_context("vanishing packets", 2, 0.0)).similarities == pytest.approx(before)
        run(again.forget(["lossy"]))
    with on_disk(tmp_path / "a.db") as store:
        assert RAGAnalyzer(profile, SqlKnowledge(store, Hand())).get_stats()["documents"] == 1


def test_what_cannot_be_kept_cannot_be_found():
    class Full(MemoryKnowledge):
        def put(self, documents, entries, model):
            raise StoreError("store: no space left")

    knowledge = RAGAnalyzer(store=Full())
    with pytest.raises(StoreError):
        run(knowledge.index_knowledge(NOTES))
    assert run(knowledge.retrieve_context("packets vanish", threshold=0.0)) == []


def test_the_runbooks_answer_to_their_codes():
    knowledge = filled(*runbook_documents("en"), *runbook_documents("ru"))
    for page in runbooks("en"):
        found = run(knowledge.retrieve_context(page.code, 1, where={"language": "en"}))
        assert found[0].metadata["code"] == page.code
    found = run(knowledge.retrieve_context("узел не отвечает, соседи его не слышат", 1))
    assert found[0].metadata["language"] == "ru"


# -- folders ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "wiki"
    (root / "deep").mkdir(parents=True)
    (root / "a.md").write_text(
        "---\ncode: link-lossy\naliases: [flaky]\nother: 1\n---\n# A lossy link\nPackets vanish."
    )
    (root / "deep" / "b.ru.md").write_text("# Узел\nНет питания.")
    return root


def follow(knowledge, root):
    return run(knowledge.follow(read_folder(root), root.name))


def test_a_folder_is_followed_by_what_changed(folder):
    knowledge = RAGAnalyzer()
    assert follow(knowledge, folder) == (2, 0)
    assert follow(knowledge, folder) == (0, 0)
    (folder / "a.md").write_text("# A lossy link\nSquirrels.")
    (folder / "deep" / "b.ru.md").unlink()
    assert follow(knowledge, folder) == (1, 1)
    assert [one.id for one in run(knowledge.retrieve_context("squirrels"))] == ["wiki/a.md"]


def test_front_matter_and_language_become_metadata(folder):
    a, b = read_folder(folder).documents
    assert {key: a.metadata[key] for key in ("code", "aliases", "language", "source")} == {
        "code": "link-lossy",
        "aliases": ["flaky"],
        "language": "en",
        "source": "wiki",
    }
    assert "other" not in a.metadata
    assert b.metadata["language"] == "ru"


def test_what_is_no_document_is_skipped_with_the_reason(folder):
    (folder / "binary.md").write_bytes(b"\x00\xff\xfe")
    (folder / "nul.md").write_bytes(b"a\x00b")
    with (folder / "huge.md").open("wb") as file:
        file.truncate(100_000_000)
    os.mkfifo(folder / "pipe.md")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "out.md").symlink_to("/etc/passwd")
    (folder / "circle.md").symlink_to("circle.md")
    (folder / ".git").mkdir()
    (folder / ".git" / "c.md").write_text("hidden")
    (folder / os.fsdecode(b"caf\xe9.md")).write_text("not a name in UTF-8")
    (folder / "od\u202ed.md").write_text("a name that reads otherwise than it is")
    (folder / ("x" * 250 + ".md")).write_text("too long to be an id")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    found = read_folder(folder)
    assert [one.id for one in found.documents] == ["wiki/a.md", "wiki/deep/b.ru.md"]
    assert {path: why.split(":")[0] for path, why in found.skipped.items()} == {
        "binary.md": "not UTF-8 text",
        "nul.md": "document.content",
        "huge.md": "100000000 bytes",
        "pipe.md": "not a regular file",
        "out.md": "a symbolic link",
        "circle.md": "a symbolic link",
        "caf\\udce9.md": "knowledge.page",
        "od\\u202ed.md": "knowledge.page",
        "x" * 250 + ".md": "document.id",
    }


def test_a_skipped_file_keeps_the_document_it_had(folder):
    knowledge = RAGAnalyzer()
    follow(knowledge, folder)
    (folder / "a.md").write_bytes(b"\xff")
    assert follow(knowledge, folder) == (0, 0)
    assert [one.id for one in run(knowledge.retrieve_context("packets vanish"))] == ["wiki/a.md"]


def test_a_folder_that_changes_while_it_is_read_is_read_without_harm(folder):
    stop = threading.Event()

    def churn():
        number = 0
        while not stop.is_set():
            number += 1
            (folder / "a.md").write_text("# Page\n" + "word " * (number % 500))
            (folder / f"n{number % 7}.md").write_text("new")
            (folder / f"n{(number + 3) % 7}.md").unlink(missing_ok=True)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(50):
            found = read_folder(folder)
            assert {one.id for one in found.documents} >= {"wiki/deep/b.ru.md"}
            assert all(isinstance(why, str) and why for why in found.skipped.values())
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("front", ["---\n: [\n---\nText.", "---\n- a\n---\nText.", "---\nno end", "---\n---\n"])
def test_broken_front_matter_is_just_text(folder, front):
    (folder / "a.md").write_text(front)
    (document,) = [one for one in read_folder(folder).documents if one.id == "wiki/a.md"]
    assert "code" not in document.metadata
    assert document.content == front


def test_a_folder_that_is_not_there_is_refused_and_removes_nothing(folder):
    with pytest.raises(ConfigError, match=r"knowledge\.folder"):
        read_folder(folder / "missing")


# -- learning -----------------------------------------------------------------------------------------------------

PLACES = ["mast", "cellar", "roof", "barn", "tower", "bridge", "school", "church", "harbour", "mill"]
FAULTS = ["radio", "cable", "battery", "antenna"]
SLANG = {"radio": "zorp", "cable": "flimmer", "battery": "grunk", "antenna": "wibble"}


def jargon():
    """Operators here call things by words that no page has; the page of each place says what is there."""
    pages = [Document(f"{place}-{fault}", f"The {fault} on the {place} fails.") for place in PLACES for fault in FAULTS]
    said = [
        Feedback(f"{SLANG[fault]} near the {place}", f"{place}-{fault}", True) for place in PLACES for fault in FAULTS
    ]
    return pages, said


def test_jargon_is_learned_and_kept():
    pages, said = jargon()
    store = MemoryKnowledge()
    knowledge = filled(*pages, store=store)
    for one in said:
        run(knowledge.say(one))
    learned = run(knowledge.learn())
    assert learned.better
    assert learned.adapter is not None
    assert learned.after > learned.before + 0.1
    assert knowledge.get_stats()["learned_from"] == len(said)
    again = RAGAnalyzer(store=store)
    for query in ("grunk near the mill", "wibble near the barn"):
        assert run(again.retrieve_context(query, 3, 0.0)).similarities == pytest.approx(
            run(knowledge.retrieve_context(query, 3, 0.0)).similarities, abs=1e-5
        )


def test_noise_is_not_used():
    pages, _ = jargon()
    dice = random.Random(3)
    knowledge = filled(*pages)
    before = knowledge.get_stats()["weights"]
    for number in range(40):
        run(knowledge.say(Feedback(f"the {dice.choice(FAULTS)} on the {PLACES[number % 10]} ({number})",
                                   f"{PLACES[number % 10]}-{dice.choice(FAULTS)}", True)))  # fmt: skip
    learned = run(knowledge.learn())
    if not learned.better:
        assert knowledge.get_stats()["weights"] == before
    assert (knowledge.get_stats()["learned_from"] > 0) == learned.better


def test_too_little_feedback_teaches_nothing():
    pages, said = jargon()
    knowledge = filled(*pages)
    for one in said[:23]:
        run(knowledge.say(one))
    run(knowledge.say(Feedback("zorp", "mast-radio", False)))
    assert run(knowledge.learn()) is None


def test_feedback_on_an_unknown_document_is_refused():
    with pytest.raises(ConfigError, match=r"feedback\.document"):
        run(filled(*NOTES).say(Feedback("x", "unknown", True)))


def test_what_was_learned_survives_bytes():
    adapter = Adapter(np.ones((4, 2), np.float32), np.zeros((2, 4), np.float32))
    for one in (Learned(Weights(0.5, 0.5), adapter, 9, 0.1, 0.2, "m"), Learned(Weights(1, 0), None, 9, 0.1, 0.2, "m")):
        again = Learned.decode(one.encode())
        assert (again.weights, again.pairs, again.after, again.model) == (one.weights, 9, 0.2, "m")
        assert (again.adapter is None) == (one.adapter is None)


@pytest.mark.parametrize("data", [b"", b"PK", b"\x93NUMPY", os.urandom(300)])
def test_damaged_learning_is_told(data):
    with pytest.raises(ProtocolError, match="what was learned"):
        Learned.decode(data)


def test_learning_needs_documents_that_are_there():
    _, said = jargon()
    knowledge = RAGAnalyzer()
    assert learn(knowledge._index, said) is None


def test_the_benchmark_sees_the_same_index():
    made = benchmark_factory_fast()
    made.index([("a", "Packets vanish."), ("b", "Power is lost.")])
    assert made.search("packets", 10)[0][0] == "a"


def test_a_gain_that_chance_gives_is_not_used():
    pages, _ = jargon()
    index, used = filled(*pages)._index, 0
    for seed in range(5):
        dice = random.Random(seed)
        said = [Feedback(" ".join(dice.sample(FAULTS + PLACES, 3)) + f" {number}", dice.choice(pages).id, True)
                for number in range(40)]  # fmt: skip
        found = learn(index, said)
        used += found is not None and found.better
    assert used == 0
    assert _least(np.full(8, 0.1)) > 0
    assert _least(np.array([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0])) <= 0


def test_a_folder_that_has_lost_everything_is_not_believed(tmp_path):
    knowledge = filled(Document("wiki/a.md", "Rain.", {"source": "wiki"}))
    with pytest.raises(ConfigError, match=r"wiki: empty, had 1.*mounted"):
        run(knowledge.follow(read_folder(tmp_path, "wiki"), "wiki"))
    assert knowledge.document("wiki/a.md") is not None
    assert run(knowledge.follow(read_folder(tmp_path, "wiki"), "wiki", emptied=True)) == (0, 1)


def test_a_passage_stays_under_one_title_and_the_section_that_fits_is_cited():
    roof = "# Roof A\nFeeder replaced.\n\n## Power\nThe inverter beeps.\n\n## Mast\nA stork nests.\n\n"
    knowledge = filled(Document("n", f"{roof}# Harbour B\n\n## Antenna\nThe coupling corrodes."))
    found = [
        run(knowledge.retrieve_context(query, 1, 0.0)) for query in ("coupling corrodes", "inverter beeping", "storks")
    ]
    assert [one[0].metadata["headings"] for one in found] == [
        ["Harbour B", "Antenna"], ["Roof A", "Power"], ["Roof A", "Mast"]
    ]  # fmt: skip
    assert found[2].hits[0].text == "A stork nests."


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_kind_of_action_names_its_section(language):
    knowledge = filled(*runbook_documents("en"), *runbook_documents("ru"))
    for kind in mesh_catalog().action:
        found = run(knowledge.retrieve_context(kind, 1, where={"language": language})).hits[0]
        assert (found.exact, found.headings[-1]) == (True, kind)
