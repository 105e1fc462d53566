"""`x0t config check|show`: what is set, where it comes from, and whether it is right."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from x0tta6bl4.core.commands.output import JsonFlag, console, print_json
from x0tta6bl4.core.settings import Settings, find_file, load

app = typer.Typer(no_args_is_help=True, help="Check and show the settings.")
ConfigFile = Annotated[
    Path | None, typer.Argument(help="A settings file; the usual places by default.", show_default=False)
]
_PASSWORD = re.compile(r"(?<=://)([^:/@]*):[^@]*(?=@)")


def public(settings: Settings) -> dict[str, Any]:
    """The settings as a document, with passwords of URLs blanked out; the token is not part of it."""
    document = settings.model_dump(mode="json")
    document["store"]["url"] = _PASSWORD.sub(r"\1:***", settings.store.database)
    document["store"]["directory"] = str(settings.store.path)
    document["api"]["token_file"] = str(settings.token_file)
    return document


@app.command()
def check(file: ConfigFile = None, as_json: JsonFlag = False) -> None:
    """Check the settings; a mistake is named with its field, its value and what is allowed (exit code 2)."""
    load(file)
    found = file or find_file(os.environ)
    if as_json:
        print_json({"ok": True, "file": str(found) if found else None})
        return
    console().print(f"ok: {found or 'defaults (no settings file)'}")


@app.command()
def show(file: ConfigFile = None, as_json: JsonFlag = False) -> None:
    """Print the settings in force, defaults included; secrets are never printed."""
    document = public(load(file))
    if as_json:
        print_json(document)
        return
    typer.echo(toml(document))


def toml(document: dict[str, Any]) -> str:
    """The settings as a TOML file that says the same."""
    lines: list[str] = []
    for group, values in document.items():
        tables = {key: value for key, value in values.items() if isinstance(value, dict)}
        lists = {key: value for key, value in values.items() if _is_tables(value)}
        lines.append(f"[{group}]")
        lines += [f"{k} = {_value(v)}" for k, v in values.items() if k not in tables and k not in lists]
        for key, table in tables.items():
            lines += [f"[{group}.{key}]", *(f"{k} = {_value(v)}" for k, v in table.items())] if table else []
        for key, rows in lists.items():
            for row in rows:
                lines += [f"[[{group}.{key}]]", *(f"{k} = {_value(v)}" for k, v in row.items())]
        lines.append("")
    return "\n".join(lines).rstrip()


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
