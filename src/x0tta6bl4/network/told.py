"""What the controller tells an agent: which nodes have a link now, what people restrain, and orders. One datagram each.

The live graph lets an agent judge whether others have a way. An order is sent until it is answered: the same id twice
is one order. Tagged, compressed JSON; malformed datagrams raise ProtocolError and nothing of them is used.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np

from x0tta6bl4.catalog import Autonomy
from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.model import Action, Component, Edge, Layout, Observation, Order, Relation, Seconds
from x0tta6bl4.network import names

VERSION: Final = 1
PLAIN_MAX: Final = 1_000_000
DEADMAN_MAX_S: Final = 120.0
Pairs = tuple[tuple[str, str], ...]


class Verb(StrEnum):
    """What an agent is to do with an order."""

    APPLY = "apply"
    CONFIRM = "confirm"
    UNDO = "undo"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Links:
    """Pairs of nodes that have a link which carries something."""

    pairs: Pairs


@dataclass(frozen=True, slots=True)
class Restraints:
    """What people set at the controller that agents keep to: pause, kill switch, autonomy by action kind.

    It can only take away from what an agent's own settings allow, and holds until the controller says otherwise.
    """

    paused: bool = False
    kill_switch: bool = False
    autonomy: Mapping[str, Autonomy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instruction:
    """An order and what to do with it."""

    verb: Verb
    order: Order


Message = Links | Restraints | Instruction


def encode(message: Message) -> bytes:
    """The datagram."""
    document: list[object]
    if isinstance(message, Links):
        document = [VERSION, "links", sorted(message.pairs)]
    elif isinstance(message, Restraints):
        document = [VERSION, "restraints", message.paused, message.kill_switch, dict(message.autonomy)]
    else:
        order, action = message.order, message.order.action
        document = [
            VERSION,
            message.verb,
            [order.id, order.issuer, order.epoch, order.deadman_s, order.expires_s],
            [action.kind, str(action.target), dict(action.parameters)],
            [str(w) for w in order.witnesses],
        ]
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 1)


def decode(datagram: bytes) -> Message:
    """Inverse of `encode`; raises ProtocolError for anything else."""
    try:
        version, kind, *rest = json.loads(zlib.decompressobj().decompress(datagram, PLAIN_MAX))
        if version != VERSION:
            raise ProtocolError(f"told: got version {version!r}, allowed: {VERSION}")
        match kind:
            case "links":
                return _links(*rest)
            case "restraints":
                return _restraints(*rest)
            case _:
                return _instruction(Verb(kind), *rest)
    except (zlib.error, ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ProtocolError(f"told: {len(datagram)} bytes: {error}") from error


def _links(pairs: Any) -> Links:
    found = tuple((str(one), str(other)) for one, other in pairs)
    for pair in found:
        if not all(pair) or any(">" in name for name in pair):
            raise ProtocolError(f"told: got {pair!r}, allowed: two names of nodes")
    return Links(found)


def _restraints(paused: Any, kill_switch: Any, autonomy: Any) -> Restraints:
    if not (isinstance(paused, bool) and isinstance(kill_switch, bool)):
        raise ProtocolError(f"told: got {paused!r} and {kill_switch!r}, allowed: true or false")
    return Restraints(paused, kill_switch, {str(kind): Autonomy(level) for kind, level in autonomy.items()})


def _instruction(verb: Verb, head: Any, act: Any, witnesses: Any) -> Instruction:
    order_id, issuer, epoch, deadman_s, expires_s = head
    kind, target, parameters = act
    if not 0 < float(deadman_s) <= DEADMAN_MAX_S:
        raise ProtocolError(f"told: got deadman_s {deadman_s!r}, allowed: more than 0, at most {DEADMAN_MAX_S:g}")
    if not all(isinstance(v, int | float | str) for v in parameters.values()):
        raise ProtocolError(f"told: got parameters {parameters!r}, allowed: numbers and text")
    action = Action(str(kind), Component.parse(str(target)), dict(parameters))
    proved_by = tuple(Component.parse(str(w)) for w in witnesses)
    order = Order(str(order_id), str(issuer), int(epoch), action, float(deadman_s), float(expires_s), proved_by)
    return Instruction(verb, order)


def observation(own: str, links: Links, now: Seconds) -> Observation:
    """As readings of the agent on `own`; its own links it knows better and leaves out."""
    components = tuple(names.told(one, other) for one, other in sorted(links.pairs) if own not in {one, other})
    edges: list[Edge] = []
    for component in components:
        one, other = component.name.split(">")
        edges.append(Edge(component, Relation.FROM, names.node(one)))
        edges.append(Edge(component, Relation.TO, names.node(other)))
    values = np.ones((len(components), 1), np.float32)
    return Observation("told", now, Layout(components, ("carries",), tuple(edges)), values)
