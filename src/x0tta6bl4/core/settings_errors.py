"""Turns what pydantic says about a rejected setting into one ConfigError that a person can act on."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from x0tta6bl4.errors import ConfigError

SHOWN_MAX = 80  # characters of a rejected value that are repeated; a whole table helps nobody


def read_toml(path: Path) -> dict[str, Any]:
    """The document in `path`; raises ConfigError where it cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), error.strerror, "a readable file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), str(error), "a TOML document in UTF-8") from None


def nearest(name: str, known: Iterable[str]) -> str:
    """Text that names the nearest known key, or all of them.

    >>> nearest("prot", ["host", "port"])
    "'port'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"{close[0]!r}?" if close else "one of " + ", ".join(names)


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> Iterable[str]:
    """Names of the fields of the group in which `location`'s last key was looked for."""
    current = model
    for key in location[:-1]:
        if isinstance(key, int) or key not in current.model_fields:
            continue
        annotation = current.model_fields[key].annotation
        while annotation is not None and not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            # tuple[NodeSettings, ...] -> NodeSettings
            inner = getattr(annotation, "__args__", ())
            annotation = inner[0] if inner else None
        if annotation is None:
            return ()
        current = annotation
    return current.model_fields


def _shown(value: object) -> object:
    text = repr(value)
    return value if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "..."


def rejected(error: ValidationError, model: type[BaseModel]) -> ConfigError:
    """The first mistake of `error`; the field is its dotted path, as in the TOML file."""
    first = error.errors(include_url=False)[0]
    location = first["loc"]
    field = ".".join(str(part) for part in location) or "settings"
    if first["type"] == "extra_forbidden":
        allowed = f"no such key; known: {nearest(str(location[-1]), _fields_at(model, location))}"
        return ConfigError(field, _shown(first["input"]), allowed)
    if first["type"] == "missing":
        return ConfigError(field, None, "a value: this key is required")
    allowed = first["msg"].removeprefix("Value error, ")
    allowed = allowed.removeprefix("Input should be ").removeprefix("Input should have ")
    allowed = re.sub(r", unable to parse .*", "", allowed)  # how pydantic tried is no help
    return ConfigError(field, _shown(first["input"]), allowed)


def unknown_groups(
    document: Mapping[str, Any],
    variables: Mapping[str, str | None],
    prefix: str,
    reserved: tuple[str, ...],
    model: type[BaseModel],
) -> None:
    """Raises ConfigError for the first group of the file, or variable with our prefix, that is none of `model`'s."""
    for group, value in document.items():
        if group not in model.model_fields:
            allowed = f"no such group; known: {nearest(group, model.model_fields)}"
            raise ConfigError(group, _shown(value), allowed)
    for name, value in sorted(variables.items()):
        if not name.upper().startswith(prefix) or name.startswith(reserved):
            continue
        group = name[len(prefix) :].lower().split("__")[0]
        if group not in model.model_fields:
            known = nearest(group, model.model_fields)
            raise ConfigError(name, value, f"{prefix}GROUP__KEY; known groups: {known}")


def malformed_variable(
    error: SettingsError, prefix: str, variables: Mapping[str, str | None]
) -> tuple[str, object, str]:
    """Field, value and what is allowed for a variable whose value should have been JSON and is not."""
    found = re.search(r'field "(\w+)"', str(error))
    group = prefix + (found.group(1).upper() if found else "GROUP")
    names = sorted(name for name in variables if name.upper().startswith(group))
    value = "; ".join(f"{name}={variables[name]}" for name in names)
    return group, _shown(value), "one key of the group each (GROUP__KEY), lists and tables written as JSON"
