"""How a controller outside the lab process talks to the agents in it: in-band over the mesh, or out of band."""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from x0tta6bl4.errors import ProtocolError
from x0tta6bl4.lab.participants import CONTROLLER

TO_CONTROLLER, TO_NODE = "report", "order"  # notices that carry datagrams
AT_REST = "at-rest"  # a notice: is the controller doing or holding nothing?
INJECT, MEND = "inject", "mend"  # notices to a mesh that is kept up: begin a fault, end it before its time
CLIENTS = "clients"  # a notice from it: what its client pairs saw lately

Arrival = tuple[str, float, bytes]


def notice(kind: str, peer: str, payload: bytes) -> dict[str, Any]:
    """A datagram as a notice: `peer` is the node it came from or goes to."""
    return {"notice": kind, "peer": peer, "data": base64.b64encode(payload).decode("ascii")}


def payload_of(document: dict[str, Any]) -> tuple[str, bytes]:
    """(peer, payload) of such a notice; raises ProtocolError."""
    try:
        return str(document["peer"]), base64.b64decode(document["data"], validate=True)
    except (KeyError, TypeError, binascii.Error) as error:
        raise ProtocolError(f"lab connection: malformed datagram ({error})") from error


class Mailbox:
    """A Transport whose far end is a function: what is sent goes there, what is delivered waits to be received."""

    def __init__(self, sent: Callable[[str, bytes], None]) -> None:
        self._sent = sent
        self._waiting: deque[Arrival] = deque()
        self._lock = threading.Lock()

    def deliver(self, source: str, payload: bytes) -> None:
        """Something arrived now."""
        with self._lock:
            self._waiting.append((source, time.monotonic(), payload))

    def send(self, to: str, payload: bytes) -> None:
        """Send to a participant."""
        self._sent(to, payload)

    def receive(self) -> Sequence[Arrival]:
        """What arrived since the last question."""
        with self._lock:
            found = list(self._waiting)
            self._waiting.clear()
        return found


class Outband:
    """Mailboxes of all nodes beside the mesh: what a node sends to the controller goes to `up`."""

    def __init__(self, up: Callable[[str, bytes], None]) -> None:
        self._up = up
        self._boxes: dict[str, Mailbox] = {}

    def box(self, node: str) -> Mailbox:
        """The Transport of one node (a new one after a reboot)."""
        box = Mailbox(lambda to, payload: self._route(node, to, payload))
        self._boxes[node] = box
        return box

    def _route(self, source: str, to: str, payload: bytes) -> None:
        if to == CONTROLLER:
            self._up(source, payload)
        else:
            self.deliver(to, source, payload)

    def deliver(self, node: str, source: str, payload: bytes) -> None:
        """To one node; lost where there is none."""
        box = self._boxes.get(node)
        if box is not None:
            box.deliver(source, payload)
