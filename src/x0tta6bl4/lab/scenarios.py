"""Scenarios: what a lab run builds, disturbs and measures, loaded from YAML (`scenarios/*.yaml`, `schema.json`).

>>> load("blackhole").timeline[0].kind
'link-blackhole'
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.lab import faults
from x0tta6bl4.lab.document import Document, read_yaml, validated
from x0tta6bl4.lab.faults import Fault
from x0tta6bl4.lab.record import FaultRecord, Truth
from x0tta6bl4.lab.topology import DUMMY, Link, Topology, build

TUNED_INTERVAL_MS = 200
DEFAULT_INTERVAL_MS = 1000
FILE_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Background:
    """What the mesh does to traffic without any fault.

    loss_ratio: [least, most] of a directed link. bursts_per_hour, burst_ms: total loss, for each directed link.
    jitter_ms: uniform, on top of each link's delay; daily_load: by how much it swings over a day.
    reboots_per_day: expected ones of the whole mesh (healthy runs only), each `reboot_s` long.
    """

    loss_ratio: tuple[float, float] = (0.0005, 0.002)
    bursts_per_hour: float = 6.0
    burst_ms: float = 150.0
    jitter_ms: float = 2.0
    daily_load: float = 0.5
    reboots_per_day: float = 4.0
    reboot_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario, checked: everything that it names exists."""

    name: str
    title: str
    topology: Topology
    algorithm: str
    tuning: str
    primary: str
    seed: int
    seat: str
    management: str
    background: Background
    pairs: tuple[tuple[str, str], ...]
    timeline: tuple[Fault, ...]
    document: Document = field(repr=False, compare=False)

    @property
    def orig_interval_ms(self) -> int:
        """The declared originator interval."""
        return TUNED_INTERVAL_MS if self.tuning == "tuned" else DEFAULT_INTERVAL_MS

    @property
    def ends(self) -> float:
        """When the last fault has ended, in seconds."""
        return max((fault.until for fault in self.timeline), default=0.0)

    @property
    def digest(self) -> str:
        """Content hash: the same for the same document, whatever its comments and order."""
        text = json.dumps(self.document, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def fault_records(self) -> list[FaultRecord]:
        """The timeline with its ground truth."""
        return [faults.record(fault, self.topology, self.seat) for fault in self.timeline]

    def variant(self, **changes: str | int | list[Any] | None) -> Scenario:
        """The same scenario with other top-level values (algorithm, tuning, management, primary); None changes nothing.

        Raises ConfigError like `parse`.
        """
        wanted = {key: value for key, value in changes.items() if value is not None}
        return from_document({**self.document, **wanted}, self.name) if wanted else self


def builtin() -> list[str]:
    """Names of the scenarios that come with the package."""
    folder = files("x0tta6bl4.lab").joinpath("scenarios")
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load(source: str | Path) -> Scenario:
    """A scenario by the name of a built-in one or by the path of a file; raises ConfigError."""
    if isinstance(source, str) and not source.endswith((".yaml", ".yml")):
        if source not in builtin():
            raise ConfigError("scenario", source, f"a .yaml file or one of {', '.join(builtin())}")
        entry = files("x0tta6bl4.lab").joinpath("scenarios", f"{source}.yaml")
        return parse(entry.read_text(encoding="utf-8"), f"{source}.yaml")
    path = Path(source)
    try:
        data = path.read_bytes()
        if len(data) > FILE_MAX_BYTES:
            raise ConfigError(str(path), f"{len(data)} bytes", f"at most {FILE_MAX_BYTES} bytes")
        return parse(data.decode(), str(path))
    except OSError as error:
        raise ConfigError("scenario", str(path), f"a file that can be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), f"byte {error.start}", "UTF-8 text") from error


def load_dir(folder: str | Path) -> list[Scenario]:
    """All scenarios of a directory, by file name; raises ConfigError, also where there is none."""
    paths = sorted(path for path in Path(folder).glob("*.y*ml") if path.suffix in (".yaml", ".yml"))
    if not paths:
        raise ConfigError("scenario-dir", str(folder), "a directory with .yaml files")
    return [load(path) for path in paths]


def parse(text: str, file: str = "scenario") -> Scenario:
    """A scenario from YAML text; raises ConfigError that names `file`, field, value and what is allowed."""
    return from_document(read_yaml(text, file), file)


def from_document(value: object, file: str = "scenario") -> Scenario:
    """A scenario from a document (what YAML parses to); raises ConfigError like `parse`."""
    document = validated(value, file)
    tuned = document.get("tuning", "default") == "tuned"
    primary = "dummy" if tuned else document.get("primary", "dummy")
    topology = _topology(document["topology"], file, dummy_primary=primary == "dummy")
    names = [node.name for node in topology.nodes]
    seat = _known(document.get("seat", "n1"), names, f"{file}: seat", "node")
    pairs = tuple(_pair(pair, names, f"{file}: pairs[{number}]") for number, pair in enumerate(document["pairs"]))
    _unique([f"{a}-{b}" for a, b in pairs], f"{file}: pairs")
    timeline = tuple(
        _fault(entry, topology, f"{file}: timeline[{number}]")
        for number, entry in enumerate(document.get("timeline", []))
    )
    _unique([fault.id for fault in timeline], f"{file}: timeline")
    return Scenario(
        name=document["name"],
        title=document["title"],
        topology=topology,
        algorithm="BATMAN_IV" if tuned else document.get("algorithm", "BATMAN_IV"),
        tuning=document.get("tuning", "default"),
        primary=primary,
        seed=document.get("seed", 1),
        seat=seat,
        management=document.get("management", "inband"),
        background=_background(document.get("background", {}), file),
        pairs=pairs,
        timeline=timeline,
        document=document,
    )


def _known(value: str, names: list[str], where: str, what: str) -> str:
    if value not in names:
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise ConfigError(where, value, f"a {what} of this topology: {shown}")
    return value


def _unique(names: list[str], where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(where, name, "each name once")


def _pair(text: str, names: list[str], where: str) -> tuple[str, str]:
    first, second = (_known(name, names, where, "node") for name in text.split("-"))
    if first == second:
        raise ConfigError(where, text, "two different nodes")
    return first, second


def _background(given: Mapping[str, Any], file: str) -> Background:
    values: dict[str, Any] = dict(given)
    if "loss_ratio" in values:
        low, high = values["loss_ratio"]
        if low > high:
            raise ConfigError(f"{file}: background.loss_ratio", [low, high], "[least, most] with least <= most")
        values["loss_ratio"] = (float(low), float(high))
    return Background(**values)


def _topology(given: Mapping[str, Any], file: str, *, dummy_primary: bool) -> Topology:
    names = [f"n{number}" for number in range(1, given["nodes"] + 1)]
    links = [
        _link(entry, names, f"{file}: topology.links[{number}]") for number, entry in enumerate(given.get("links", []))
    ]
    for number, segment in enumerate(given.get("radio", [])):
        links += _segment(segment, names, f"{file}: topology.radio[{number}]")
    _unique([link.name for link in links], f"{file}: topology.links")
    ports: dict[tuple[str, str], str] = {}
    for link in links:
        for port in ((link.node_a, link.interface_a), (link.node_b, link.interface_b)):
            shared = ports.setdefault(port, link.segment or link.name)
            if shared != (link.segment or link.name):
                allowed = "an interface name for each link (or one radio segment for all)"
                raise ConfigError(f"{file}: topology.links", f"{port[0]}:{port[1]} twice", allowed)
            if port[1] == DUMMY:
                raise ConfigError(f"{file}: topology.links", DUMMY, "another interface name: this is the dummy's")
    topology = build(names, links, dummy_primary=dummy_primary)
    alone = sorted(set(names) - topology.reachable(names[0]))
    if alone:
        raise ConfigError(f"{file}: topology", f"{', '.join(alone)} without a path to {names[0]}", "a connected mesh")
    return topology


def _link(entry: Any, names: list[str], where: str) -> Link:
    given = {"between": entry} if isinstance(entry, str) else entry
    first, second = _pair(given["between"], names, where)
    ports = given.get("interfaces", [f"v{first[1:]}-{second[1:]}", f"v{second[1:]}-{first[1:]}"])
    return Link(
        name=given.get("name", f"{first}-{second}"),
        node_a=first,
        interface_a=ports[0],
        node_b=second,
        interface_b=ports[1],
        delay_ms=float(given.get("delay_ms", 1.0)),
        loss_ratio=float(given.get("loss_ratio", 0.0)),
    )


def _segment(given: Mapping[str, Any], names: list[str], where: str) -> list[Link]:
    members = [_known(name, names, f"{where}.members", "node") for name in given["members"]]
    port = given.get("interface", "radio0")
    losses: dict[frozenset[str], float] = {}
    for text, loss in given.get("pairs", {}).items():
        ends = text.split("-")
        if len(ends) != 2 or ends[0] == ends[1] or not set(ends) <= set(members):
            raise ConfigError(f"{where}.pairs", text, f"two different members: {', '.join(members)}")
        losses[frozenset(ends)] = float(loss)
    links = []
    for number, first in enumerate(members):
        for second in members[number + 1 :]:
            loss = losses.get(frozenset((first, second)), float(given.get("loss_ratio", 0.0)))
            if loss < 1:  # 1: they do not hear each other
                name = f"{given['name']}:{first}-{second}"
                delay = float(given.get("delay_ms", 1.0))
                links.append(Link(name, first, port, second, port, delay, loss, given["name"]))
    return links


PARAMETERS: Mapping[str, tuple[str, ...]] = {  # kind of fault -> its own keys of a timeline entry
    "link-loss": ("loss_ratio",),
    "link-delay": ("delay_ms",),
    "link-flap": ("period_s", "duty"),
    "mtu": ("mtu_bytes",),
    "node-reboot": ("down_s",),
}
ONE_WAY = ("link-blackhole", "link-loss", "link-delay")
_TARGETS = ("node", "interface", "link", "links")


def _fault(entry: Mapping[str, Any], topology: Topology, where: str) -> Fault:
    kind = entry["fault"]
    _check_keys(entry, kind, where)
    at = float(entry["at"])
    until = at + float(entry["down_s"]) if kind == "node-reboot" else float(entry["until"])
    if until <= at:
        raise ConfigError(f"{where}.until", entry.get("until"), f"a time after at ({entry['at']})")
    resolve: Callable[[Mapping[str, Any], Topology, str], dict[str, Any]] = {
        "node": _node_target,
        "interface": _interface_target,
        "link": _link_target,
        "links": _cut_target,
    }[faults.KINDS[kind]]
    truth = entry.get("truth")
    fault = Fault(
        id=entry.get("id", f"{kind}-{where.rsplit('[', 1)[1][:-1]}"),
        kind=kind,
        at=at,
        until=until,
        loss_ratio=float(entry.get("loss_ratio", 0.0)),
        delay_ms=float(entry.get("delay_ms", 0.0)),
        mtu_bytes=entry.get("mtu_bytes", 0),
        period_s=float(entry.get("period_s", 0.0)),
        duty=float(entry.get("duty", 0.5)),
        truth=Truth(truth["code"], truth["component"]) if truth else None,
        **resolve(entry, topology, where),
    )
    if kind == "partition" and not faults.away(fault, topology, topology.nodes[0].name):
        raise ConfigError(f"{where}.links", entry["links"], "links whose loss parts the mesh")
    return fault


def _check_keys(entry: Mapping[str, Any], kind: str, where: str) -> None:
    target = faults.KINDS[kind]
    needed = [target, *PARAMETERS.get(kind, ())] + ([] if kind == "node-reboot" else ["until"])
    optional = {"id", "truth", "fault", "at", "duty"} & ({"duty"} if kind == "link-flap" else set()) | {"id", "truth"}
    for key in needed:
        if key not in entry and key not in optional:
            raise ConfigError(f"{where}.{key}", None, f"required for {kind}")
    allowed = {*needed, *optional, "fault", "at"} | ({"direction"} if kind in ONE_WAY else set())
    for key in entry:
        if key not in allowed:
            raise ConfigError(f"{where}.{key}", entry[key], f"only {', '.join(sorted(allowed))} for {kind}")


def _node_target(entry: Mapping[str, Any], topology: Topology, where: str) -> dict[str, Any]:
    node = _known(entry["node"], [spec.name for spec in topology.nodes], f"{where}.node", "node")
    return {"node": node, "links": topology.links_of(node)}


def _interface_target(entry: Mapping[str, Any], topology: Topology, where: str) -> dict[str, Any]:
    text = entry["interface"]
    names = [f"{spec.name}:{port.name}" for spec in topology.nodes for port in spec.interfaces if not port.dummy]
    node, _, port = _known(text, names, f"{where}.interface", "interface with links").partition(":")
    return {"node": node, "interface": port, "links": topology.links_of(node, port)}


def _resolve_link(text: str, topology: Topology, where: str) -> Link:
    try:
        return topology.link(text)
    except KeyError:
        shown = ", ".join(link.name for link in topology.links[:20])
        raise ConfigError(where, text, f"a link of this topology: {shown}") from None


def _link_target(entry: Mapping[str, Any], topology: Topology, where: str) -> dict[str, Any]:
    link = _resolve_link(entry["link"], topology, f"{where}.link")
    if entry.get("direction", "both") == "both":
        return {"links": (link,)}
    source = link.node_b if entry["link"] == f"{link.node_b}-{link.node_a}" else link.node_a
    return {"links": (link,), "source": source}


def _cut_target(entry: Mapping[str, Any], topology: Topology, where: str) -> dict[str, Any]:
    links = tuple(
        _resolve_link(text, topology, f"{where}.links[{number}]") for number, text in enumerate(entry["links"])
    )
    _unique([link.name for link in links], f"{where}.links")
    return {"links": links}
