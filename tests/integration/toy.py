"""The smallest participants: agents report whom they hear, a controller says what it was told."""

import json
from contextlib import suppress

from x0tta6bl4.errors import X0tError
from x0tta6bl4.model import Event

READ_S = 0.5


class Agent:
    period_s = 0.05

    def __init__(self, ports):
        self.ports = ports
        self.heard = {}
        self.neighbours = 0
        self.acted = False
        self.due = 0.0

    def tick(self, now):
        ports = self.ports
        own = next(node for node in ports.inventory if node.name == ports.name)
        for one in own.interfaces:
            if not one.dummy:
                ports.wire.send_link(one.name, None, ports.name.encode())
        for datagram in ports.wire.receive():
            if datagram.interface and not datagram.echo:
                self.heard[datagram.payload.decode()] = now
                ports.wire.echo(datagram.interface, datagram.source, b"are you there")
            if datagram.echo:
                self.heard["kernel of " + ports.wire.mac_of(datagram.source)] = now
        for _source, _at, payload in ports.transport.receive():
            if payload == b"penalty" and not self.acted:
                self.acted = True
                ports.kernel.set_hardif(own.interfaces[-1].name, "hop_penalty", 9)
        if now >= self.due or ports.kernel.changed():
            self.due = now + READ_S
            with suppress(X0tError):
                ports.kernel.interfaces()
                self.neighbours = len(ports.kernel.neighbours())
        recent = sorted(name for name, at in self.heard.items() if now - at < 1)
        report = {"heard": recent, "neighbours": self.neighbours}
        ports.transport.send("controller", json.dumps(report).encode())

    def expect_reboot(self, seconds):
        pass

    def at_rest(self):
        return True

    def close(self):
        pass


class Controller:
    period_s = 0.05

    def __init__(self, ports):
        self.ports = ports
        self.silent = set()
        self.last = {}

    def tick(self, now):
        for node, at, payload in self.ports.transport.receive():
            if node not in self.last:
                self.emit("toy.first", node, json.loads(payload))
                self.ports.transport.send(node, b"penalty")
            if node in self.silent:
                self.silent.discard(node)
                self.emit("toy.back", node, json.loads(payload))
            self.last[node] = at
        for node, at in self.last.items():
            if now - at > 1 and node not in self.silent:
                self.silent.add(node)
                self.emit("toy.silent", node, {})

    def emit(self, kind, node, data):
        self.ports.emit(Event(0, self.ports.clock.now(), "toy", kind, component=f"node/{node}", data=data))

    def expect_reboot(self, seconds):
        pass

    def at_rest(self):
        return True

    def close(self):
        pass


class Factory:
    def agent(self, ports):
        return Agent(ports)

    def controller(self, ports):
        return Controller(ports)
