"""Knowledge on disk: all or nothing, found again after a restart, and the database's own search for words."""

import random
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from postgresql import url_of, wipe
from x0tta6bl4.core.store import SqlStore
from x0tta6bl4.core.store.engine import alembic_config
from x0tta6bl4.core.store.knowledge import SqlKnowledge
from x0tta6bl4.errors import ConfigError, StoreError
from x0tta6bl4.ml.retrieval.chunks import passages
from x0tta6bl4.ml.retrieval.ports import Feedback, MemoryKnowledge
from x0tta6bl4.ml.retrieval.segment import Entry
from x0tta6bl4.ml.retrieval.values import Document
from x0tta6bl4.ml.retrieval.vocabulary import Vocabulary


class Hand:
    def now(self):
        return 5.0

    def utc(self):
        return 1_700_000_000.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mesh.db"


def opened(where):
    url = where if str(where).startswith("postgresql:") else f"sqlite:///{where}"
    return SqlStore(url, "controller", clock=Hand(), random=random.Random(1))


@pytest.fixture(params=["sqlite", "server", "vector_server"])
def place(request, path):
    """Where a database is, or will be: a file, a PostgreSQL, one that has pgvector."""
    if request.param == "sqlite":
        return path
    url = url_of(request.getfixturevalue(request.param))
    wipe(url)
    return url


@pytest.fixture(params=["memory", "sqlite", "server", "vector_server"])
def knowledge(request, path):
    if request.param == "memory":
        yield MemoryKnowledge()
        return
    where = path
    if request.param != "sqlite":
        where = url_of(request.getfixturevalue(request.param))
        wipe(where)
    with opened(where) as store:
        yield SqlKnowledge(store, Hand())


@pytest.fixture
def on_disk(path):
    with opened(path) as store:
        yield SqlKnowledge(store, Hand())


PAGE = Document("a/link.md", "# A lossy link\nMeasure it with ping.", {"code": "link-lossy", "n": 3, "tags": ["x"]})
NOTE = Document("b", "The pipe to Anna is weak when it rains.", timestamp=12.5)


def entries(*documents, windows=None):
    vocabulary = Vocabulary()
    return [Entry(p, vocabulary.bag(p.text), windows) for one in documents for p in passages(one)]


def test_what_is_put_is_there(knowledge):
    knowledge.put([PAGE, NOTE], entries(PAGE, NOTE), "")
    found = knowledge.documents()
    assert [(one.id, one.content, dict(one.metadata)) for one in found] == [
        (one.id, one.content, dict(one.metadata)) for one in (PAGE, NOTE)
    ]
    assert found[1].timestamp == 12.5


def test_a_document_that_is_put_twice_is_kept_once(knowledge):
    knowledge.put([PAGE], entries(PAGE), "")
    newer = Document(PAGE.id, "Another text.")
    knowledge.put([newer], entries(newer), "")
    assert [one.content for one in knowledge.documents()] == ["Another text."]


def test_what_is_dropped_is_gone_with_its_vectors(knowledge):
    windows = np.ones((2, 4), np.float32)
    knowledge.put([PAGE, NOTE], entries(PAGE, NOTE, windows=windows), "small")
    knowledge.drop([PAGE.id, "unknown"])
    assert [one.id for one in knowledge.documents()] == [NOTE.id]
    assert list(knowledge.vectors("small")) == [f"{NOTE.id}#0"]


def test_vectors_come_back_as_they_were_for_their_model_alone(knowledge):
    windows = np.random.default_rng(3).standard_normal((3, 5)).astype(np.float32)
    knowledge.put([PAGE], entries(PAGE, windows=windows), "small")
    assert np.array_equal(knowledge.vectors("small")[f"{PAGE.id}#0"], windows)
    assert knowledge.vectors("other") == {}


def test_feedback_comes_back_in_order(knowledge):
    said = [Feedback(f"question {n}", "b", n % 2 == 0) for n in range(5)]
    for one in said:
        knowledge.say(one)
    assert knowledge.feedback() == said


def test_the_last_that_was_learned_counts(knowledge):
    assert knowledge.learned() == b""
    for learned in (b"one", b"two\x00three"):
        knowledge.learn(learned)
    assert knowledge.learned() == b"two\x00three"


