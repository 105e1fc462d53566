"""What every command prints with, asks with, and ends with: the exit codes stand here."""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from enum import IntEnum
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from x0tta6bl4.client import Refused, Unreachable
from x0tta6bl4.errors import ConfigError, NotSupported, X0tError

json_asked: ContextVar[bool] = ContextVar("json_asked", default=False)
"""Was `--json` given? Errors are told in the same form then."""


def _ask_json(given: bool) -> bool:
    json_asked.set(given)
    return given


JsonFlag = Annotated[bool, typer.Option("--json", callback=_ask_json, help="Print one JSON document instead of text.")]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def finite(value: float | None) -> float | None:
    """Callback of options that take a number: typer's limits let NaN pass."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


WatchOption = Annotated[
    float | None,
    typer.Option(
        "--watch", "-w", min=0.1, metavar="SECONDS", callback=finite, help="Show it again each SECONDS, until Ctrl-C."
    ),
]

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many at most.")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Where the page before ended.", show_default=False)]

Fetch = Callable[[], dict[str, Any]]
Draw = Callable[[dict[str, Any]], RenderableType]

PIPE_COLUMNS = 200


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    UNSUPPORTED = 4
    INTERRUPTED = 130


MEANING = {
    Exit.OK: "done and well",
    Exit.FAILED: "a check did not hold, the controller refused, you said no, or something outside failed",
    Exit.USAGE: "wrong arguments or settings",
    Exit.UNREACHABLE: "no controller answers",
    Exit.UNSUPPORTED: "this machine cannot do it",
    Exit.INTERRUPTED: "interrupted",
}
EXIT_CODES = "Exit codes: " + "; ".join(f"{code.value} {words}" for code, words in MEANING.items()) + "."


class NobodyToAsk(ConfigError):
    """A question that only a person can answer, where there is none."""

    def __init__(self, question: str) -> None:
        super().__init__("--yes", "", question)
        self.args = (f"{question} Nobody can be asked here: say --yes to do it",)


def code_of(error: X0tError) -> Exit:
    """The exit code that an error of ours means."""
    if isinstance(error, ConfigError):
        return Exit.USAGE
    if isinstance(error, Unreachable):
        return Exit.UNREACHABLE
    return Exit.UNSUPPORTED if isinstance(error, NotSupported) else Exit.FAILED


# What moves a cursor, rings, or turns text round: C0 but tab and line feed, DEL, C1, line separators, bidi marks.
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Text from outside as a terminal may see it.

    >>> printable("\x1b[2Jgone")
    '�[2Jgone'
    """
    return UNPRINTABLE.sub("\ufffd", text)


def dumped(document: object, indent: int | None = None) -> str:
    """A document as JSON that a terminal shows as it is: what is not printable stays escaped."""
    text = json.dumps(document, indent=indent, ensure_ascii=False, default=str)
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class SafeConsole(Console):
    """Draws nothing that a terminal would obey but its own styles: names and reasons come from outside."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Segments of text are cleaned, rich's own control codes are kept."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(printable(text), style)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line, which ends quietly; rich would end the process here."""
        raise  # noqa: PLE0704  # rich calls it while it handles the error


