"""Cutting documents into passages: at Markdown headings, small sections together, long ones at paragraphs.

What stands under another title (a heading of the first level) is another passage. A passage of several sections knows
where each begins: what is cited is the path to the one that fits best.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from x0tta6bl4.ml.retrieval.text import TOKEN, clean, expand
from x0tta6bl4.ml.retrieval.values import Document, Hit, Passage

WORDS_MAX: Final = 500
"""A passage is at most a page: smaller ones rank worse (benchmarks/retrieval.py), larger ones nobody reads."""
QUERY_MAX: Final = 4000  # characters of a query that choose the section to cite
_HEADING: Final = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_FENCE: Final = re.compile(r"\s*(```|~~~)")
_BLOCKS: Final = re.compile(r"\n\s*\n")
_FRONT: Final = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)

_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Section:
    """path: the headings to it. title: the number of headings of the first level so far."""

    path: _Path
    text: str
    title: int


def passages(document: Document) -> list[Passage]:
    r"""The passages of a document, in order; at least one, even of an empty document.

    >>> [(p.headings, p.text) for p in passages(Document("a", "# Fire\nRun."))]
    [(('Fire',), '# Fire\nRun.')]
    """
    packed: list[list[_Section]] = []
    words = 0
    for section in _pieces(_FRONT.sub("", clean(document.content))):
        count = len(section.text.split())
        if packed and words + count <= WORDS_MAX and packed[-1][-1].title == section.title:
            packed[-1].append(section)
            words += count
        else:
            packed.append([section])
            words = count
    return [_passage(document, number, parts) for number, parts in enumerate(packed or [[_Section((), "", 0)]])]


def _passage(document: Document, number: int, parts: list[_Section]) -> Passage:
    text = ""
    sections: list[tuple[_Path, int]] = []
    for part in parts:
        begin = f"{text}\n" if text else ""
        if not sections or sections[-1][0] != part.path:
            sections.append((part.path, len(begin)))
        text = begin + part.text
    return Passage(document, number, parts[0].path, text, tuple(sections) if len(sections) > 1 else ())


def located(hit: Hit, query: str) -> Hit:
    """The hit with the section of its passage that has the most of the query's words, the first of equals."""
    starts = [start for _, start in hit.passage.sections]
    if not starts:
        return hit
    text = hit.passage.text.lower()
    if len(text) != len(hit.passage.text):  # a letter that is two in lower case: then places differ
        return hit
    wanted = {term for token in TOKEN.findall(query[:QUERY_MAX]) for term, _ in expand(token)}
    ends = [*starts[1:], len(text)]
    parts = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    counts = [sum(term in part for term in wanted) for part in parts]
    return replace(hit, section=counts.index(max(counts)))


def _pieces(text: str) -> Iterator[_Section]:
    """Sections, those that are too long cut where paragraphs end, and a paragraph that is too long by words."""
    for section in _sections(text):
        if len(section.text.split()) <= WORDS_MAX:
            yield section
            continue
        for block in _BLOCKS.split(section.text):
            words = block.split()
            if len(words) <= WORDS_MAX:
                yield replace(section, text=block)
            else:
                for start in range(0, len(words), WORDS_MAX):
                    yield replace(section, text=" ".join(words[start : start + WORDS_MAX]))


def _sections(text: str) -> Iterator[_Section]:
    """Text between headings, each with the path of headings above it; fenced code has no headings."""
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    fence, title = "", 0
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1] == fence:
            fence = ""
        heading = None if fence else _HEADING.match(line)
        if heading:
            if any(one.strip() for one in lines):
                yield _Section(_titles(path), "\n".join(lines).strip("\n"), title)
            lines = []
            level = len(heading[1])
            title += level == 1
            path = [*((at, title) for at, title in path if at < level), (level, heading[2])]
        lines.append(line)
    if any(one.strip() for one in lines):
        yield _Section(_titles(path), "\n".join(lines).strip("\n"), title)


def _titles(path: list[tuple[int, str]]) -> _Path:
    return tuple(title for _, title in path)
