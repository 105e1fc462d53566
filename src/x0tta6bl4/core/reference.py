"""Prints the pages that are made from the code: `python -m x0tta6bl4.core.reference docs/reference`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from x0tta6bl4.core.app import create_app
from x0tta6bl4.core.pages import catalogue, endpoints, scenarios
from x0tta6bl4.core.pages.markdown import NOTE, cell
from x0tta6bl4.core.settings import FILE_VARIABLE, PLACES, PREFIX, Settings
from x0tta6bl4.monitoring import logs, metrics


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
        lines.append(f"| `{path}` | {default} | {cell(field.description or '')} |")
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """docs/reference/metrics.md."""
    lines = ["# Metrics", NOTE, "`GET /metrics`, Prometheus' text format. Base units.", ""]
    lines += ["| name | kind | unit | labels | meaning |", "| --- | --- | --- | --- | --- |"]
    for metric in metrics.DECLARED:
        labels = ", ".join(metric.labels) or "-"
        cells = (f"`{metric.full_name}`", metric.kind, metric.unit or "-", labels, cell(metric.help))
        lines.append(f"| {' | '.join(cells)} |")
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
    lines += [f"| `{name}` | {cell(meaning)} |" for name, meaning in logs.FIELDS.items()]
    return "\n".join(lines) + "\n"


API_PROSE = """\
On `api.host`:`api.port` (127.0.0.1:8000). Send `Authorization: Bearer TOKEN`; the token is in the file that
`x0t config show` names as `api.token_file`. `GET /v1/openapi` is all of this as OpenAPI 3.1, with an example for each
operation. `/health`, `/ready` and `/metrics` also stand at the root, where probes look, and answer HEAD.

```sh
curl -H "Authorization: Bearer $(cat ~/.local/state/x0tta6bl4/token)" http://127.0.0.1:8000/v1/mesh/status
```

Times are ages in seconds (`age_s`), counted back from the last pass: clocks of two machines are never compared; only
names that end in `_utc` are wall clock. What is not known is null, never zero.

## Lists

`{"items": [...], "next": CURSOR or null}`. `limit` is 1 to 1000; send `next` as `cursor` for the page after. A cursor
that is not known any more is a 422.

## Snapshots

What is made from the last pass carries an `ETag`; with `If-None-Match` the answer is 304 while there was no new pass.
History (incidents, plans, actions, iterations, readings) is read from the store; the demo, which has none, remembers
the last 512 incidents, 1000 passes and ten minutes. Agents keep their own stores: their actions are in the history of
their incident, and in `/v1/actions` for as long as this process remembers them.

## Writes

A write is carried out by the loop at the start of its next pass and answered once it is kept: 503 where that takes
longer than two seconds, with a word on whether it may still take effect. With an `Idempotency-Key` the same request
again gets the first answer's bytes without being done twice, the same key with another request is a 422; keys live as
long as the process, 1000 at most, and a 5xx is not kept. Where the first answer was over 64 KiB the repetition is a
409 and nothing is done. A body has at most 1 MiB.

Pause, kill switch, autonomy and maintenance windows hold over restarts. Pause, kill switch and autonomy bind agents
too, once the controller reaches them: they only restrain, what the settings of a node's own machine (`safety.*`) forbid
stays forbidden. Maintenance windows bind the controller's loop. An approval is judged by the guards again.

## Problems

Errors are `application/problem+json` (RFC 9457). 400: no or a malformed Host header, or a body that is no JSON. 401: no
or a wrong token. 404: there is none of this name. 409: it is there, but in a state in which this cannot be done. 413: a
body that is too large. 421: a foreign host name (`api.hosts`). 422: a wrong parameter, named. 429: all places for
listeners are taken. 503: no pass yet, the loop does not answer, or the store cannot be read.

## Events

Each event has an `id`, its type as `event`, and a JSON object as `data`: `number, type, origin, seq, age_s, incident,
component, data`; the timeline of an incident has the same objects. Types: `incident.opened`, `.updated`,
`.acknowledged`, `.closed`; `plan.made`, `.refused`, `.approved`, `.rejected`; `action.STATE`; `control.changed`,
`brake.changed`, `policy.changed`, `window.added`, `.removed`; `alert.firing`, `.resolved`.

Without `Last-Event-ID` the stream begins now; with it, after that event. If events in between are no longer
remembered, or the id is of an earlier process, the stream begins with `event: reset` and `data: {"lost": N}` (null
where N cannot be known). A listener that does not take its bytes for 10 s, or is overtaken by the ring of 2,048
events, is dropped; it may resume. It never holds the loop or other listeners back.
"""


def api_page() -> str:
    """docs/reference/api.md."""
    document = create_app(source=None).openapi()
    lines = ["# HTTP API", NOTE, "| operation | request | answer |", "| --- | --- | --- |"]
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            query = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"]
            asked = f"`{verb.upper()} {path}`" + (f" ?{', '.join(query)}" if query else "")
            fields = _body(operation, document["components"]["schemas"])
            asked += f" {{{', '.join(fields)}}}" if fields else ""
            lines.append(f"| `{operation['operationId']}` | {asked} | {cell(operation['description'])} |")
    return "\n".join(lines) + "\n\n" + API_PROSE


def _body(operation: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    """Members of the request's body; optional ones end in `?`."""
    if "requestBody" not in operation:
        return []
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema = schemas[name]
    required = schema.get("required", [])
    return [field if field in required else f"{field}?" for field in schema["properties"]]


PAGES: dict[str, Callable[[], str]] = {
    "API_ENDPOINTS_REFERENCE.md": lambda: endpoints.page(create_app(source=None).openapi()),
    "api.md": api_page,
    "catalogue.md": catalogue.page,
    "scenario.md": scenarios.page,
    "settings.md": settings_page,
    "metrics.md": metrics_page,
    "logs.md": logs_page,
}


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
