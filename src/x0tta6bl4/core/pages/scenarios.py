"""docs/reference/scenario.md: the schema of a scenario, the kinds of fault, and the scenarios that come along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Final

from x0tta6bl4.core.pages.markdown import NOTE, block, table
from x0tta6bl4.lab import faults, scenarios

INTRO: Final = (
    "A scenario is a YAML file: what a lab run builds, disturbs and measures. An unknown key is an error; every error "
    "names\nthe file, the key, the value and what is allowed. How to write one: "
    "[write a scenario](../how-to/write-a-scenario.md).\n"
)
EXAMPLE: Final = "loss-40"
PLAIN: Final = {  # no key that has a default
    "name": "plain", "title": "plain", "topology": {"nodes": 2, "links": ["n1-n2"]}, "pairs": ["n1-n2"],
}  # fmt: skip
GROUPS: Final = {  # definitions of the schema that are mappings -> their heading
    "link": "A link",
    "radio": "A radio segment",
    "fault": "An entry of the timeline",
}


def page() -> str:
    """The page."""
    folder = files("x0tta6bl4.lab").joinpath("scenarios")
    schema = json.loads(folder.joinpath("schema.json").read_text(encoding="utf-8"))
    lines = ["# Scenarios", NOTE, INTRO]
    lines += block("yaml", folder.joinpath(f"{EXAMPLE}.yaml").read_text(encoding="utf-8").rstrip())
    plain = scenarios.from_document(PLAIN)
    lines += ["## The file", "", *_keys(schema, schema, plain)]
    lines += ["### topology", "", *_keys(schema["properties"]["topology"], schema)]
    lines += ["### background", "", *_keys(schema["properties"]["background"], schema, plain.background)]
    for name, heading in GROUPS.items():
        lines += [f"### {heading}", "", *_keys(schema["$defs"][name], schema)]
    lines += ["## Kinds of fault", "", "Each needs `at`, and `until` except for `node-reboot`.", ""]
    lines += table(("fault", "its target", "its parameters"), _faults())
    lines += ["## Scenarios that come along", ""]
    lines += table(("scenario", "what it breaks", "class", "the right answer"), _builtin())
    return "\n".join(lines).rstrip() + "\n"


def _keys(mapping: dict[str, Any], schema: dict[str, Any], plain: object = None) -> list[str]:
    """The table of a mapping's keys; `plain` is what it becomes where no key is given."""
    needed = mapping.get("required", ())
    rows = []
    for name, one in mapping["properties"].items():
        value = getattr(plain, name, None)
        shown = f"`{value:g}`" if isinstance(value, int | float) else f"`{value}`" if isinstance(value, str) else ""
        default = f"`{list(value)}`" if isinstance(value, tuple) and value else shown
        rows.append((f"`{name}`", "required" if name in needed else default, _meaning(one, schema)))
    return table(("key", "default", "value"), rows)


def _meaning(one: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in one:
        return _meaning(schema["$defs"][one["$ref"].rpartition("/")[2]], schema)
    return str(one["description"])


def _faults() -> Iterator[tuple[str, ...]]:
    for kind, key in faults.KINDS.items():
        parameters = [f"`{name}`" for name in scenarios.PARAMETERS.get(kind, ())]
        if kind in scenarios.ONE_WAY:
            parameters.append("`direction`")
        yield f"`{kind}`", f"`{key}`", ", ".join(parameters)


def _builtin() -> Iterator[tuple[str, ...]]:
    for name in scenarios.builtin():
        one = scenarios.load(name)
        records = one.fault_records()
        truth = ", ".join(f"{r.truth.code} {r.truth.component}" for r in records)
        yield f"`{name}`", one.title, ", ".join(sorted({r.kind_class for r in records})), truth
