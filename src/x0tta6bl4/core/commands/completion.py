"""`x0t completion`: what a shell needs to complete our commands."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer import completion as shells

PROGRAMS = ("x0t", "x0tta6bl4")


class Shell(StrEnum):
    """Shells that typer knows and our users have."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="Which shell.")], context: typer.Context) -> None:
    """Print a completion script; e.g. in ~/.bashrc: eval "$(x0t completion bash)"."""
    called = context.find_root().info_name
    program = called if called in PROGRAMS else PROGRAMS[0]
    variable = f"_{program.upper()}_COMPLETE"
    script = shells.get_completion_script(prog_name=program, complete_var=variable, shell=shell.value)  # type: ignore[attr-defined]  # typer's stubs do not list it
    typer.echo(script)


def prepare() -> None:
    """Teach typer its shells; without it a script's questions have no answer."""
    shells.completion_init()  # type: ignore[attr-defined]  # as above