def console(*, stderr: bool = False) -> Console:
    """Standard output (or error); made when used, so that it is the one of the moment. NO_COLOR is honoured by rich.

    Markup is off: names and reasons come from outside and may hold brackets. A pipe gets long lines, not folded ones.
    """
    width = None if (sys.stderr if stderr else sys.stdout).isatty() else PIPE_COLUMNS
    return SafeConsole(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def print_json(document: object) -> None:
    """One document on standard output."""
    typer.echo(dumped(document, indent=2))


def show(
    fetch: Fetch,
    draw: Draw,
    *,
    as_json: bool,
    every_s: float | None = None,
) -> None:
    """Print what `fetch` gives as `draw` makes it, or as JSON; again each `every_s` seconds where that is given.

    Repeated JSON is one document a line; repeated text on a terminal stays in one place. Ctrl-C is how it ends.
    """
    if every_s is None:
        document = fetch()
        if as_json:
            print_json(document)
        else:
            console().print(draw(document))
        return
    with suppress(KeyboardInterrupt):
        _repeat(fetch, draw, as_json=as_json, every_s=every_s)


def _repeat(fetch: Fetch, draw: Draw, *, as_json: bool, every_s: float) -> None:
    if not as_json and sys.stdout.isatty():
        with Live(console=console(), auto_refresh=False, screen=True) as live:
            while True:
                live.update(draw(fetch()), refresh=True)
                time.sleep(every_s)
    while True:
        document = fetch()
        if as_json:
            typer.echo(dumped(document))
        else:
            console().print(draw(document))
        sys.stdout.flush()
        time.sleep(every_s)


def done(document: dict[str, Any], words: str, *, as_json: bool) -> None:
    """The end of a command that changed something."""
    if as_json:
        print_json(document)
    else:
        console().print(words)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something disruptive; raises typer.Abort on no, NobodyToAsk where that is so."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise NobodyToAsk(question)
    typer.confirm(printable(question), abort=True, err=True)


def complain(error: Exception, code: Exit, hint: str = "") -> None:
    """Say on standard error why a command failed: one line, or under `--json` one RFC 9457 problem object.

    What the controller refused is said with its own problem; `exit_code` is added.
    """
    if not json_asked.get():
        typer.echo(printable(f"error: {error}{hint}"), err=True)
        return
    told: dict[str, object] = {"type": "about:blank", "title": MEANING[code], "detail": f"{error}{hint}"}
    if isinstance(error, Refused):
        told |= error.problem
    elif isinstance(error, ConfigError):
        told |= {"field": error.field, "value": error.value, "allowed": error.allowed}
    typer.echo(dumped({**told, "exit_code": int(code)}), err=True)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal's standard error that something takes its time."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield
        return
    with out.status(what):
        yield


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


def age(value: object) -> str:
    """A length of time for people.

    >>> age(0.42), age(75), age(7200), age(200000), age(None)
    ('0.4 s', '1 min 15 s', '2 h', '2 d 7 h', '-')
    """
    if not isinstance(value, int | float):
        return "-"
    if value < 60:
        return f"{value:.1f} s"
    parts = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    first = next(index for index, (_, size) in enumerate(parts) if value >= size)
    (big, size), (small, next_size) = parts[first], parts[first + 1]
    rest = value % size // next_size
    return f"{value // size:.0f} {big}" + (f" {rest:.0f} {small}" if rest else "")


Row = Mapping[str, Any]
Column = str | tuple[str, Callable[[Row], object]]
"""A member of a row, shown under its own name; or a heading and what to show under it."""


def cell(value: object) -> str:
    """A JSON value in a table.

    >>> cell(None), cell(True), cell(0.123456), cell(["a", "b"]), cell({"x": 1.0})
    ('-', 'yes', '0.12', 'a, b', 'x=1')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    if isinstance(value, Mapping):
        value = [f"{key}={cell(item)}" for key, item in value.items()]
    if isinstance(value, list | tuple):
        value = ", ".join(cell(item) for item in value)
    return "-" if value is None or value == "" else printable(str(value))


def grid(title: str, rows: Iterable[Row], *columns: Column) -> RenderableType:
    """Rows as a table under a title of its own line ("": none)."""
    made = table("", *(column if isinstance(column, str) else column[0] for column in columns))
    for row in rows:
        made.add_row(*(cell(row[column] if isinstance(column, str) else column[1](row)) for column in columns))
    return Group(Text(title, "italic"), made) if title else made


def listing(*columns: Column, nothing: str = "none") -> Callable[[Row], RenderableType]:
    """How to draw a page of a list. nothing: the words for an empty one."""

    def draw(document: Row) -> RenderableType:
        parts: list[RenderableType] = [grid("", document["items"], *columns) if document["items"] else Text(nothing)]
        if document["next"] is not None:
            parts.append(Text(f"there is more: --cursor {document['next']}", style="dim"))
        return Group(*parts)

    return draw


def alike(risks: Iterable[Row]) -> list[tuple[Row, str]]:
    """Risks that say the same of several components as one, with where it is so."""
    found: dict[tuple[str, str], tuple[Row, list[str]]] = {}
    for risk in risks:
        found.setdefault((risk["title"], risk["remedy"]), (risk, []))[1].append(risk["component"])
    return [
        (first, ", ".join(where[:3]) + (f" and {len(where) - 3} more" if len(where) > 3 else ""))
        for first, where in found.values()
    ]


def facts(document: Row) -> Table:
    """One thing: a line for each of its members; those of a member have dotted names."""
    made = Table.grid(padding=(0, 2))
    for name, value in _flat(document):
        made.add_row(Text(name, style="bold"), cell(value))
    return made


def _flat(document: Row, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in document.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
