"""`x0t api`: the controller's interface itself."""

from __future__ import annotations

import typer

from x0tta6bl4.core.commands.connection import ask
from x0tta6bl4.core.commands.output import JsonFlag, WatchOption, facts

app = typer.Typer(no_args_is_help=True, help="Does it answer, which version is it, what can it do.")


@app.command()
def health(every: WatchOption = None, as_json: JsonFlag = False) -> None:
    """Ask whether the process and its loop live (exit code 1 or 3 if not)."""
    ask(lambda client: client.health(), facts, as_json=as_json, every_s=every)


@app.command()
def ready(every: WatchOption = None, as_json: JsonFlag = False) -> None:
    """Ask whether the loop has finished a pass (exit code 1 or 3 if not)."""
    ask(lambda client: client.ready(), facts, as_json=as_json, every_s=every)


@app.command()
def version(as_json: JsonFlag = False) -> None:
    """Ask which version answers."""
    ask(lambda client: client.version(), facts, as_json=as_json)


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    ask(lambda client: client.openapi(), facts, as_json=True)
