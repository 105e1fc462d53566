"""Cutting documents into passages: at Markdown headings, small sections together, long ones at paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from x0tta6bl4.ml.retrieval.text import clean
from x0tta6bl4.ml.retrieval.values import Document, Passage

WORDS_MAX: Final = 500
"""A passage is at most a page: smaller ones rank worse (benchmarks/retrieval.py), larger ones nobody reads."""
_HEADING: Final = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_FENCE: Final = re.compile(r"\s*(```|~~~)")
_BLOCKS: Final = re.compile(r"\n\s*\n")
_FRONT: Final = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)

_Section = tuple[tuple[str, ...], str]


def passages(document: Document) -> list[Passage]:
    r"""The passages of a document, in order; at least one, even of an empty document.

    >>> [(p.headings, p.text) for p in passages(Document("a", "# Fire\nRun."))]
    [(('Fire',), '# Fire\nRun.')]
    """
    packed: list[_Section] = []
    words = 0
    for headings, text in _pieces(_FRONT.sub("", clean(document.content))):
        count = len(text.split())
        if packed and words + count <= WORDS_MAX:
            packed[-1] = (packed[-1][0], f"{packed[-1][1]}\n{text}")
            words += count
        else:
            packed.append((headings, text))
            words = count
    return [Passage(document, number, *part) for number, part in enumerate(packed or [((), "")])]


def _pieces(text: str) -> Iterator[_Section]:
    """Sections, those that are too long cut where paragraphs end, and a paragraph that is too long by words."""
    for headings, section in _sections(text):
        if len(section.split()) <= WORDS_MAX:
            yield headings, section
            continue
        for block in _BLOCKS.split(section):
            words = block.split()
            if len(words) <= WORDS_MAX:
                yield headings, block
            else:
                for start in range(0, len(words), WORDS_MAX):
                    yield headings, " ".join(words[start : start + WORDS_MAX])


def _sections(text: str) -> Iterator[_Section]:
    """Text between headings, each with the path of headings above it; fenced code has no headings."""
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    fence = ""
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1] == fence:
            fence = ""
        heading = None if fence else _HEADING.match(line)
        if heading:
            if any(one.strip() for one in lines):
                yield _titles(path), "\n".join(lines).strip("\n")
            lines = []
            level = len(heading[1])
            path = [*((at, title) for at, title in path if at < level), (level, heading[2])]
        lines.append(line)
    if any(one.strip() for one in lines):
        yield _titles(path), "\n".join(lines).strip("\n")


def _titles(path: list[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(title for _, title in path)
