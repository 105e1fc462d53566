"""batman-adv of one network namespace, over generic netlink; one process may hold many of these."""

from __future__ import annotations

from collections.abc import Mapping

from x0tta6bl4.errors import ProtocolError, Temporary, X0tError
from x0tta6bl4.network.batman_codec import (
    CONFIG_GROUP,
    FAMILY,
    Attr,
    Client,
    Command,
    Gateway,
    HardInterface,
    decode_client,
    decode_gateway,
    decode_hardif,
    decode_mesh,
    decode_neighbour,
    decode_originator,
    encode,
    encode_hardif_option,
    encode_mesh_option,
)
from x0tta6bl4.network.kernel import Mesh, Neighbour, Originator
from x0tta6bl4.network.netlink import DUMP, GENERIC, NetlinkSocket, family, number


class Batadv:
    """batman-adv in one network namespace. Methods take the mesh interface's index.

    Raises NotSupported where the kernel has no batman-adv, else what NetlinkSocket.request raises.
    """

    def __init__(self, netns: str | None = None) -> None:
        self._socket = NetlinkSocket(GENERIC, netns)
        self._listener: NetlinkSocket | None = None
        self._netns = netns
        try:
            self.family, self._groups = family(self._socket, FAMILY)
        except X0tError:
            self._socket.close()
            raise

    def close(self) -> None:
        """Release its sockets."""
        self._socket.close()
        if self._listener is not None:
            self._listener.close()

    def raw(self, command: Command, mesh: int, *parts: bytes, dump: bool = True) -> list[bytes]:
        """The undecoded answers to one request; a dump that a change interrupted is read again, once."""
        payload = encode(command, number(Attr.MESH_IFINDEX, mesh), *parts)
        flags = DUMP if dump else 0
        try:
            return self._socket.request(self.family, flags, payload, f"batadv {command.name}")
        except Temporary:
            if not dump:
                raise
            return self._socket.request(self.family, flags, payload, f"batadv {command.name}")

    def mesh(self, mesh: int) -> Mesh:
        """Options of the mesh interface."""
        answer = self.raw(Command.GET_MESH, mesh, dump=False)
        if not answer:
            raise ProtocolError("batadv GET_MESH: empty answer")
        return decode_mesh(answer[0])

    def hardifs(self, mesh: int) -> list[HardInterface]:
        """Attached hard interfaces."""
        return [decode_hardif(one) for one in self.raw(Command.GET_HARDIF, mesh)]

    def neighbours(self, mesh: int, interfaces: Mapping[int, str]) -> list[Neighbour]:
        """Single-hop neighbours."""
        return [decode_neighbour(one, interfaces) for one in self.raw(Command.GET_NEIGHBORS, mesh)]

    def originators(self, mesh: int, interfaces: Mapping[int, str]) -> list[Originator]:
        """All ways to all originators."""
        return [decode_originator(one, interfaces) for one in self.raw(Command.GET_ORIGINATORS, mesh)]

    def clients(self, mesh: int, *, local: bool = False) -> list[Client]:
        """The translation table: clients of the others, or of this node."""
        command = Command.GET_TRANSTABLE_LOCAL if local else Command.GET_TRANSTABLE_GLOBAL
        return [decode_client(one) for one in self.raw(command, mesh)]

    def gateways(self, mesh: int, interfaces: Mapping[int, str]) -> list[Gateway]:
        """Gateways heard of; the kernel says ENOTSUP where the algorithm has none, which is an empty list."""
        return [decode_gateway(one, interfaces) for one in self.raw(Command.GET_GATEWAYS, mesh)]

    def set_mesh(self, mesh: int, option: str, value: int | str) -> None:
        """Set one mesh option (see `encode_mesh_option`)."""
        self.raw(Command.SET_MESH, mesh, encode_mesh_option(option, value), dump=False)

    def set_hardif(self, mesh: int, index: int, option: str, value: int) -> None:
        """Set one option of an attached hard interface (see `encode_hardif_option`)."""
        part = encode_hardif_option(option, value)
        self.raw(Command.SET_HARDIF, mesh, number(Attr.HARD_IFINDEX, index), part, dump=False)

    def listen(self) -> None:
        """Start to receive config events."""
        if self._listener is None:
            self._listener = NetlinkSocket(GENERIC, self._netns)
            self._listener.join(self._groups[CONFIG_GROUP])

    def events(self) -> list[bytes]:
        """Payloads of the config events since the last question (for `decode_event`); never blocks."""
        if self._listener is None:
            return []
        return [payload for kind, payload in self._listener.events() if kind == self.family]
