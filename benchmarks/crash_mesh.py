"""The mesh of `crash.py`: one node's kernel in a log that outlives the process, and neighbours whose links fail."""

# what a port's methods do stands in the port

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from x0tta6bl4.clock import SystemClock
from x0tta6bl4.lab.participants import DeclaredInterface, DeclaredNode
from x0tta6bl4.network import hello
from x0tta6bl4.network.kernel import Interface, Mesh, Neighbour, Originator
from x0tta6bl4.network.probe import ANSWER, PROBE, REQUEST
from x0tta6bl4.network.wire import Datagram

ME = "n1"
FAR = {"v2": "n2", "v3": "n3", "v4": "n4"}  # own interface -> neighbour; n5 is behind all of them
OFFERS = {"n2": {"v2": 250, "v3": 180, "v4": 170}, "n3": {"v3": 250, "v2": 180, "v4": 170},
          "n4": {"v4": 250, "v2": 180, "v3": 170}, "n5": {"v2": 230, "v3": 200, "v4": 160}}  # fmt: skip
SILENT, LOSSY, SHORT = "v2", "v3", "v4"
PERIODS = {SILENT: (5.0, 0.0, 2.8), LOSSY: (9.0, 2.0, 6.5), SHORT: (4.0, 0.0, 0.0)}  # every, from, to: seconds
MTU, LOW_MTU, PENALTY, INTERVAL_MS = 1560, 1400, 15, 1000
DECLARED: Mapping[str, Mapping[str, int]] = {
    **{i: {"attached": 1, "up": 1, "mtu": MTU, "hop_penalty": PENALTY, "throughput_override_kbit": 0} for i in FAR},
    "mesh": {"orig_interval_ms": INTERVAL_MS},
}


def mac(node: str, interface: str) -> str:
    return f"02:00:00:00:{int(node[1:]):02x}:{int(interface[1:]):02x}"


def inventory() -> tuple[DeclaredNode, ...]:
    own = DeclaredNode(ME, tuple(DeclaredInterface(i, mac(ME, i), MTU) for i in ("d9", *FAR)))
    others = (DeclaredNode(n, (DeclaredInterface("v1", mac(n, "v1"), MTU),)) for n in (*FAR.values(), "n5"))
    return replace(own, interfaces=tuple(replace(i, dummy=i.name == "d9") for i in own.interfaces)), *others


