"""The commands `x0t` and `x0tta6bl4`; exit codes are those of `core.commands.output.Exit`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from x0tta6bl4 import __version__
from x0tta6bl4.client import Unreachable
from x0tta6bl4.core.commands import (
    api,
    bundle,
    completion,
    config,
    connection,
    context,
    contexts,
    control,
    demo,
    doctor,
    feed,
    history,
    incident,
    knowledge,
    lab,
    mesh,
    plan,
    query,
    store,
)
from x0tta6bl4.core.commands.output import EXIT_CODES, Exit, code_of, complain, json_asked
from x0tta6bl4.errors import X0tError

SUMMARY = "Self-healing controller for batman-adv meshes. Begin with `x0t demo`."
RUN, LOOK, STEER, CARE = "Run", "Look", "Decide and steer", "Care for this installation"

PANELS = (RUN, LOOK, STEER, CARE)


class ByPanel(TyperGroup):
    """Lists commands in the order of their panels: typer puts all groups behind all commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names as `--help` and completion show them."""
        return sorted(super().list_commands(ctx), key=lambda name: PANELS.index(_panel(self.commands[name])))


def _panel(command: Any) -> str:
    return str(command.rich_help_panel)


app = typer.Typer(
    name="x0t",
    cls=ByPanel,
    help=SUMMARY,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # brackets in help texts are brackets
    epilog=EXIT_CODES,
)
app.command(rich_help_panel=RUN)(demo.demo)
app.command(rich_help_panel=RUN)(demo.run)
app.add_typer(lab.app, name="lab", rich_help_panel=RUN)

app.command(rich_help_panel=LOOK)(query.status)
app.command(rich_help_panel=LOOK)(feed.top)
app.command(rich_help_panel=LOOK)(query.incidents)
app.command(rich_help_panel=LOOK)(query.explain)
app.command(rich_help_panel=LOOK)(incident.why)
app.command(rich_help_panel=LOOK)(feed.events)
app.add_typer(mesh.app, name="mesh", rich_help_panel=LOOK)
app.add_typer(plan.actions, name="action", rich_help_panel=LOOK)
app.add_typer(history.iterations, name="iteration", rich_help_panel=LOOK)
app.add_typer(history.alerts, name="alert", rich_help_panel=LOOK)
app.add_typer(history.ml, name="ml", rich_help_panel=LOOK)
app.add_typer(knowledge.app, name="knowledge", rich_help_panel=LOOK)

app.add_typer(incident.app, name="incident", rich_help_panel=STEER)
app.add_typer(plan.plans, name="plan", rich_help_panel=STEER)
app.add_typer(control.control, name="control", rich_help_panel=STEER)
app.add_typer(control.policy, name="policy", rich_help_panel=STEER)
app.add_typer(control.maintenance, name="maintenance", rich_help_panel=STEER)

app.command(rich_help_panel=CARE)(doctor.doctor)
app.command(rich_help_panel=CARE)(bundle.bundle)
app.add_typer(config.app, name="config", rich_help_panel=CARE)
app.add_typer(context.app, name="context", rich_help_panel=CARE)
app.add_typer(store.app, name="store", rich_help_panel=CARE)
app.add_typer(api.app, name="api", rich_help_panel=CARE)
app.command(rich_help_panel=CARE)(completion.completion)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"x0tta6bl4 {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: Annotated[
        str,
        typer.Option(
            "--context", envvar=contexts.VARIABLE, help="Which controller (`x0t context list`).", show_default=False
        ),
    ] = "",
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Self-healing controller for batman-adv meshes. Begin with `x0t demo`."""
    connection.asked.set(context)


def run(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command line, return its exit code; an error is a line (`--json`: an object) on standard error."""
    completion.prepare()
    json_asked.set(False)
    try:
        app(args=None if arguments is None else list(arguments))
    except SystemExit as ended:  # typer's way to return, usage errors (2) and interruption (130) included
        if isinstance(ended.__context__, BrokenPipeError):  # `x0t events | head`: who read has enough
            return Exit.OK
        return ended.code if isinstance(ended.code, int) else Exit.FAILED
    except X0tError as error:
        hint = "; start one with `x0t demo` or `x0t run`, or ask `x0t doctor`" if isinstance(error, Unreachable) else ""
        complain(error, code_of(error), hint)
        return code_of(error)
    except OSError as error:  # a full disk, a file that may not be written
        complain(error, Exit.FAILED)
        return Exit.FAILED
    return Exit.OK


def main() -> None:
    """Entry point of the installed commands. SIGTERM unwinds it, so that a guest or a half-written file is not left."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(run())
