"""The glossary has each word once, and a word for everything that the catalogue and a score speak of."""

import re

from pages import ROOT

from x0tta6bl4.catalog import Autonomy
from x0tta6bl4.network.catalog import ACTIONS, CAUSES, SYMPTOMS

PAGE = (ROOT / "docs/reference/glossary.md").read_text(encoding="utf-8")
WORDS = [word for row in re.findall(r"^\| ([^|]+) \|", PAGE, re.MULTILINE) for word in row.split(", ")]


def test_no_word_has_two_meanings():
    assert [word for word in WORDS if WORDS.count(word) > 1 and word not in ("word", "---")] == []


def test_every_kind_of_component_is_explained():
    kinds = {rule.kind for rule in (*SYMPTOMS, *CAUSES)} | {kind.target for kind in ACTIONS}
    assert kinds - set(WORDS) == set()


def test_every_level_of_autonomy_is_named():
    meaning = re.search(r"^\| autonomy \| (.+) \|$", PAGE, re.MULTILINE)[1]
    assert [level for level in Autonomy if level.value not in meaning] == []


def test_what_a_score_counts_is_explained():
    counted = {
        "detected",
        "right cause",
        "recovered",
        "bad seconds",
        "harmful",
        "false incident",
        "drift",
        "repairable",
    }
    assert counted - set(WORDS) == set()
