# ruff: noqa: RUF001  # Russian is meant here
"""The index: what is found, in which order, at once, under filters, and while others write."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.ml.retrieval import vectors as vectors_module
from x0tta6bl4.ml.retrieval.fusion import ACCURATE, Weights
from x0tta6bl4.ml.retrieval.index import Index
from x0tta6bl4.ml.retrieval.minilm import sentence_vectors
from x0tta6bl4.ml.retrieval.values import Document
from x0tta6bl4.ml.retrieval.vectors import VectorStore, top
from x0tta6bl4.ml.retrieval.wordvectors import word_vectors

PAGES = [
    Document(
        "lossy", "# A lossy link\nPackets vanish between two neighbours. Measure with ping.", {"code": "link-lossy"}
    ),
    Document("down", "# A dead node\nThe router lost its power supply, nobody hears it.", {"code": "node-down"}),
    Document(
        "mtu", "# Broken MTU\nLarge frames are dropped while small ones pass.", {"code": "mtu-broken", "kind": "risk"}
    ),
    Document("ru", "# Потери на соединении\nПакеты теряются между соседями.", {"code": "link-lossy", "language": "ru"}),
    Document("KubeletDown", "KubeletDown\nThe agent of a node cannot be reached.", {"kind": "risk"}),
]


@pytest.fixture
def index():
    made = Index(word_vectors())
    made.add(PAGES)
    return made


def ids(hits):
    return [hit.passage.document.id for hit in hits]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("packets vanish", "lossy"),
        ("no electricity at the router", "down"),
        ("frames too large", "mtu"),
        ("теряются пакеты", "ru"),
        ("agent unreachable", "KubeletDown"),
    ],
)
def test_the_page_that_fits_is_first(index, query, first):
    assert ids(index.search(query))[0] == first


def test_meaning_finds_what_shares_no_word(index):
    assert ids(index.search("electricity outage"))[0] == "down"


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("what is mtu-broken when packets vanish and power is lost", {"mtu"}),
        ("link-lossy", {"lossy", "ru"}),
        ("LINK-LOSSY!", {"lossy", "ru"}),
        ("KubeletDown large frames are dropped", {"KubeletDown"}),
        ("packets", set()),
    ],
)
def test_a_document_that_the_query_names_comes_first(index, query, named):
    hits = index.search(query)
    assert {hit.passage.document.id for hit in hits if hit.exact} == named
    assert set(ids(hits)[: len(named)]) == named


def test_what_a_document_is_called_is_searched_too(index):
    index.add(
        [Document("slow", "# Delay\nIt takes long.", {"aliases": ["high latency", "lag"], "title": "Sluggishness"})]
    )
    for query in ("the latency is high everywhere", "sluggish"):
        assert ids(index.search(query))[0] == "slow"


def test_a_filter_holds_for_named_documents_too(index):
    assert ids(index.search("link-lossy", where={"language": "ru"})) == ["ru"]
    assert set(ids(index.search("mtu-broken packets", where={"kind": "risk"}))) == {"mtu", "KubeletDown"}
    assert set(ids(index.search("x", where={"code": ["node-down", "mtu-broken"]}))) == {"down", "mtu"}
    assert index.search("packets", where={"language": "fr"}) == []


def test_similarities_fall_and_lie_between_zero_and_one(index):
    found = [hit.similarity for hit in index.search("packets vanish between neighbours", 5)]
    assert found == sorted(found, reverse=True)
    assert 0 <= found[-1] < 0.3 < found[0] <= 1


def test_a_query_of_unknown_words_fits_nothing_well(index):
    assert index.search("sourdough baguette recipe")[0].similarity < 0.2


def test_additions_replacements_and_removals_count_at_once(index):
    index.add([Document("new", "A squirrel gnawed the antenna cable.")])
    assert ids(index.search("squirrel"))[0] == "new"
    index.add([Document("new", "A stork nests on the mast.")])
    assert ids(index.search("stork"))[0] == "new"
    assert "squirrel" not in index.search("squirrel")[0].passage.text
    index.remove(["new", "unknown"])
    assert "new" not in ids(index.search("stork"))
    assert len(index) == len(PAGES)


def test_one_by_one_finds_what_all_at_once_finds():
    texts = [f"Page {n}: the {word} of node n{n} fails when it is {how}." for n, (word, how) in enumerate(
        (word, how) for word in ("radio", "switch", "antenna", "battery", "fan", "cable", "clock", "disk", "relay")
        for how in ("hot", "wet", "old", "cold", "loose"))]  # fmt: skip
    whole, slow = Index(word_vectors()), Index(word_vectors())
    documents = [Document(str(n), text) for n, text in enumerate(texts)]
    whole.add(documents)
    for document in documents:
        slow.add([document])
    for query in ("wet battery", "cold relay", "loose antenna of n12"):
        assert ids(slow.search(query, 1)) == ids(whole.search(query, 1))
        assert slow.search(query, 1)[0].similarity == pytest.approx(whole.search(query, 1)[0].similarity, abs=0.1)


def test_the_best_passage_speaks_for_a_long_document(index):
    filler = "The weather was fine and nothing happened at all. " * 60
    index.add(
        [Document("long", f"# Diary\n{filler}\n## Night\n{filler}\nA fox bit the feeder cable.\n## Day\n{filler}")]
    )
    best = index.search("fox feeder")[0].passage
    assert (best.document.id, best.headings) == ("long", ("Diary", "Night"))
    assert ids(index.search("fox feeder")).count("long") == 1


def test_nothing_is_found_in_nothing():
    empty = Index(word_vectors())
    assert empty.search("anything", 10, {"kind": "x"}) == []
    assert (len(empty), empty.passages) == (0, 0)


@pytest.mark.parametrize("query", ["", " ", "\x00\u202e", "?!", "the of and", "a" * 100_000, "word " * 20_000])
def test_odd_queries_are_answered(index, query):
    assert len(index.search(query, 3)) == 3


@pytest.mark.parametrize("k", [0, -1, 1001])
def test_a_bad_k_is_refused(index, k):
    with pytest.raises(ConfigError, match=r"retrieval\.k"):
        index.search("x", k)


def test_one_id_twice_is_refused_and_nothing_is_added(index):
    with pytest.raises(ConfigError, match=r"document\.id: got 'twin'"):
        index.add([Document("twin", "one"), Document("twin", "two")])
    assert len(index) == len(PAGES)


def test_readers_see_whole_states_while_others_write(index):
    stop, wrong = threading.Event(), []

    def read():
        while not stop.is_set():
            found = ids(index.search("packets vanish", 100))
            pair = {"left", "right"} & set(found)
            if found[0] != "lossy" or len(pair) == 1 or len(found) != len(set(found)):
                wrong.append(found)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for one in readers:
        one.start()
    for _ in range(30):
        index.add([Document("left", "The left antenna."), Document("right", "The right antenna.")])
        index.remove(["left", "right"])
    stop.set()
    for one in readers:
        one.join()
    assert not wrong


def test_the_accurate_profile_understands_a_sentence():
    index = Index(word_vectors(), sentence_vectors(), ACCURATE)
    index.add(PAGES[:3])
    assert ids(index.search("the box has no electricity any more"))[0] == "down"


@pytest.mark.parametrize("shares", [(0.5, 0.6, 0), (1.2, -0.2, 0), (float("nan"), 1, 0)])
def test_weights_that_are_no_shares_are_refused(shares):
    with pytest.raises(ConfigError, match=r"retrieval\.weights"):
        Weights(*shares)


def clustered(count, dim=32, seed=5):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((50, dim))
    found = centres[rng.integers(50, size=count)] + 0.7 * rng.standard_normal((count, dim))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def test_vectors_are_found_exactly_and_at_once():
    store, rows = VectorStore(32), clustered(300)
    store.add([str(n) for n in range(250)], rows[:250])
    for n in range(250, 300):
        store.add([str(n)], rows[n : n + 1])
        assert store.search(rows[n], 1)[0] == (str(n), pytest.approx(1.0, abs=1e-5))
    store.remove(["7"])
    assert store.search(rows[7], 1)[0][0] != "7"
    assert [one for one, _ in store.search(rows[7], 2, among={"7", "8", "9", "unknown"})] != ["7"]
    assert {one for one, _ in store.search(rows[7], 5, among={"8", "9"})} == {"8", "9"}


def test_the_graph_finds_nearly_all_that_looking_at_everything_finds(monkeypatch):
    pytest.importorskip("hnswlib")
    monkeypatch.setattr(vectors_module, "EXACT_MAX", 2000)
    monkeypatch.setattr(vectors_module, "_FEW", 100)
    rows = clustered(4000)
    near = vectors_module.Nearest(rows)
    assert not near.exact
    mask = np.random.default_rng(1).random(4000) < 0.1
    for allowed in (None, mask):
        right = total = 0
        for query in clustered(50, seed=6):
            fits = rows @ query if allowed is None else np.where(allowed, rows @ query, -2)
            right += len(set(vectors_module.top(fits, 10)) & set(near.rows(query, 10, allowed)))
            total += 10
        assert right / total >= 0.98


def test_without_the_package_every_vector_is_looked_at_and_that_is_said(monkeypatch, caplog):
    monkeypatch.setattr(vectors_module, "EXACT_MAX", 100)
    monkeypatch.setattr(vectors_module, "find_spec", lambda _: None)
    rows = clustered(200)
    near = vectors_module.Nearest(rows)
    assert near.exact
    assert near.rows(rows[17], 1).tolist() == [17]
    assert "200 passages: every query looks at all of them" in caplog.text


def test_an_index_over_a_graph_answers_like_one_without(monkeypatch, index):
    documents = [Document(f"n{n}", f"Router n{n} in street {n % 97} has model x{n % 53}.", {"odd": n % 2 == 1})
                 for n in range(1500)]  # fmt: skip
    exact, graph = Index(word_vectors()), Index(word_vectors())
    exact.add(documents)
    monkeypatch.setattr(vectors_module, "EXACT_MAX", 1000)
    graph.add(documents)
    for query in ("router n1234", "street 17 model x20"):
        assert ids(graph.search(query, 1)) == ids(exact.search(query, 1))
        assert ids(graph.search(query, 1, {"odd": True})) == ids(exact.search(query, 1, {"odd": True}))


@pytest.mark.parametrize("bad", [np.ones((1, 3), np.float32), np.full((1, 2), np.nan, np.float32)])
def test_bad_vectors_are_refused(bad):
    store = VectorStore(2)
    with pytest.raises(ConfigError, match="vectors"):
        store.add(["a"], bad)
    assert len(store) == 0


class Unthreaded(np.ndarray):
    """Vectors that no product of BLAS may be made with: it waits for threads."""

    def __matmul__(self, other):
        raise AssertionError("a product by BLAS")

    __rmatmul__ = __matmul__


def test_a_search_waits_for_no_threads_of_blas(index):
    nearest = index._state.base.nearest
    nearest.vectors = nearest.vectors.view(Unthreaded)
    assert ids(index.search("packets vanish"))[0] == "lossy"
    assert ids(index.search("packets vanish", where={"kind": "risk"})) != []


@pytest.mark.parametrize("query", ["link_lossy", "LinkLossy", "link lossy", "Link-Lossy?", "what is `link_lossy`"])
def test_a_name_is_known_in_any_spelling(index, query):
    assert {hit.passage.document.id for hit in index.search(query) if hit.exact} == {"lossy", "ru"}


def test_words_of_a_sentence_that_happen_to_make_a_code_name_nothing(index):
    assert not any(hit.exact for hit in index.search("since the storm the link lossy as it is was never repaired"))


def test_an_alias_of_several_words_counts_within_a_question_only(index):
    index.add([Document("slow", "# Delay\nIt takes long.", {"aliases": ["high latency"]})])
    assert index.search("why High  Latency today?")[0].exact
    assert not index.search("high latency " + "and much else " * 6)[0].exact


def test_a_document_is_named_by_what_it_is_filed_under(index):
    index.add([Document("pages/wiki/rain.md", "# Rain\nDishes drown.")])
    hit = index.search("see pages/wiki/rain.md for this")[0]
    assert (hit.passage.document.id, hit.exact) == ("pages/wiki/rain.md", True)


def test_of_a_named_document_the_first_passage_is_shown_unless_a_section_is_named(index):
    filler = "Nothing of note stands here at all. " * 70
    text = f"# All\n{filler}\n## turn-dish\nBy hand. {filler}\n## ask-anna\nask-anna page-all page-all. {filler}"
    index.add([Document("all", text, {"code": "page-all", "actions": ["turn-dish", "ask-anna"]})])
    found = {query: index.search(query)[0] for query in ("page-all", "turn-dish", "ask-anna")}
    assert [hit.exact for hit in found.values()] == [True] * 3
    assert [hit.passage.number for hit in found.values()] == [0, 1, 2]


def test_a_name_goes_with_the_text_that_gave_it(index):
    """Also where the text before is still among those that the next rebuild forgets."""
    others = [Document(f"other-{n}", f"# Page {n}\nNothing of it.") for n in range(20)]
    old = [Document("mast", "# Mast\nIt is loose.", {"aliases": ["OldMast"]})]
    index.add([*others, *old])
    assert [hit.exact for hit in index.search("OldMast", 1)] == [True]
    index.add([Document("mast", "# Mast\nIt is fast again.")])
    assert not any(hit.exact for hit in index.search("OldMast"))


def test_removed_documents_do_not_make_a_name_a_common_one(index):
    others = [Document(f"other-{n}", f"# Page {n}\nNothing of it.") for n in range(60)]
    namesakes = [Document(f"mast-{n}", "# Mast\nIt is loose.", {"aliases": ["OldMast"]}) for n in range(5)]
    index.add([*others, *namesakes])
    assert not any(hit.exact for hit in index.search("OldMast"))
    index.remove([one.id for one in namesakes[1:]])
    assert [hit.passage.document.id for hit in index.search("OldMast") if hit.exact] == ["mast-0"]


def test_an_alias_may_be_a_whole_sentence(index):
    index.add([Document("rain", "# Rain\nDishes drown.", {"aliases": ["the dish on the roof is full of water"]})])
    assert index.search("help, the dish on the roof is full of water")[0].exact


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=60), st.integers(0, 70))
def test_the_largest_come_first_and_equal_ones_in_order(values, k):
    fits = np.array(values, np.float32)
    assert top(fits, k).tolist() == sorted(range(len(fits)), key=lambda at: (-fits[at], at))[:k]


def test_the_dimension_of_a_store_is_that_of_sentences_unless_told():
    assert (VectorStore().embedding_dim, VectorStore(embedding_dim=2).embedding_dim) == (384, 2)
    with pytest.raises(ConfigError, match=r"vectors\.embedding_dim"):
        VectorStore(embedding_dim=0)
