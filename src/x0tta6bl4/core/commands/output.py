"""What every command prints with, and the exit codes."""

from __future__ import annotations

import json
import sys
from enum import IntEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from x0tta6bl4.errors import ConfigError, NotSupported, Temporary, X0tError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]

PIPE_COLUMNS = 200


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1  # a check or a score did not hold, or something outside failed
    USAGE = 2  # wrong arguments or settings
    UNREACHABLE = 3  # no controller answers
    UNSUPPORTED = 4  # this machine cannot do it


class Unreachable(Temporary):
    """No controller answers at the address in the settings."""


def code_of(error: X0tError) -> Exit:
    """The exit code that an error of ours means."""
    if isinstance(error, ConfigError):
        return Exit.USAGE
    if isinstance(error, Unreachable):
        return Exit.UNREACHABLE
    return Exit.UNSUPPORTED if isinstance(error, NotSupported) else Exit.FAILED


def console() -> Console:
    """Standard output; made when used, so that it is the one of the moment.

    Markup is off: names and reasons come from outside and may hold brackets. A pipe gets long lines, not folded ones.
    """
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    return Console(width=width, highlight=False, markup=False, emoji=False)


def print_json(document: object) -> None:
    """One document on standard output."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def table(title: str, *columns: str) -> Table:
    """An empty table in the house style."""
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def number(value: object, unit: str = "", digits: int = 1) -> str:
    """A measured value for people; what is missing is a dash, never a zero.

    >>> number(0.4123, "s"), number(None, "s")
    ('0.4 s', '-')
    """
    if not isinstance(value, int | float):
        return "-"
    text = f"{value:.{digits}f}" if isinstance(value, float) else str(value)
    return f"{text} {unit}".rstrip()


def percent(value: object) -> str:
    """A ratio as percent.

    >>> percent(0.953), percent(None)
    ('95 %', '-')
    """
    return f"{100 * value:.0f} %" if isinstance(value, int | float) else "-"
