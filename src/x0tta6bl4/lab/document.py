"""From YAML text to a plain document that obeys the scenario's schema; every mistake is a ConfigError.

The error names file, field path and value, and says what is allowed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
import yaml

from x0tta6bl4.errors import ConfigError

DEPTH_MAX = 12
ITEMS_MAX = 20_000

Document = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice: YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            text = getattr(key, "value", None)
            if isinstance(text, str) and key.tag != "tag:yaml.org,2002:merge":
                if text in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"key {text!r} twice", key.start_mark)
                seen.add(text)
        return super().construct_mapping(node, deep=deep)


def read_yaml(text: str, file: str) -> object:
    """Parse YAML; raises ConfigError where it is not YAML."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f"{file}: line {where.line + 1}" if where is not None else file
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
        raise ConfigError(line, str(what), "YAML") from error
    except (ValueError, TypeError, OverflowError, AttributeError, RecursionError, LookupError) as error:
        # values that look like dates, numbers or binary and are none, and nesting without end
        raise ConfigError(file, str(error)[:80] or type(error).__name__, "YAML without such values") from error


def plain(value: object, field: str, depth: int = 0, budget: list[int] | None = None) -> Any:
    """Copy into dict, list, str, bool, int, float and None only; raises ConfigError for everything else."""
    budget = [ITEMS_MAX] if budget is None else budget
    budget[0] -= 1
    if depth > DEPTH_MAX or budget[0] < 0:
        raise ConfigError(field, "...", f"at most {DEPTH_MAX} levels and {ITEMS_MAX} values")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ConfigError(field, key, "keys that are text")
        return {str(key): plain(item, _join(field, str(key)), depth + 1, budget) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{field}[{number}]", depth + 1, budget) for number, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(field, value, "a finite number")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ConfigError(field, str(value)[:80], "text, a number, true, false, a list or a mapping")


def validated(value: object, file: str) -> Document:
    """The document if it obeys the schema; raises ConfigError for the first mistake, in document order."""
    document = plain(value, f"{file}:")
    errors = sorted(_validator().iter_errors(document), key=lambda error: [str(part) for part in error.absolute_path])
    if errors:
        _reject(errors[0], file)
    result: Document = document
    return result


@cache
def schema() -> Mapping[str, Any]:
    """The JSON schema of a scenario."""
    text = files("x0tta6bl4.lab").joinpath("scenarios", "schema.json").read_text(encoding="utf-8")
    loaded: Mapping[str, Any] = json.loads(text)
    return loaded


@cache
def _validator() -> Any:
    return jsonschema.Draft202012Validator(schema())


def _join(field: str, key: str) -> str:
    return f"{field} {key}" if field.endswith(":") else f"{field}.{key}"


def _reject(error: Any, file: str) -> None:
    """Turn a schema error into one that a person can act on."""
    while error.context:  # a choice ("n1-n2" or a mapping): the branch of the value's own type has the real reason
        same = [inner for inner in error.context if inner.validator != "type" or inner.path]
        if not same:
            break
        error = same[0]
    field = f"{file}:"
    for part in error.absolute_path:
        field = f"{field}[{part}]" if isinstance(part, int) else _join(field, part)
    if error.validator == "additionalProperties":
        known = sorted(error.schema["properties"])
        unknown = sorted(set(error.instance) - set(known))
        raise ConfigError(_join(field, unknown[0]), error.instance[unknown[0]], f"one of the keys {', '.join(known)}")
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        raise ConfigError(_join(field, missing), None, f"required: {_described(error.schema, missing)}")
    if error.validator == "enum":
        raise ConfigError(field, error.instance, f"one of {', '.join(map(str, error.validator_value))}")
    raise ConfigError(
        field if field != f"{file}:" else file, error.instance, error.schema.get("description", error.message)
    )


def _described(parent: Mapping[str, Any], key: str) -> str:
    child = parent["properties"].get(key, {})
    if "$ref" in child:
        child = schema()["$defs"][child["$ref"].rsplit("/", 1)[1]]
    return str(child.get("description", "a value"))
