"""Datagrams of one node: beside the mesh (on a bare hard interface) and through it. A real and a simulated one exist.

Beside the mesh means IPv6 link-local UDP on the interface itself, whether it is attached or not: it tells how a
link is, whatever the routing thinks of it. Through the mesh means UDP over bat0 by node name: it proves the data plane.
An echo is answered by the other end's kernel (ICMPv6), so it tells a dead agent from a dead link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

HELLO_PORT = 4306  # UDP, link-local, beside the mesh
MESH_PORT = 4307  # UDP, over the mesh


@dataclass(frozen=True, slots=True)
class Datagram:
    """One datagram that arrived.

    at: arrival on the local monotonic clock. interface: where it came in; "" means through the mesh.
    source: the sender's interface address beside the mesh (opaque text, good for `send_link`), or its node name
    through the mesh. echo: it is the answer of the far kernel to our own `echo` with this payload.
    """

    at: float
    interface: str
    source: str
    payload: bytes
    echo: bool = False


class Wire(Protocol):
    """Sends and receives without blocking. What cannot be sent is lost, as a network loses things."""

    def send_link(self, interface: str, to: str | None, payload: bytes) -> None:
        """Beside the mesh; `to` None is multicast to all neighbours on the interface."""
        ...

    def echo(self, interface: str, to: str, payload: bytes) -> None:
        """Ask the kernel at `to` to answer; the answer comes by `receive` with `echo=True`."""
        ...

    def send_mesh(self, node: str, payload: bytes) -> None:
        """Through the mesh to a node's agent."""
        ...

    def receive(self) -> Sequence[Datagram]:
        """All that arrived since the last question, in order of arrival."""
        ...

    def mac_of(self, source: str) -> str:
        """The MAC behind a link-local `source`, "" if unknown."""
        ...
