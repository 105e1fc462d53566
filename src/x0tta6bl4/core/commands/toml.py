"""Writes TOML: what `config show` prints and what the file of contexts holds."""

from __future__ import annotations

import json
from typing import Any


def toml(document: dict[str, Any]) -> str:
    """A document of groups as a TOML file that says the same."""
    lines: list[str] = []
    for group, values in document.items():
        tables = {key: value for key, value in values.items() if isinstance(value, dict)}
        lists = {key: value for key, value in values.items() if _is_tables(value)}
        lines.append(f"[{group}]")
        lines += [f"{k} = {_value(v)}" for k, v in values.items() if k not in tables and k not in lists]
        for key, table in tables.items():
            lines += (
                [f"[{group}.{_key(key)}]", *(f"{_key(k)} = {_value(v)}" for k, v in table.items())] if table else []
            )
        for key, rows in lists.items():
            for row in rows:
                lines += [f"[[{group}.{_key(key)}]]", *(f"{_key(k)} = {_value(v)}" for k, v in row.items())]
        lines.append("")
    return "\n".join(lines).rstrip()


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _key(text: str) -> str:
    """A key, quoted where TOML wants it: a dot would begin a table."""
    return text if all(c.isascii() and (c.isalnum() or c in "_-") for c in text) else json.dumps(text)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
