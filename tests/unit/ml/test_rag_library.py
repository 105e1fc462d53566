"""The library face: what its names take and give, and a knowledge base as a file."""

import asyncio

import pytest

from x0tta6bl4.errors import ConfigError, ProtocolError, StoreError
from x0tta6bl4.ml.rag import Document, RAGAnalyzer, RetrievalResult
from x0tta6bl4.ml.retrieval.fusion import Weights
from x0tta6bl4.ml.retrieval.learn import Learned
from x0tta6bl4.ml.retrieval.ports import Feedback
from x0tta6bl4.ml.retrieval.wordvectors import word_vectors

NOTES = [
    Document("lossy", "Packets vanish between two neighbours.", {"kind": "note"}),
    Document("down", "The router lost its power supply."),
]


def run(coroutine):
    return asyncio.run(coroutine)


def filled(*documents):
    knowledge = RAGAnalyzer()
    run(knowledge.index_knowledge(documents))
    return knowledge


@pytest.mark.parametrize(("dim", "profile"), [(256, "fast"), (384, "accurate")])
def test_the_dimension_of_the_vectors_says_the_profile(dim, profile):
    assert RAGAnalyzer(embedding_dim=dim).get_stats()["profile"] == profile


@pytest.mark.parametrize("options", [{"embedding_dim": 300}, {"embedding_dim": 384, "profile": "fast"}])
def test_a_dimension_that_no_profile_has_is_refused(options):
    with pytest.raises(ConfigError) as refused:
        RAGAnalyzer(**options)
    assert (refused.value.field, refused.value.allowed) == ("knowledge.embedding_dim", "256 (fast), 384 (accurate)")


def test_a_result_is_made_of_documents_and_similarities():
    document = Document("a", "Text.")
    found = RetrievalResult(documents=[document], similarities=[0.5], query="text", timestamp=7.0)
    assert (found.documents, found.similarities, found.query, found.timestamp) == ([document], (0.5,), "text", 7.0)
    assert (found.hits[0].passage.document, found.hits[0].text) == (document, "Text.")
    assert list(RetrievalResult()) == []
    with pytest.raises(ConfigError, match="similarities"):
        RetrievalResult(documents=[document])


def test_a_saved_index_is_the_same_knowledge_elsewhere(tmp_path):
    knowledge = filled(*NOTES)
    run(knowledge.say(Feedback("no power", "down", helped=True)))
    knowledge.save_index(tmp_path / "known.json")
    other = filled(Document("own", "The dish is full of water."), Document("down", "An older text."))
    assert [other.load_index(str(tmp_path / "known.json")) for _ in range(2)] == [2, 2]
    assert [one.id for one in other.documents()] == ["down", "lossy", "own"]
    assert run(other.retrieve_context("router lost its power"))[0].content == NOTES[1].content
    assert other.document("lossy").metadata == {"kind": "note"}
    assert other._store.feedback() == [Feedback("no power", "down", helped=True)]
    assert list(tmp_path.iterdir()) == [tmp_path / "known.json"]


def test_what_was_learned_is_saved_too(tmp_path):
    learned = Learned(Weights(0.5, 0.5), None, 30, 0.1, 0.9, word_vectors().name, 0.05)
    knowledge = filled(*NOTES)
    knowledge._store.learn(learned.encode())
    knowledge.save_index(tmp_path / "known.json")
    other = RAGAnalyzer()
    other.load_index(tmp_path / "known.json")
    assert other.get_stats()["weights"] == {"lexical": 0.5, "meaning": 0.5, "sentence": 0.0}
    assert other.get_stats()["learned_from"] == 30


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"version": 2}', '{"version": 1, "documents": [{"id": ""}], "feedback": [], "learned": ""}',
     '{"version": 1, "documents": [], "feedback": [], "learned": "bm90IGl0"}'],
)  # fmt: skip
def test_another_file_is_no_saved_index(tmp_path, text):
    (tmp_path / "odd.json").write_text(text)
    knowledge = filled(*NOTES)
    with pytest.raises(ProtocolError, match=r"no saved index|has version 2|cannot be read"):
        knowledge.load_index(tmp_path / "odd.json")
    assert len(knowledge.documents()) == 2


def test_a_place_that_is_not_there_is_told(tmp_path):
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        RAGAnalyzer().load_index(tmp_path / "none.json")
    with pytest.raises(StoreError, match="cannot be written: No such file"):
        filled(*NOTES).save_index(tmp_path / "none" / "known.json")
