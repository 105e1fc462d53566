"""The commands `x0t` and `x0tta6bl4`.

Exit codes: 0 done and well; 1 a check or score did not hold, or something outside failed; 2 wrong arguments or
settings; 3 no controller answers; 4 this machine cannot do it; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from x0tta6bl4 import __version__
from x0tta6bl4.core.commands import config, demo, lab, query, store
from x0tta6bl4.core.commands.output import Exit, code_of
from x0tta6bl4.errors import X0tError

app = typer.Typer(
    name="x0t",
    help="Self-healing controller for batman-adv meshes. Begin with `x0t demo`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 ok, 1 failed, 2 wrong arguments or settings, 3 no controller answers, 4 not supported here.",
)
app.command()(demo.demo)
app.command()(demo.run)
app.add_typer(lab.app, name="lab")
app.command()(query.status)
app.command()(query.incidents)
app.command()(query.explain)
app.add_typer(config.app, name="config")
app.add_typer(store.app, name="store")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"x0tta6bl4 {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Self-healing controller for batman-adv meshes. Begin with `x0t demo`."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line and return its exit code; an error is one line on standard error."""
    try:
        app(args=None if arguments is None else list(arguments))
    except SystemExit as ended:  # typer's way to return, usage errors (2) and interruption (130) included
        return ended.code if isinstance(ended.code, int) else Exit.FAILED
    except X0tError as error:
        typer.echo(f"error: {error}", err=True)
        return code_of(error)
    except OSError as error:  # a full disk, a file that may not be written
        typer.echo(f"error: {error}", err=True)
        return Exit.FAILED
    return Exit.OK


def main() -> None:
    """Entry point of the installed commands."""
    sys.exit(run())
