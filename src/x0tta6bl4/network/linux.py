"""The real Kernel: one node's batman-adv, read and changed over netlink."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from x0tta6bl4.errors import ConfigError, Permanent, Temporary
from x0tta6bl4.network import traffic
from x0tta6bl4.network.batman import Batadv
from x0tta6bl4.network.batman_codec import HardInterface
from x0tta6bl4.network.kernel import Interface, Mesh, Neighbour, Originator
from x0tta6bl4.network.links import Link, Links

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
STAND_IN: Final = "x0t-primary"  # and the index of the interface it stands in for
SYSTEMCTL_S: Final = 30.0
ACTIVE_WITHIN_S: Final = 2.0
T = TypeVar("T")


class LinuxKernel:
    """One node of the mesh `mesh_if`, in the network namespace `netns` (None: this one).

    declared: names of the hard interfaces the operator declared; they are listed even when not attached.
    boot_id: stands in for the machine's where several nodes share one (the lab). Opens its sockets at once: raises
    NotSupported where the kernel has no batman-adv.
    """

    def __init__(
        self, mesh_if: str, declared: Iterable[str], *, netns: str | None = None, boot_id: str | None = None
    ) -> None:
        self.mesh_if = mesh_if
        self._declared = tuple(declared)
        self._boot_id = boot_id
        self._primary: frozenset[int] = frozenset()
        self._changing = threading.RLock()  # a reader must not take the moment of a change for a state
        self._batadv = Batadv(netns)
        self._links = Links(netns)
        self._links.listen()
        self._batadv.listen()
        self._blocked: dict[int, frozenset[str]] = {}  # by interface index; only we put filters there
        self._names: dict[int, str] = {}
        self._mesh_index = 0  # 0: not known

    def close(self) -> None:
        """Release its sockets."""
        self._links.close()
        self._batadv.close()

    def boot_id(self) -> str:
        """Changes with every boot; "" where the machine does not say (a container without it in its /proc)."""
        if self._boot_id:
            return self._boot_id
        try:
            return BOOT_ID.read_text(encoding="ascii").strip()
        except OSError:
            return ""

    def _on_mesh(self, call: Callable[[int], T]) -> T:
        """Call with the mesh interface's index; looked up anew where the one we knew is gone (a reboot)."""
        if self._mesh_index:
            try:
                return call(self._mesh_index)
            except Permanent:
                self._mesh_index = 0
        self._mesh_index = self._links.index(self.mesh_if)
        return call(self._mesh_index)

    def _link(self, interface: str) -> Link:
        if interface not in self._declared:
            raise ConfigError("interface", interface, ", ".join(self._declared))
        return self._links.get(interface)

    def mesh(self) -> Mesh:
        """Options of the mesh interface."""
        link = self._links.get(self.mesh_if)
        found = self._batadv.mesh(link.index)
        return Mesh(
            name=found.name,
            algorithm=found.algorithm,
            originator=found.originator,
            orig_interval_ms=found.orig_interval_ms,
            hop_penalty=found.hop_penalty,
            gw_mode=found.gw_mode,
            bridge_loop_avoidance=found.bridge_loop_avoidance,
            bridged=link.slave_kind == "bridge",
            address=found.address,
        )

    def interfaces(self) -> list[Interface]:
        """Attached interfaces, and declared ones that are not attached (a declared one that is gone is left out)."""
        with self._changing:
            return self._read_interfaces()

    def _read_interfaces(self) -> list[Interface]:
        links = {link.index: link for link in self._links.all()}
        mesh = next((link for link in links.values() if link.name == self.mesh_if), None)
        hard: dict[int, HardInterface] = {}
        originator = ""
        if mesh is not None:
            hard = {one.index: one for one in self._batadv.hardifs(mesh.index)}
            originator = self._batadv.mesh(mesh.index).originator
        self._names = {link.index: link.name for link in links.values()}
        wanted = [link for link in links.values() if link.index in hard or link.name in self._declared]
        primary = self._primaries(wanted, hard, originator)
        return [self._interface(link, hard.get(link.index), primary) for link in wanted]

    def _primaries(self, links: Iterable[Link], hard: Mapping[int, HardInterface], originator: str) -> frozenset[int]:
        """The primary interface's index. While it is down the kernel names none: then it is the one that was primary
        last, or, where nobody looked before, whichever hard interfaces are down.
        """
        if originator:
            self._primary = frozenset(link.index for link in links if link.index in hard and link.mac == originator)
        elif not self._primary & hard.keys():
            return frozenset(index for index, one in hard.items() if not one.active)
        return self._primary & hard.keys()

    def _interface(self, link: Link, hard: HardInterface | None, primary: frozenset[int]) -> Interface:
        if link.index not in self._blocked:
            self._blocked[link.index] = frozenset(traffic.blocks(self._links, link.index))
        return Interface(
            name=link.name,
            index=link.index,
            mac=link.mac,
            up=link.up and link.carrier,
            mtu=link.mtu,
            attached=hard is not None,
            active=hard is not None and hard.active,
            primary=link.index in primary,
            dummy=link.kind == "dummy",
            hop_penalty=hard.hop_penalty if hard else None,
            throughput_override_kbit=hard.throughput_override_kbit if hard else None,
            blocked=self._blocked[link.index],
        )

    def _interface_names(self) -> dict[int, str]:
        if not self._names:
            self._names = {link.index: link.name for link in self._links.all()}
        return self._names

    def neighbours(self) -> list[Neighbour]:
        """The neighbour table."""
        names = self._interface_names()
        return self._on_mesh(lambda mesh: self._batadv.neighbours(mesh, names))

    def originators(self) -> list[Originator]:
        """The originator table, alternatives included (slow on a large mesh)."""
        names = self._interface_names()
        return self._on_mesh(lambda mesh: self._batadv.originators(mesh, names))

    def changed(self) -> bool:
        """Did the kernel announce a change since the last question? An overrun counts as one. Never blocks."""
        try:
            links, options = self._links.events(), self._batadv.events()
        except Temporary:
            return True
        if links:
            self._names = {}
        return bool(links or options)

    def attach(self, interface: str) -> None:
        """Make it a hard interface of the mesh."""
        link, mesh = self._link(interface), self._links.get(self.mesh_if)
        if link.master == mesh.index:
            return
        if link.master:
            raise Permanent(f"interface {interface}: is a port of another interface")
        self._links.set_master(link.index, mesh.index)

    def detach(self, interface: str) -> None:
        """Take it out of the mesh; it stays up and can carry probes."""
        link = self._link(interface)
        mesh = self._links.index(self.mesh_if)
        if link.master and link.master == mesh:
            self._wait_for_active(mesh)
            self._links.set_master(link.index, 0)

    def _wait_for_active(self, mesh: int) -> None:
        """Wait until batman-adv counts every interface that is up as active; raises Temporary where that takes long.

        Under BATMAN_IV one that came up is active only from its next originator message on. When another leaves
        meanwhile, the kernel forgets to take the routes out of its table (batadv_purge_orig_node looks at active
        interfaces only), and the next frame that it forwards for others is sent through nothing: a kernel panic.
        """
        end = time.monotonic() + ACTIVE_WITHIN_S
        while True:
            up = {link.index for link in self._links.all() if link.up}
            waiting = [one.name for one in self._batadv.hardifs(mesh) if one.index in up and not one.active]
            if not waiting:
                return
            if time.monotonic() > end:
                raise Temporary(f"{', '.join(waiting)}: not active yet, so no other interface may leave {self.mesh_if}")
            time.sleep(0.05)

    def stand_in(self, interface: str, on: bool) -> None:
        """Take a primary interface out of the mesh and let a dummy with its MAC be primary in its stead (or back).

        batman-adv chooses a new primary only when the old one leaves, and takes the first that is active, in the order
        in which they came to be: so for that moment the others are switched off. They stay attached, so their sequence
        numbers go on; their routes, and what is known of the clients behind them, are learned anew within 4 s.
        """
        with self._changing:
            self._stand_in(interface, on)

    def _stand_in(self, interface: str, on: bool) -> None:
        dead, mesh = self._link(interface), self._links.index(self.mesh_if)
        name = f"{STAND_IN}{dead.index}"
        links = self._links.all()
        present = {link.name: link.index for link in links}
        if on == (name in present):
            return
        self._wait_for_active(mesh)
        hard = {one.index for one in self._batadv.hardifs(mesh)} - {dead.index, present.get(name)}
        others = [link.index for link in links if link.index in hard and link.up]
        if on:
            stand_in = self._links.create(name, "dummy", mtu=dead.mtu, mac=dead.mac)
            self._links.set_up(stand_in, True)
            self._links.set_master(stand_in, mesh)
            with self._down(others):
                self._links.set_master(dead.index, 0)
            return
        self._links.set_master(dead.index, mesh)
        if not dead.up or dead.index < min(others, default=0):  # it cannot be primary, or will be without further ado
            others = []
        self._wait_for_active(mesh)
        with self._down(others):
            self._links.delete(present[name])

    @contextmanager
    def _down(self, interfaces: Sequence[int]) -> Iterator[None]:
        try:
            for index in interfaces:
                self._links.set_up(index, False)
            yield
        finally:
            for index in interfaces:
                self._links.set_up(index, True)

    def set_up(self, interface: str, up: bool) -> None:
        """Administrative state."""
        link = self._link(interface)
        if link.up != up:
            self._links.set_up(link.index, up)

    def set_mtu(self, interface: str, mtu: int) -> None:
        """Hard-interface MTU in bytes."""
        link = self._link(interface)
        if link.mtu != mtu:
            self._links.set_mtu(link.index, mtu)

    def set_hardif(self, interface: str, option: str, value: int) -> None:
        """`hop_penalty` (0..255) or `throughput_override_kbit` (steps of 100, 0 = measure)."""
        index = self._link(interface).index
        self._on_mesh(lambda mesh: self._batadv.set_hardif(mesh, index, option, value))

    def set_mesh(self, option: str, value: int | str) -> None:
        """`orig_interval_ms`, `hop_penalty`, `gw_mode`, `bridge_loop_avoidance`."""
        self._on_mesh(lambda mesh: self._batadv.set_mesh(mesh, option, value))

    def block(self, interface: str, mac: str, on: bool) -> None:
        """Drop (or again accept) the mesh packets of one neighbour on one interface; other traffic passes."""
        index = self._link(interface).index
        if on:
            traffic.block(self._links, index, mac)
        else:
            traffic.unblock(self._links, index, mac)
        self._blocked[index] = frozenset(traffic.blocks(self._links, index))

    def restart_service(self, name: str) -> None:
        """Restart a system service of this node; raises Permanent with what systemctl said."""
        command = ["systemctl", "restart", "--", f"{name}.service"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SYSTEMCTL_S, check=False)  # noqa: S603 -- a fixed command, the name is one argument
        except FileNotFoundError as error:
            raise Permanent(f"service {name}: no systemctl here") from error
        except subprocess.TimeoutExpired as error:
            raise Temporary(f"service {name}: no end within {SYSTEMCTL_S:.0f} s") from error
        if done.returncode:
            raise Permanent(f"service {name}: {done.stderr.strip()}")
