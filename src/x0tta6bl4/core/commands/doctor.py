"""`x0t doctor`: finds what is wrong with an installation and says how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import typer
from rich.console import RenderableType
from rich.text import Text

from x0tta6bl4.core.commands import checks, checks_mesh
from x0tta6bl4.core.commands.checks import Finding, Level
from x0tta6bl4.core.commands.output import Exit, JsonFlag, show, table, working
from x0tta6bl4.core.settings import Settings, load
from x0tta6bl4.errors import ConfigError

SIGNS = {Level.OK: ("✓", "green"), Level.WARN: ("!", "yellow"), Level.FAIL: ("✗", "red")}

ANYWHERE: tuple[Callable[[], Finding], ...] = (checks.python, checks.packages, checks.clock, checks_mesh.lab)
WITH_SETTINGS: tuple[Callable[[Settings], Iterable[Finding]], ...] = (
    lambda settings: [checks.settings_file(), checks.token(settings)],
    checks.store,
    lambda settings: [checks.disk(settings.store.path), checks.plugged(settings)],
    checks.model_key,
    checks.traces,
    checks.knowledge,
    checks_mesh.mesh,
)


def examine() -> list[Finding]:
    """Every check, in the order in which one would mend things."""
    found = [check() for check in ANYWHERE]
    try:
        settings = load()
    except ConfigError as error:
        found.append(
            Finding("settings", Level.FAIL, str(error), "mend that setting; `x0t config check` tells the next")
        )
    else:
        found += [finding for check in WITH_SETTINGS for finding in check(settings)]
    return found + checks_mesh.controller()


def document(found: Iterable[Finding]) -> dict[str, Any]:
    """Findings for a program."""
    items = [asdict(one) for one in found]
    return {"ok": all(item["level"] != Level.FAIL for item in items), "items": items}


def doctor(as_json: JsonFlag = False) -> None:
    """Find what is wrong with this installation and how to mend it. Exit code 1 if something is broken."""
    with working("looking"):
        told = document(examine())
    show(lambda: told, _drawn, as_json=as_json)
    if not told["ok"]:
        raise typer.Exit(Exit.FAILED)


def _drawn(told: dict[str, Any]) -> RenderableType:
    made = table("", "", "check", "found", "mend it by")
    for row in told["items"]:
        mark, style = SIGNS[row["level"]]
        made.add_row(Text(mark, style), row["check"], row["what"], row["mend"])
    return made
