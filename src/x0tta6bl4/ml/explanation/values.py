"""What an explanation is: sentences in sections, each with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from x0tta6bl4.ml.explanation.words import visible


class Section(StrEnum):
    """The questions an explanation answers, in this order."""

    WRONG = "wrong"
    WHY = "why"
    BEFORE = "before"
    DONE = "done"
    BY_HAND = "by_hand"
    UNCERTAIN = "uncertain"


class Source(StrEnum):
    """What a sentence may rest on."""

    READING = "reading"  # id: KIND/NAME/METRIC of a component, or sensor/NAME
    PASSAGE = "passage"  # id: of a passage of the knowledge base
    INCIDENT = "incident"  # id: of this or of a past incident
    ACTION = "action"  # id: of an action
    EVENT = "event"  # id: ORIGIN/SEQ


@dataclass(frozen=True, slots=True, order=True)
class Citation:
    """Where to look something up."""

    source: Source
    id: str

    def __str__(self) -> str:
        return f"{self.source.value} {visible(self.id)}"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One claim. citations: at least one."""

    section: Section
    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True)
class Explanation:
    """An incident in sentences. headings: of the sections and, under "", of the list of sources."""

    incident: str
    language: str
    sentences: tuple[Sentence, ...]
    headings: Mapping[str, str]
    passage: str = ""  # the whole page of the runbook that the sentences quote from

    @cached_property
    def numbers(self) -> Mapping[Citation, int]:
        """Every citation with the number it has in the text, counted from 1 in order of appearance."""
        order = dict.fromkeys(citation for sentence in self.sentences for citation in sentence.citations)
        return {citation: number for number, citation in enumerate(order, 1)}

    def cited(self, sentence: Sentence) -> str:
        """A sentence with its citations as numbers."""
        return f"{sentence.text} " + "".join(f"[{self.numbers[one]}]" for one in sentence.citations)

    def section(self, section: Section) -> str:
        """The sentences of one section in one line, without citations."""
        return " ".join(sentence.text for sentence in self.sentences if sentence.section is section)

    def text(self) -> str:
        """All of it: sections under headings, then what the numbers stand for."""
        parts = []
        for section in Section:
            said = [f"- {self.cited(sentence)}" for sentence in self.sentences if sentence.section is section]
            if said:
                parts.append("\n".join([self.headings[section], *said]))
        return "\n\n".join([*parts, "\n".join([self.headings[""], *self.sources()])]) + "\n"

    def sources(self) -> list[str]:
        """What the numbers stand for."""
        return [f"[{number}] {citation}" for citation, number in self.numbers.items()]
