"""`x0t knowledge`: runbooks, past incidents, notes and your own pages, in the controller's knowledge base."""

from __future__ import annotations

import sys
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from x0tta6bl4.client import Client, Document, Refused
from x0tta6bl4.core.commands.connection import ask, connect
from x0tta6bl4.core.commands.ids import incident_id
from x0tta6bl4.core.commands.output import (
    Cursor,
    JsonFlag,
    Limit,
    Row,
    YesFlag,
    confirm,
    console,
    done,
    facts,
    finite,
    listing,
    percent,
    working,
)
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.ml.retrieval import folder

LEARN_S: Final = 130.0  # the controller gives up sooner
QUERY_MAX: Final = 4000
LINES: Final = 4
TEXT_MAX: Final = 1_000_000
TOO_MUCH: Final = (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

app = typer.Typer(no_args_is_help=True, help="What is known: search runbooks, past incidents and notes, and add yours.")
Ident = Annotated[str, typer.Argument(help="Id of a passage or a document, as `x0t knowledge list` prints it.")]
Kind = Annotated[str | None, typer.Option(help="Of this kind only: cause, incident, note, page, ...")]
Language = Annotated[str | None, typer.Option(help="In this language only: en, ru, ...")]
Tag = Annotated[str | None, typer.Option(help="With this tag only.")]


@app.command()
def search(
    *,
    query: Annotated[list[str], typer.Argument(help="A question, a symptom in words, an alert's name, a code.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many at most.")] = 5,
    threshold: Annotated[float, typer.Option(min=0, max=1, callback=finite, help="The least similarity.")] = 0.3,
    kind: Kind = None,
    language: Language = None,
    tag: Tag = None,
    as_json: JsonFlag = False,
) -> None:
    """Find what fits a question, best first."""
    words = " ".join(query)
    if not 0 < len(words) <= QUERY_MAX:
        raise ConfigError("query", words[:40], f"1 to {QUERY_MAX} characters")
    ask(
        lambda client: client.search_knowledge(
            words, k=limit, threshold=threshold, kind=kind, language=language, tag=tag
        ),
        _found,
        as_json=as_json,
    )


def _found(told: Row) -> RenderableType:
    parts: list[RenderableType] = []
    for row in told["items"]:
        sure = "named" if row["exact"] else percent(row["similarity"])
        lines = [line for line in row["text"].splitlines() if line.strip() and not line.startswith("#")]
        parts += [Text.assemble((f"{sure:>5}  ", "bold"), (row["id"], "bold"), f"  {' > '.join(row['headings'])}")]
        parts += [Text(f"       {line}", "dim", no_wrap=True, overflow="ellipsis") for line in lines[:LINES]]
    if not parts:
        parts.append(Text(told["note"]))
    return Group(*parts, *(Text(f"left out: {problem}", style="yellow") for problem in told["problems"]))


@app.command(name="list")
def list_passages(
    *,
    kind: Kind = None,
    language: Language = None,
    tag: Tag = None,
    source: Annotated[
        str | None, typer.Option(help="Of this source only: runbooks, incidents, notes, pages/NAME, a folder's name.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: JsonFlag = False,
) -> None:
    """List all that is known, and say how the knowledge base stands."""
    rows = listing(
        "id",
        "kind",
        "language",
        ("what", lambda row: " > ".join(row["headings"]) or row["title"]),
        nothing="nothing of this kind is known",
    )
    ask(
        lambda client: client.list_passages(
            kind=kind, language=language, tag=tag, source=source, limit=limit, cursor=cursor
        ),
        lambda told: Group(rows(told), facts(told["base"])),
        as_json=as_json,
    )


@app.command()
def show(passage: Ident, as_json: JsonFlag = False) -> None:
    """Show one passage whole."""
    ask(lambda client: client.get_passage(passage), lambda told: Text(told["text"]), as_json=as_json)


@app.command()
def add(
    *,
    source: Annotated[
        str, typer.Argument(metavar="DIR|FILE|-", help="A folder of pages; a file, or standard input, as a note.")
    ],
    name: Annotated[str, typer.Option(help="DIR: what its pages are filed under. [default: its own name]")] = "",
    title: Annotated[str, typer.Option(help="FILE, -: title of the note. [default: the file's name]")] = "",
    language: Annotated[str, typer.Option(help="FILE, -: en, ru, ...")] = "en",
    tag: Annotated[list[str] | None, typer.Option(help="FILE, -: again for more.", show_default=False)] = None,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Hand files of this machine to the controller, wherever that is.

    Of a folder only what has changed is sent, and what is gone from it is forgotten: run it again after a change. A
    folder on the controller's own machine can be followed instead (`knowledge.folders` in its settings). A folder that
    has lost all its pages may be one that is not mounted: before they are forgotten it asks.
    """
    if source != "-" and Path(source).is_dir():
        _add_folder(Path(source), name or Path(source).resolve().name, yes=yes, as_json=as_json)
        return
    text = _read(source)
    with connect() as client:
        kept = client.add_knowledge(
            text, title=title or (Path(source).name if source != "-" else ""), language=language, tags=tag or []
        )
    done(kept, f"kept {kept['id']}", as_json=as_json)


def _read(source: str) -> str:
    try:
        if source != "-":
            return folder.read_text(Path(source).resolve())
        data = sys.stdin.buffer.read(TEXT_MAX + 1)
        if len(data) > TEXT_MAX:
            raise ConfigError("-", f"more than {TEXT_MAX} bytes", "a note")
        return data.decode()
    except (OSError, ValueError) as error:
        raise ConfigError("source", source, f"a folder, a text file or - ({error})") from None


def _add_folder(directory: Path, name: str, *, yes: bool, as_json: bool) -> None:
    if "/" in name or not name.isprintable():
        raise ConfigError("--name", name, "a name without slashes")
    filed = f"pages/{name}"
    found = folder.read_folder(directory, filed)
    skipped = dict(found.skipped)
    with connect() as client:
        rows = client.items(client.list_passages, source=filed, limit=1000)
        had = {str(row["document"]): row["digest"] for row in rows}
        if had and not (found.documents or found.skipped):
            confirm(f"{directory} is empty, had {len(had)} (is it mounted?). Forget what was there?", yes=yes)
        with working(f"handing over {directory}"):
            changed = [one for one in found.documents if had.get(one.id) != one.metadata["digest"]]
            for one in changed:
                path = one.id.removeprefix(f"{filed}/")
                if refused := _refused(client, f"{name}/{path}", one.content):
                    skipped[path] = refused
            there = {one.id for one in found.documents} | {f"{filed}/{path}" for path in skipped}
            gone = [ident for ident in had if ident not in there]
            for ident in gone:
                client.forget_knowledge(ident)
    kept = [one.id for one in changed if one.id.removeprefix(f"{filed}/") not in skipped]
    for path, why in skipped.items():
        console(stderr=True).print(f"left out: {path}: {why}", style="yellow")
    told: Document = {"source": filed, "changed": kept, "removed": gone, "skipped": skipped}
    same = len(found.documents) - len(changed)
    words = f"{filed}: {len(kept)} new or changed, {same} as before, {len(gone)} forgotten, {len(skipped)} left out"
    done(told, words, as_json=as_json)


def _refused(client: Client, page: str, text: str) -> str:
    """Why the controller does not take a page; "" where it does."""
    try:
        client.put_page(page, text)
    except Refused as error:
        if error.status not in TOO_MUCH:
            raise
        return str(error)
    return ""


@app.command()
def forget(passage: Ident, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Forget the note or the page that a passage is of."""
    confirm(f"Forget {passage}?", yes=yes)
    with connect() as client:
        told = client.forget_knowledge(passage)
    done(told, f"forgot {told['id']}", as_json=as_json)


@app.command()
def feedback(
    passage: Ident,
    helped: Annotated[bool, typer.Option("--helped/--useless", help="Did it help?", show_default=False)],
    incident: Annotated[str | None, typer.Option(help="With this incident: an id, its end, or `last`.")] = None,
    query: Annotated[str | None, typer.Option(help="With this question.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say whether a passage helped, with an incident or with a question; `learn` learns from it."""
    if (incident is None) == (query is None):
        raise ConfigError("--incident, --query", "neither or both", "one of them")
    with connect() as client:
        ident = None if incident is None else incident_id(client, incident)
        told = client.give_feedback(passage, helped=helped, incident=ident, query=query)
    done(told, f"noted: {told['document']} {'helped' if helped else 'did not help'}", as_json=as_json)


@app.command()
def learn(as_json: JsonFlag = False) -> None:
    """Learn from all feedback how to search; used only where it finds held-back answers better than before."""
    with working("learning"):
        ask(lambda client: client.learn_knowledge(), facts, as_json=as_json, timeout_s=LEARN_S)
