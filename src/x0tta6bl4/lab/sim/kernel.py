"""The semantic fake of `network.kernel.Kernel` for one simulated node; every setter call is a Step of the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from x0tta6bl4.errors import NotSupported, Permanent
from x0tta6bl4.lab.record import Step
from x0tta6bl4.lab.sim.noise import key, mix
from x0tta6bl4.lab.sim.routing import PURGE_TIMEOUT_S, Routing
from x0tta6bl4.lab.sim.state import Hop, Iface, Node
from x0tta6bl4.network.kernel import Interface, Mesh, Neighbour, Originator

MTU_RANGE = (68, 65_535)
_OPTIONS: Final[dict[str, tuple[int, int] | tuple[str, ...]]] = {
    "orig_interval_ms": (40, 2**31 - 1),
    "hop_penalty": (0, 255),
    "gw_mode": ("off", "client", "server"),
    "bridge_loop_avoidance": (0, 1),
}
_HARDIF: Final = {"hop_penalty": (0, 255), "throughput_override_kbit": (0, 2**32 - 1)}


class SimKernel:
    """One node's kernel as its agent sees it; `power_off` makes every later call fail, as for a dead process."""

    def __init__(self, routing: Routing, node: Node, log: Callable[[Step], None]) -> None:
        self._routing, self._world, self._node, self._log = routing, routing.world, node, log
        self._on = True

    def power_off(self) -> None:
        """Whoever still holds this object has died: nothing answers any more."""
        self._on = False

    def boot_id(self) -> str:
        """A UUID-shaped function of seed, node and how often it booted."""
        bits = f"{mix(key(self._world.seed, 'boot', self._node.name, self._node.boots)):016x}"
        return f"{bits[:8]}-{bits[8:12]}-4{bits[12:15]}-8{bits[1:4]}-{bits[:12]}"

    def mesh(self) -> Mesh:
        """Options of the mesh interface."""
        self._check()
        node = self._node
        return Mesh(
            name="bat0",
            algorithm=self._routing.algorithm,
            originator=node.primary.mac if node.primary else "",
            orig_interval_ms=int(node.options["orig_interval_ms"]),
            hop_penalty=int(node.options["hop_penalty"]),
            gw_mode=str(node.options["gw_mode"]),
            bridge_loop_avoidance=bool(node.options["bridge_loop_avoidance"]),
            bridged=False,
            address=node.address,
        )

    def interfaces(self) -> list[Interface]:
        """All declared interfaces."""
        self._check()
        return [
            Interface(
                name=iface.name,
                index=iface.index,
                mac=iface.mac,
                up=iface.up,
                mtu=iface.mtu,
                attached=iface.attached,
                active=iface.active,
                primary=iface is self._node.primary,
                dummy=iface.dummy,
                hop_penalty=iface.hop_penalty if iface.attached else None,
                throughput_override_kbit=iface.override_kbit if iface.attached else None,
                blocked=frozenset(iface.blocked),
            )
            for iface in self._node.ifaces
        ]

    def neighbours(self) -> list[Neighbour]:
        """Neighbours of active interfaces."""
        self._check()
        found = []
        for hop in self._heard():
            if self._routing.algorithm == "BATMAN_V":
                if hop.known:
                    speed = round(hop.throughput * 100)
                    found.append(Neighbour(hop.src.mac, hop.dst.name, self._ms(hop.seen), throughput_kbit=speed))
            elif hop.epoch >= 0:
                found.append(Neighbour(hop.src.mac, hop.dst.name, self._ms(hop.seen), tq=hop.tq))
        return found

    def originators(self) -> list[Originator]:
        """All ways to all originators; a neighbour's secondary interfaces are originators too (BATMAN_IV)."""
        self._check()
        found = []
        iv = self._routing.algorithm == "BATMAN_IV"
        for table, target in zip(self._node.tables, self._world.nodes, strict=True):
            if target is self._node or target.primary is None:
                continue
            for entry in table.entries.values():
                hop = entry.link
                best = entry is table.router
                tq, speed = (int(entry.metric), None) if iv else (None, round(entry.metric * 100))
                ago = self._ms(entry.seen)
                found.append(Originator(target.primary.mac, hop.src.mac, hop.dst.name, ago, best, tq, speed))
        if iv:
            for hop in self._heard():
                if hop.epoch >= 0 and hop.src is not hop.src.node.primary:
                    ago = self._ms(hop.seen)
                    found.append(Originator(hop.src.mac, hop.src.mac, hop.dst.name, ago, best=True, tq=hop.tq))
        return found

    def changed(self) -> bool:
        """Announcements reach user space `world.READ_S` after the change."""
        changes = self._node.changes
        due = [when for when in changes if when <= self._world.now]
        if due:
            changes[:] = [when for when in changes if when > self._world.now]
        return bool(due)

    def attach(self, interface: str) -> None:
        """Enslave it to the mesh interface."""
        iface = self._iface(interface, "attach", "1")
        self._routing.attach(iface)
        self._world.announce(self._node)

    def detach(self, interface: str) -> None:
        """Take it out of the mesh interface."""
        iface = self._iface(interface, "detach", "1")
        self._routing.detach(iface)
        self._world.announce(self._node)

    def stand_in(self, interface: str, on: bool) -> None:
        """A dummy with its MAC is primary in its stead, or not any more."""
        iface = self._iface(interface, "stand_in", str(int(on)))
        (self._routing.stand_in if on else self._routing.stand_back)(iface)
        self._world.announce(self._node)

    def set_up(self, interface: str, up: bool) -> None:
        """Administrative state; where the lab holds the interface down it stays down."""
        iface = self._iface(interface, "up", str(int(up)))
        iface.admin = up
        self._routing.refresh(iface)
        self._world.announce(self._node)

    def set_mtu(self, interface: str, mtu: int) -> None:
        """Hard-interface MTU in bytes."""
        iface = self._iface(interface, "mtu", str(mtu))
        _within("mtu", mtu, MTU_RANGE)
        iface.mtu = mtu
        self._world.announce(self._node)

    def set_hardif(self, interface: str, option: str, value: int) -> None:
        """`hop_penalty` or `throughput_override_kbit` of an attached interface."""
        iface = self._iface(interface, option, str(value))
        if option not in _HARDIF:
            raise NotSupported(f"hard-interface option {option!r}: the simulator has {', '.join(_HARDIF)}")
        _within(option, value, _HARDIF[option])
        if not iface.attached:
            raise Permanent(f"{interface} is not attached to bat0")
        if option == "hop_penalty":
            iface.hop_penalty = value
        else:
            iface.override_kbit = value
        self._world.announce(self._node)

    def set_mesh(self, option: str, value: int | str) -> None:
        """An option of the mesh interface."""
        self._check()
        self._step(f"node/{self._node.name}", option, str(value))
        if option not in _OPTIONS:
            raise NotSupported(f"mesh option {option!r}: the simulator has {', '.join(_OPTIONS)}")
        allowed = _OPTIONS[option]
        if option == "gw_mode":
            if value not in allowed:
                raise Permanent(f"gw_mode: got {value!r}, allowed: off, client, server")
        else:
            _within(option, value, allowed)
        self._node.options[option] = value if isinstance(value, str) else int(value)
        self._world.announce(self._node)

    def block(self, interface: str, mac: str, on: bool) -> None:
        """Drop one neighbour's mesh packets on arrival, or accept them again."""
        iface = self._iface(interface, "block" if on else "unblock", mac)
        (iface.blocked.add if on else iface.blocked.discard)(mac)
        self._world.announce(self._node)

    def restart_service(self, name: str) -> None:
        """Recorded; the simulated node has no service whose restart would change anything."""
        self._check()
        self._step(f"service/{self._node.name}:{name}", "restart", "1")

    def _heard(self) -> Iterator[Hop]:
        """Links of active interfaces that brought something within the purge timeout."""
        oldest = self._world.now - PURGE_TIMEOUT_S
        for iface in self._node.attached:
            if iface.active:
                yield from (hop for hop in iface.inn if hop.seen >= oldest)

    def _check(self) -> None:
        if not self._on or not self._node.alive:
            raise Permanent(f"{self._node.name} is not running")

    def _iface(self, name: str, what: str, value: str) -> Iface:
        """The interface, its change written down first: what is refused was tried too."""
        self._check()
        iface = self._node.iface(name)
        if iface is None:
            raise Permanent(f"{self._node.name} has no interface {name!r}")
        self._step(f"interface/{self._node.name}:{name}", what, value)
        return iface

    def _step(self, component: str, what: str, value: str) -> None:
        self._log(Step(self._world.now, self._node.name, component, what, value))

    def _ms(self, seen: float) -> int:
        return max(0, int((self._world.now - seen) * 1000))


def _within(option: str, value: object, allowed: tuple[object, ...]) -> None:
    low, high = allowed
    good = isinstance(value, int) and isinstance(low, int) and isinstance(high, int) and low <= value <= high
    if not good:
        raise Permanent(f"{option}: got {value!r}, allowed: {low} to {high}")
