"""Prints the pages that are made from the code: `python -m x0tta6bl4.core.reference docs/reference`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from x0tta6bl4.core.settings import FILE_VARIABLE, PLACES, PREFIX, Settings
from x0tta6bl4.monitoring import logs, metrics

NOTE = "<!-- Printed by `python -m x0tta6bl4.core.reference docs/reference`; edit the code instead. -->\n"


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key with its dotted path; `[]` marks a list of tables."""
    for name, field in model.model_fields.items():
        inner, listed = _group(field.annotation)
        path = f"{prefix}{name}" + ("[]" if listed else "")
        if inner is None or listed:
            yield path, field
        if inner is not None:
            yield from keys(inner, path + ".")


def _group(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    arguments = getattr(annotation, "__args__", ())
    if arguments and isinstance(arguments[0], type) and issubclass(arguments[0], BaseModel):
        return arguments[0], True
    return None, False


def settings_page() -> str:
    """docs/reference/settings.md."""
    places = ", ".join(f"`{place}`" for place in PLACES)
    lines = [
        "# Settings",
        NOTE,
        f"One TOML file: `${FILE_VARIABLE}`, else the first that exists of {places}. Over it `.env`, over that the",
        f"environment, where a key is `{PREFIX}GROUP__KEY` (`{PREFIX}API__PORT=8001`) and lists and tables are JSON.",
        "An unknown key is an error that names the nearest known one. `x0t config check` tests them, `x0t config show`",
        "prints what is in force.",
        "",
        "| key | default | meaning |",
        "| --- | --- | --- |",
    ]
    for path, field in keys(Settings):
        default = "required" if field.default is PydanticUndefined else f"`{_toml(field.default)}`"
        lines.append(f"| `{path}` | {default} | {_cell(field.description or '')} |")
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """docs/reference/metrics.md."""
    lines = ["# Metrics", NOTE, "`GET /metrics`, Prometheus' text format. Base units.", ""]
    lines += ["| name | kind | labels | meaning |", "| --- | --- | --- | --- |"]
    for metric in metrics.DECLARED:
        labels = ", ".join(metric.labels) or "-"
        lines.append(f"| `{metric.full_name}` | {metric.kind} | {labels} | {_cell(metric.help)} |")
    return "\n".join(lines) + "\n"


def logs_page() -> str:
    """docs/reference/logs.md."""
    lines = [
        "# Logs",
        NOTE,
        "One JSON object a line on standard error; one line for each change of state at INFO (an opened incident and a",
        "refused or failed undo at WARNING), one line for each quiet pass at DEBUG. Fields that do not apply are left",
        "out.",
        "",
        "| field | meaning |",
        "| --- | --- |",
    ]
    lines += [f"| `{name}` | {_cell(meaning)} |" for name, meaning in logs.FIELDS.items()]
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "metrics.md": metrics_page,
    "logs.md": logs_page,
}


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[]" if not value else str(list(value))
    return str(value)


def main(folder: Path) -> None:
    """Write every page into `folder`."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
