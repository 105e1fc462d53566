"""Text to terms and passages: identifiers, Russian, headings, and what must not get through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.ml.retrieval.chunks import WORDS_MAX, passages
from x0tta6bl4.ml.retrieval.text import clean, expand, identifiers
from x0tta6bl4.ml.retrieval.values import Document


@pytest.mark.parametrize(
    ("token", "terms"),
    [
        ("KubeletDown", ["kubeletdown", "kubelet", "down"]),
        ("HTTPServer", ["httpserver", "http", "server"]),
        ("batman_adv", ["batman_adv", "batman", "adv"]),
        ("link-lossy", ["link-lossy", "link", "lossi"]),
        ("eth0", ["eth0", "eth", "0"]),
        ("10.0.0.1", ["10.0.0.1", "10", "0", "0", "1"]),
        ("running", ["run"]),
        ("the", []),
        ("потери", ["потер"]),
        ("ещё", []),
        ("réseau", ["réseau"]),
    ],
)
def test_a_token_is_split_and_kept_whole(token, terms):
    assert [term for term, _ in expand(clean(token))] == terms


def test_forms_of_a_russian_word_are_one_term():
    assert {expand(word)[0][0] for word in ("соединение", "соединения", "соединению")} == {expand("соединение")[0][0]}


def test_control_bidi_and_zero_width_characters_are_gone():
    assert clean("a\u202eb\u0000c\u200bd\u2066e\x1b[31m") == "abcde[31m"
    assert clean("ﬁne ① Ⅳ\nnext") == "fine 1 IV\nnext"


@given(st.text(max_size=200))
def test_any_text_becomes_terms(text):
    for token in identifiers(text):
        assert all(term and isinstance(word, str) for term, word in expand(token))
    assert clean(clean(text)) == clean(text)


def test_small_sections_stay_together_and_keep_the_first_path():
    (only,) = passages(Document("a", "# Link\nIntro.\n## Signs\nLoss.\n## Cure\nReplace it."))
    assert only.headings == ("Link",)
    assert only.text.endswith("Replace it.")


def test_long_pages_are_cut_at_headings():
    body = "word " * (WORDS_MAX - 20)
    page = f"---\ncode: x\n---\n# Page\n\n## One\n{body}\n### Deep\n{body}\n## Two\n{body}"
    assert [one.headings for one in passages(Document("a", page))] == [
        ("Page",),
        ("Page", "One", "Deep"),
        ("Page", "Two"),
    ]


def test_a_heading_in_fenced_code_is_no_heading():
    body = "word " * (WORDS_MAX - 20)
    page = f"# Page\n```sh\n# a comment\n~~~\n# another\n```\n{body}\n## Next\n{body}"
    assert [one.headings for one in passages(Document("a", page))] == [("Page",), ("Page", "Next")]


@given(st.text(alphabet="ab #\n`~", max_size=300), st.integers(1, 3))
def test_no_word_is_lost_in_cutting(text, times):
    text = (text + " word" * 300) * times
    cut = " ".join(one.text for one in passages(Document("a", text)))
    assert cut.split() == clean(text).split()


def test_no_passage_is_longer_than_a_page():
    assert max(len(one.text.split()) for one in passages(Document("a", "word " * 5000))) <= WORDS_MAX


def test_an_empty_document_has_one_passage():
    assert [one.text for one in passages(Document("a", ""))] == [""]


@pytest.mark.parametrize(
    ("identity", "content", "field"),
    [
        ("", "x", "document.id"),
        ("x" * 256, "x", "document.id"),
        (7, "x", "document.id"),
        ("a", b"x", "document.content"),
        ("a", "x\x00y", "document.content"),
        ("a", "x\ud800", "document.content"),
        ("a", "x" * 4_000_001, "document.content"),
    ],
)
def test_a_bad_document_is_refused_with_the_field(identity, content, field):
    with pytest.raises(ConfigError, match=field):
        Document(identity, content)


@pytest.mark.parametrize("metadata", [{"x": object()}, {"x": {"nested": 1}}, {"x": [["deep"]]}, {3: "x"}])
def test_metadata_of_another_shape_is_refused(metadata):
    with pytest.raises(ConfigError, match=r"document\.metadata"):
        Document("a", "x", metadata)