def test_all_of_it_survives_a_restart(place):
    windows = np.eye(2, dtype=np.float32)
    with opened(place) as store:
        knowledge = SqlKnowledge(store, Hand())
        knowledge.put([PAGE], entries(PAGE, windows=windows), "small")
        knowledge.say(Feedback("why", PAGE.id, True))
        knowledge.learn(b"x")
    with opened(place) as store:
        knowledge = SqlKnowledge(store, Hand())
        assert [one.id for one in knowledge.documents()] == [PAGE.id]
        assert np.array_equal(knowledge.vectors("small")[f"{PAGE.id}#0"], windows)
        assert knowledge.feedback() == [Feedback("why", PAGE.id, True)]
        assert knowledge.learned() == b"x"
        assert knowledge.find("lossy ping") == [PAGE.id]
        assert knowledge.near(np.array([0.0, 1.0], np.float32), "small") == [PAGE.id]


def test_the_nearest_are_found_by_the_database_alone(place):
    directions = {"north": [[0, 2]], "east": [[3, 0]], "both": [[0, 1], [1, 0.1]], "south": [[0, -1]]}
    with opened(place) as store:
        knowledge = SqlKnowledge(store, Hand())
        for name, windows in directions.items():
            page = Document(name, f"Where {name} is.")
            knowledge.put([page], entries(page, windows=np.array(windows, np.float32)), "compass")
        knowledge.put([NOTE], entries(NOTE, windows=np.ones((1, 2), np.float32)), "another")
        knowledge.drop(["south"])
        asked = np.array([1.0, 0.0], np.float32)
        assert knowledge.near(asked, "compass") == ["east", "both", "north"]
        assert knowledge.near(asked, "compass", 1) == ["east"]
        assert knowledge.near(asked, "nothing") == []


def test_a_server_keeps_vectors_in_the_type_that_it_has(place):
    from sqlalchemy import create_engine, inspect

    opened(place).close()
    if str(place).startswith("postgresql:"):
        engine = create_engine(place.replace("postgresql:", "postgresql+psycopg:"))
        has = "pgv" in place
    else:
        engine, has = create_engine(f"sqlite:///{place}"), False
    assert inspect(engine).has_table("passages_windows") == has
    engine.dispose()


def test_vectors_move_to_the_type_of_the_server_and_back(vector_server):
    url = url_of(vector_server)
    wipe(url)
    windows = np.random.default_rng(4).standard_normal((3, 5)).astype(np.float32)
    with opened(url) as store:
        SqlKnowledge(store, Hand()).put([PAGE], entries(PAGE, windows=windows), "small")
    for revision in ("0003", "0004"):
        step(url, revision)
    with opened(url) as store:
        assert np.array_equal(SqlKnowledge(store, Hand()).vectors("small")[f"{PAGE.id}#0"], windows)


def step(url, revision):
    """Move the schema to a revision."""
    from alembic import command
    from sqlalchemy import create_engine

    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        configured = alembic_config(connection)
        (command.downgrade if revision < "0004" else command.upgrade)(configured, revision)
    engine.dispose()


def test_a_put_that_fails_keeps_nothing(on_disk):
    on_disk.put([NOTE], entries(NOTE), "")
    with pytest.raises(StoreError):
        on_disk.put([PAGE, PAGE], entries(PAGE), "")
    assert [one.id for one in on_disk.documents()] == [NOTE.id]
    assert on_disk.find("ping") == []
    assert on_disk.find("rains") == [NOTE.id]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("links lose", []),
        ("lossy links", [PAGE.id]),  # stemmed
        ("PING", [PAGE.id]),
        ('"; DROP TABLE documents; --', []),
        ("NEAR(", []),
        ("", []),
        ("\u202e", []),
    ],
)
def test_words_are_found_by_the_database_alone(on_disk, words, found):
    on_disk.put([PAGE, NOTE], entries(PAGE, NOTE), "")
    assert on_disk.find(words) == found


def test_the_words_of_a_dropped_document_are_gone(on_disk, path):
    on_disk.put([PAGE, NOTE], entries(PAGE, NOTE), "")
    on_disk.drop([PAGE.id])
    assert on_disk.find("ping") == []
    with closing(sqlite3.connect(path)) as other:
        other.execute("INSERT INTO passages_words(passages_words) VALUES ('integrity-check')")  # raises where not equal


@pytest.mark.parametrize(
    ("feedback", "field"),
    [
        (Feedback("", "b", True), "feedback.query"),
        (Feedback("x" * 10_001, "b", True), "feedback.query"),
        (Feedback("x", "", True), "feedback.document"),
        (Feedback("x", "y" * 256, True), "feedback.document"),
    ],
)
def test_bad_feedback_is_refused(on_disk, feedback, field):
    with pytest.raises(ConfigError, match=field):
        on_disk.say(feedback)
    assert on_disk.feedback() == []
