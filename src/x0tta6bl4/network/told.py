"""What the controller tells agents: which nodes have a link now. It lets an agent judge whether others have a way."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from typing import Final

import numpy as np

from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.model import Edge, Layout, Observation, Relation, Seconds
from x0tta6bl4.network import names

VERSION: Final = 1
PLAIN_MAX: Final = 1_000_000


def encode(pairs: Iterable[tuple[str, str]]) -> bytes:
    """The datagram: pairs of nodes that have a link which carries something."""
    return zlib.compress(json.dumps([VERSION, sorted(pairs)], separators=(",", ":")).encode(), 1)


def decode(datagram: bytes) -> list[tuple[str, str]]:
    """Inverse of `encode`; raises ProtocolError for anything else."""
    try:
        version, pairs = json.loads(zlib.decompressobj().decompress(datagram, PLAIN_MAX))
        if version != VERSION:
            raise ProtocolError(f"told: got version {version!r}, allowed: {VERSION}")
        found = [(str(one), str(other)) for one, other in pairs]
    except (zlib.error, ValueError, TypeError, RecursionError) as error:
        raise ProtocolError(f"told: {len(datagram)} bytes: {error}") from error
    for pair in found:
        if not all(pair) or any(">" in name for name in pair):
            raise ProtocolError(f"told: got {pair!r}, allowed: two names of nodes")
    return found


def observation(own: str, pairs: Iterable[tuple[str, str]], now: Seconds) -> Observation:
    """As readings of the agent on `own`; its own links it knows better and leaves out."""
    components = tuple(names.told(one, other) for one, other in sorted(pairs))
    edges: list[Edge] = []
    for component in components:
        one, other = component.name.split(">")
        if own not in {one, other}:
            edges.append(Edge(component, Relation.FROM, names.node(one)))
            edges.append(Edge(component, Relation.TO, names.node(other)))
    values = np.ones((len(components), 1), np.float32)
    return Observation("told", now, Layout(components, ("carries",), tuple(edges)), values)