class Log:
    """Lines of JSON, each in one write that is on disk when `add` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, **entry: object) -> None:
        os.write(self._file, json.dumps(entry).encode() + b"\n")
        os.fsync(self._file)

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


def settings_of(entries: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """What the kernel is set to after these lines."""
    now = {where: dict(options) for where, options in DECLARED.items()}
    for entry in entries:
        if "set" in entry:
            change(now[entry["set"]], entry["option"], entry["value"])
    return now


def change(options: dict[str, int], option: str, value: int) -> None:
    """One setter; a fresh attachment has the defaults."""
    if option == "attached" and options[option] != value:
        options.update(hop_penalty=PENALTY, throughput_override_kbit=0)
    options[option] = value


class Faults:
    """Which links are bad when: a function of time alone. calm: none."""

    def __init__(self, start: float, calm: bool) -> None:
        self.start, self.calm = start, calm

    def cycle(self, interface: str, now: float) -> int:
        return int((now - self.start) / PERIODS[interface][0])

    def bad(self, interface: str, now: float) -> bool:
        every, begin, end = PERIODS[interface]
        return not self.calm and begin <= (now - self.start) % every < end

    def passes(self, interface: str, now: float, dice: random.Random) -> bool:
        if not self.bad(interface, now):
            return True
        return interface == LOSSY and dice.random() > 0.45


class FileKernel:
    """`network.kernel.Kernel` with a meaning, kept in a log: routes follow what is attached and its penalties.

    fuse: which setter of this life kills its caller before it returns; 0: none.
    """

    def __init__(self, log: Log, fuse: int = 0) -> None:
        self.log, self.fuse = log, fuse
        entries = log.entries()
        self.now = settings_of(entries)
        self.short = max((entry["cycle"] for entry in entries if "cycle" in entry), default=-1)
        self._changed = False

    def set(self, where: str, option: str, value: int, **why: object) -> None:
        self.log.add(set=where, option=option, value=value, **why)
        self.fuse -= not why
        if self.fuse == 0 and not why:
            os.kill(os.getpid(), signal.SIGKILL)
        change(self.now[where], option, value)
        self._changed = True

    def shorten(self, faults: Faults, now: float) -> None:
        """The fault that only a setter ends."""
        cycle = faults.cycle(SHORT, now)
        if cycle > self.short and not faults.calm:
            self.short = cycle
            self.set(SHORT, "mtu", LOW_MTU, cycle=cycle)

    def best(self, node: str) -> str:
        """The interface towards a node; "" where there is no way."""
        offers = {
            i: tq * (255 - self.now[i]["hop_penalty"]) for i, tq in OFFERS[node].items() if self.now[i]["attached"]
        }
        return max(offers, key=offers.__getitem__, default="")

    def boot_id(self) -> str:
        return "one-boot"

    def mesh(self) -> Mesh:
        return Mesh("bat0", "BATMAN_IV", mac(ME, "d9"), self.now["mesh"]["orig_interval_ms"], 30, "off", False, False)

    def interfaces(self) -> list[Interface]:
        found = [Interface("d9", 9, mac(ME, "d9"), True, MTU, True, True, True, True, PENALTY, 0)]
        for interface in FAR:
            is_set = self.now[interface]
            on = bool(is_set["attached"])
            options = (is_set["hop_penalty"], is_set["throughput_override_kbit"]) if on else (None, None)
            found.append(Interface(interface, int(interface[1:]), mac(ME, interface), bool(is_set["up"]), is_set["mtu"],
                                   on, on, False, False, *options))  # fmt: skip
        return found

    def neighbours(self) -> list[Neighbour]:
        return [Neighbour(mac(far, "v1"), i, 100, tq=250) for i, far in FAR.items() if self.now[i]["attached"]]

    def originators(self) -> list[Originator]:
        return [
            Originator(mac(node, "v1"), mac(FAR[i], "v1"), i, 100, self.best(node) == i, tq=tq)
            for node, offers in OFFERS.items()
            for i, tq in offers.items()
            if self.now[i]["attached"]
        ]

    def changed(self) -> bool:
        changed, self._changed = self._changed, False
        return changed

    def attach(self, interface: str) -> None:
        self.set(interface, "attached", 1)

    def detach(self, interface: str) -> None:
        self.set(interface, "attached", 0)

    def set_up(self, interface: str, up: bool) -> None:
        self.set(interface, "up", int(up))

    def set_mtu(self, interface: str, mtu: int) -> None:
        self.set(interface, "mtu", mtu)

    def set_hardif(self, interface: str, option: str, value: int) -> None:
        self.set(interface, option, value)

    def set_mesh(self, option: str, value: int | str) -> None:
        self.set("mesh", option, int(value))

    def block(self, interface: str, mac: str, on: bool) -> None:
        self.set(interface, f"blocked {mac}", int(on))

    def restart_service(self, name: str) -> None:
        self.log.add(restarted=name)


class Air:
    """`network.wire.Wire` towards neighbours that say hello and answer, where faults let them."""

    def __init__(self, kernel: FileKernel, faults: Faults, clock: SystemClock, dice: random.Random) -> None:
        self.kernel, self.faults, self.clock, self.dice = kernel, faults, clock, dice
        self.inbox: list[Datagram] = []
        self.ends = {i: hello.Peer(ME, i, "", 0.05, clock.now(), clock.now()) for i in FAR}
        self._next, self._round = clock.now(), 0

    def _arrives(self, interface: str) -> bool:
        return self.faults.passes(interface, self.clock.now(), self.dice)

    def send_link(self, interface: str, to: str | None, payload: bytes) -> None:
        if interface in self.ends and to is not None and self._arrives(interface):
            self.ends[interface].hear(hello.decode(payload), self.clock.now())

    def echo(self, interface: str, to: str, payload: bytes) -> None:
        if self._arrives(interface) and self._arrives(interface):
            self.inbox.append(Datagram(self.clock.now(), interface, to, payload, echo=True))

    def send_mesh(self, node: str, payload: bytes) -> None:
        way = self.kernel.best(node)
        magic, _, number, size, _ = PROBE.unpack_from(payload)
        if magic == REQUEST and way and self._arrives(way):
            answer = PROBE.pack(ANSWER, 1, number, size, 0).ljust(len(payload), b"\0")
            self.inbox.append(Datagram(self.clock.now(), "", node, answer))

    def receive(self) -> Sequence[Datagram]:
        now = self.clock.now()
        while self._next <= now:
            self._next += 0.05
            self._round += 1
            for interface, end in self.ends.items():
                large = self._round % 10 == 0
                said = end.reply(FAR[interface], "v1", now, large=large, leaving=False, hurry=0, news=b"")
                if self._arrives(interface):
                    self.inbox.append(Datagram(now, interface, mac(FAR[interface], "v1"), hello.encode(said)))
        arrived, self.inbox = self.inbox, []
        return arrived

    def mac_of(self, source: str) -> str:
        return source


class Nowhere:
    """`ports.Transport` to a controller that is away."""

    def send(self, to: str, payload: bytes) -> None: ...

    def receive(self) -> Sequence[tuple[str, float, bytes]]:
        return ()
