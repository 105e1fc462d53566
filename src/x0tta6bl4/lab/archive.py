"""Run records and scores as JSON, without loss: what a resumable score keeps on disk."""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from pathlib import Path

import x0tta6bl4
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.files import replace_file
from x0tta6bl4.lab.judge import FaultScore, RunScore
from x0tta6bl4.lab.record import FaultRecord, PairRecord, RunRecord, Step, Truth


def record_to_json(run: RunRecord) -> str:
    """A run record as one JSON document; a probe without an answer is null."""
    document = asdict(run)
    for pair in document["pairs"]:
        pair["rtt_ms"] = [None if value != value else value for value in pair["rtt_ms"]]  # noqa: PLR0124 -- NaN
    return json.dumps(document, separators=(",", ":"), default=str)


def record_from_json(text: str) -> RunRecord:
    """Inverse of `record_to_json`; raises ConfigError where the text is not such a document."""
    try:
        document = json.loads(text)
        document["faults"] = [_fault(fault) for fault in document["faults"]]
        document["pairs"] = [_pair(pair) for pair in document["pairs"]]
        document["events"] = [(at, event) for at, event in document["events"]]
        document["steps"] = [Step(**step) for step in document["steps"]]
        document["touched"] = [(at, tuple(nodes)) for at, nodes in document["touched"]]
        return RunRecord(**document)
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError("record", text[:60], f"a run record as this version writes it ({error})") from error


def _fault(document: dict[str, object]) -> FaultRecord:
    truth, touches = document.pop("truth"), document.pop("touches")
    if not isinstance(truth, dict) or not isinstance(touches, list):
        raise TypeError("truth is an object, touches a list")
    return FaultRecord(**document, truth=Truth(**truth), touches=tuple(touches))  # type: ignore[arg-type]


def _pair(document: dict[str, list[float | None]]) -> PairRecord:
    rtt = [float("nan") if value is None else value for value in document.pop("rtt_ms")]
    excused: list[object] = [tuple(span) for span in document.pop("excused")]  # type: ignore[arg-type]
    return PairRecord(**document, rtt_ms=rtt, excused=excused)  # type: ignore[arg-type]


def score_to_dict(score: RunScore) -> dict[str, object]:
    """A run's score as plain JSON values."""
    document: dict[str, object] = json.loads(json.dumps(asdict(score), default=str))  # tuples become lists
    return document


def score_from_dict(document: Mapping[str, object]) -> RunScore:
    """Inverse of `score_to_dict` (tuples again); raises TypeError or KeyError where it is not one."""
    values = dict(document)
    faults = values.pop("faults")
    if not isinstance(faults, list):
        raise TypeError("faults is a list")
    for name in ("false_incidents", "harmful", "drift"):
        values[name] = tuple(values[name])  # type: ignore[arg-type]
    return RunScore(**values, faults=tuple(FaultScore(**fault) for fault in faults))  # type: ignore[arg-type]


def keep_record(directory: Path, key: str, run: RunRecord) -> None:
    """Keep one run's record, compressed, under its key."""
    directory.mkdir(parents=True, exist_ok=True)
    # mtime=0: the same record gives the same bytes.
    replace_file(directory / f"{key}.json.gz", gzip.compress(record_to_json(run).encode(), 6, mtime=0))


def kept_record(directory: Path, key: str) -> RunRecord | None:
    """The record kept under `key`; None where there is none. Raises ConfigError where it is damaged."""
    path = directory / f"{key}.json.gz"
    try:
        text = gzip.decompress(path.read_bytes()).decode()
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError) as error:
        raise ConfigError("records", str(path), f"a whole record file, or none ({error})") from error
    return record_from_json(text)


def content_hash(value: object) -> str:
    """A hash of the content of a scenario (dataclasses, mappings, sequences, plain values), not of its identity."""
    return hashlib.sha256(json.dumps(_plain(value), sort_keys=True).encode()).hexdigest()


@functools.cache
def code_hash(*packages: str) -> str:
    """A hash of the source of the project's top modules and of these packages: another controller is another run."""
    root = Path(x0tta6bl4.__file__).parent
    files = [*root.glob("*.py"), *(file for name in packages for file in (root / name).rglob("*.py"))]
    hashes = (hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files))
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, AbstractSet):
        return sorted((_plain(one) for one in value), key=repr)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
