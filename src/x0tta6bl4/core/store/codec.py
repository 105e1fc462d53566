"""The vocabulary as JSON documents and back, without loss.

Every dataclass of `x0tta6bl4.model` but the two that carry arrays (readings go to `blocks`) becomes a plain
object with its field names. What JSON cannot say is tagged: `{"$float": "nan"}`, `{"$tuple": [...]}`,
`{"$map": [[key, value], ...]}` and `{"$model": name, "value": {...}}`, the last three only where the model says
`object` or `float | str`. Fields that hold a time on the monotonic clock are named in `TIMES`; a caller that
keeps documents longer than its process lives passes a `shift` to turn them into UTC and back.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, TypeVar

import numpy as np

from x0tta6bl4 import model
from x0tta6bl4.errors import ConfigError, ProtocolError

T = TypeVar("T")
Shift = Callable[[str, float], float]
"""(field name, time) -> time on the other clock."""

TIMES: Final = frozenset(
    {
        *("at", "since", "opened_at", "quiet_since", "closed_at", "start", "end"),
        *("proposed_at", "applied_at", "confirmed_at", "well_since"),
    }
)
FUTURE: Final = frozenset({"start", "end"})  # the only times that may lie ahead
_ARRAYS = {"Layout", "Observation"}
_KINDS: Final[dict[str, type[Any]]] = {
    name: kind
    for name, kind in vars(model).items()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and name not in _ARRAYS
}
_Step = Callable[[Any, Shift], Any]


def _same(name: str, at: float) -> float:
    return at


def encode(value: object, shift: Shift = _same) -> dict[str, Any]:
    """A model value as a document of JSON types; `shift` is applied to its times.

    Raises ConfigError where `value` is no model value, or holds in a free field what JSON cannot carry.
    """
    if type(value).__name__ not in _KINDS:
        raise ConfigError("codec.value", value, f"one of {', '.join(sorted(_KINDS))}")
    document: dict[str, Any] = _steps(type(value))[0](value, shift)
    return document


def decode(kind: type[T], document: object, shift: Shift = _same) -> T:
    """Inverse of `encode`; raises ProtocolError where the document is not one of `kind`."""
    try:
        value: T = _steps(kind)[1](document, shift)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(f"codec: no {kind.__name__} in {str(document)[:200]!r}: {error}") from error
    return value


def encode_free(value: object, shift: Shift = _same) -> Any:
    """Any value that the model allows in a free field (`Event.data`, `Plan.context`) as a document."""
    return _free(value, shift)


def decode_free(document: object, shift: Shift = _same) -> Any:
    """Inverse of `encode_free`; raises ProtocolError where the document holds an unknown tag."""
    try:
        return _unfree(document, shift)
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"codec: {str(document)[:200]!r}: {error}") from error


def _steps(hint: Any) -> tuple[_Step, _Step]:
    """(encoder, decoder) for one type hint, made once."""
    return _made(hint)


@functools.cache
def _made(hint: Any) -> tuple[_Step, _Step]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is model.Component:
        return lambda value, _: [value.kind, value.name], lambda document, _: model.Component(*_pair(document))
    if dataclasses.is_dataclass(hint):
        return _record_steps(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda value, _: value.value, lambda document, _: hint(document)
    if hint in (int, float, bool, str):
        return lambda value, _: _plain(hint, value), lambda document, _: _scalar(hint, document)
    if origin is tuple:
        return _tuple_steps(arguments[0])
    if origin in (types.UnionType, typing.Union) and type(None) in arguments:
        inner = _steps(next(kind for kind in arguments if kind is not type(None)))
        return (
            lambda value, shift: None if value is None else inner[0](value, shift),
            lambda document, shift: None if document is None else inner[1](document, shift),
        )
    return _free, _unfree  # Mapping[str, object], float | str, object


def _record_steps(kind: Any) -> tuple[_Step, _Step]:
    """Encoder and decoder of one dataclass, its hints resolved once."""
    hints = typing.get_type_hints(kind)
    fields = [(field.name, *_field_steps(field.name, hints[field.name])) for field in dataclasses.fields(kind)]
    required = {f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING}

    def to(value: Any, shift: Shift) -> dict[str, Any]:
        return {name: step(getattr(value, name), shift) for name, step, _ in fields}

    def back(document: Any, shift: Shift) -> Any:
        # Fields that an older version did not know take their default.
        if missing := required - document.keys():
            raise KeyError(f"missing {', '.join(sorted(missing))}")
        return kind(**{name: step(document[name], shift) for name, _, step in fields if name in document})

    return to, back


def _field_steps(name: str, hint: Any) -> tuple[_Step, _Step]:
    """Like `_steps`, with the shift around a field that is a time."""
    to, back = _steps(hint)
    if name not in TIMES:
        return to, back

    def shifted(value: Any, shift: Shift) -> Any:
        return None if value is None else to(shift(name, value), shift)

    def unshifted(document: Any, shift: Shift) -> Any:
        value = back(document, shift)
        return None if value is None else shift(name, value)

    return shifted, unshifted


def _tuple_steps(hint: Any) -> tuple[_Step, _Step]:
    to, back = _steps(hint)

    def unlist(document: Any, shift: Shift) -> Any:
        if not isinstance(document, list):
            raise TypeError(f"got {document!r:.80}, allowed: a list")
        return tuple(back(item, shift) for item in document)

    return lambda value, shift: [to(item, shift) for item in value], unlist


def _pair(document: Any) -> tuple[str, str]:
    kind, name = document
    return _scalar(str, kind), _scalar(str, name)


def _plain(hint: type, value: Any) -> Any:
    """A number or text in the type that JSON knows (numpy's scalars are not)."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    return value


def _scalar(hint: type, document: Any) -> Any:
    if hint is float and isinstance(document, dict):
        return float(document["$float"])
    allowed = (int, float) if hint is float else hint
    if not isinstance(document, allowed) or (isinstance(document, bool) and hint is not bool):
        raise TypeError(f"got {document!r:.80}, allowed: {hint.__name__}")
    return document


def _free(value: Any, shift: Shift) -> Any:
    """What the model leaves open: JSON types, tuples, mappings with any key, and model values."""
    if isinstance(value, (np.generic, float)):
        return _plain(float, value)
    if isinstance(value, Enum) and isinstance(value, str):
        return value.value
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [_free(item, shift) for item in value]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {str(key): _free(item, shift) for key, item in value.items()}
        return {"$map": [[_free(key, shift), _free(item, shift)] for key, item in value.items()]}
    name = type(value).__name__
    if _KINDS.get(name) is type(value):
        return {"$model": name, "value": _steps(type(value))[0](value, shift)}
    raise ConfigError("codec.value", value, "None, bool, int, float, str, list, tuple, mapping or a model value")


def _unfree(document: Any, shift: Shift) -> Any:
    if isinstance(document, list):
        return [_unfree(item, shift) for item in document]
    if not isinstance(document, dict):
        return document
    if "$float" in document:
        return float(document["$float"])
    if "$tuple" in document:
        return tuple(_unfree(item, shift) for item in document["$tuple"])
    if "$map" in document:
        return {_unfree(key, shift): _unfree(item, shift) for key, item in document["$map"]}
    if "$model" in document:
        return _steps(_KINDS[document["$model"]])[1](document["value"], shift)
    return {key: _unfree(item, shift) for key, item in document.items()}
