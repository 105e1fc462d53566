"""What every printed page is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

NOTE: Final = "<!-- Printed by `python -m x0tta6bl4.core.reference docs/reference`; edit the code instead. -->\n"


def cell(text: str) -> str:
    r"""Text that fits into a cell of a table.

    >>> cell("a | b")
    'a \\| b'
    """
    return " ".join(text.split()).replace("|", "\\|")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table and an empty one behind it; without rows none at all."""
    body = [f"| {' | '.join(cell(text) for text in row)} |" for row in rows]
    return [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *body, ""] if body else []


def block(language: str, text: str) -> list[str]:
    """The lines of a fenced block and an empty one behind it."""
    return [f"```{language}", text, "```", ""]
