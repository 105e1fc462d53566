"""`x0t config check|show`: what is set, where it comes from, and whether it is right."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from x0tta6bl4.core.commands.output import JsonFlag, console, print_json
from x0tta6bl4.core.commands.toml import toml
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
