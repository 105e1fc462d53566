"""The runbook's page on a cause, and what it says to do by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from x0tta6bl4.knowledge import LANGUAGES, Runbook, runbooks
from x0tta6bl4.ml.retrieval.chunks import passages
from x0tta6bl4.ml.retrieval.values import Document

FOLDER: Final = "runbooks"  # how the knowledge base names them
REMEDIES: Final = {"en": "## What fixes it", "ru": "## Что помогает"}
ITEMS_MAX: Final = 4  # more than that is read on the page
_CODE: Final = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.DOTALL | re.MULTILINE)
_OPENING: Final = re.compile(r"\A\s*(```|~~~)[^\n]*\n(.*?)\n\1[^\n]*\n\s*", re.DOTALL)
_COMMENT: Final = re.compile(r"\s+#\s.*")
_ITEM: Final = re.compile(r"^(?:\d+\.|[-*])\s+", re.MULTILINE)
_BLOCK: Final = re.compile(r"\n\s*\n")
_LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Page:
    """What a runbook says. passage: its id in the knowledge base; items: what to do, one thought each."""

    passage: str
    language: str
    items: tuple[str, ...]
    text: str


def page_on(code: str, language: str) -> Page | None:
    """The page on a code of the catalogue, in English where there is none in `language`; None where there is none."""
    for wanted in dict.fromkeys((language, LANGUAGES[0])):
        for page in runbooks(wanted):
            if page.code == code:
                return _page(page)
    return None


@cache
def _page(page: Runbook) -> Page | None:
    document = Document(f"{FOLDER}/{page.path.rpartition('/')[2]}", f"# {page.title}\n\n{page.text}")
    heading = REMEDIES[page.language]
    section = document.content.partition(heading)[2].partition("\n## ")[0]
    found = next((one.id for one in passages(document) if heading in one.text), None)
    if found is None:
        return None
    return Page(found, page.language, tuple(_items(section))[:ITEMS_MAX], document.content)


def _items(section: str) -> Iterator[str]:
    """The points of a list where there is one, else its paragraphs; without commands, which need the whole page.

    Those that a section begins with stay: the text goes on from them.
    """
    prose = _CODE.sub("", _OPENING.sub(_inline, section)).strip()
    listed = _ITEM.split(prose)[1:]
    for part in listed or _BLOCK.split(prose):
        text = " ".join(_BLOCK.split(part.strip())[0].split())
        text = _LINK.sub(r"\1", text).replace("**", "").removesuffix(":")
        if text:
            yield text if text.endswith((".", "!", "?")) else f"{text}."


def _inline(opening: re.Match[str]) -> str:
    commands = (_COMMENT.sub("", line).strip() for line in opening[2].splitlines())
    return "; ".join(f"`{command}`" for command in commands if command) + ": "
