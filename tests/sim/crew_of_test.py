"""Participants for the simulator's tests: agents that say hello beside the mesh, report in-band, and obey orders."""

from __future__ import annotations

import json

from x0tta6bl4.lab.participants import CONTROLLER
from x0tta6bl4.model import Event


class Agent:
    period_s = 0.05

    def __init__(self, ports):
        self.ports, self.heard, self.echoes, self.ticks, self.alerts = ports, {}, 0, [], 0
        self.goodbye = None
        self.closed = False

    def tick(self, now):
        self.ticks.append(now)
        assert now == self.ports.clock.now()
        for interface in self.ports.kernel.interfaces():
            if not interface.dummy:
                self.ports.wire.send_link(interface.name, None, b"hello" + self.ports.name.encode())
        for datagram in self.ports.wire.receive():
            assert datagram.at <= now
            self.heard[datagram.interface, datagram.source, datagram.payload] = datagram.at
            self.echoes += datagram.echo
            if datagram.interface and not datagram.echo and len(self.ticks) % 20 == 0:
                self.ports.wire.echo(datagram.interface, datagram.source, b"there?")
        self.alerts += self.ports.kernel.changed()
        if len(self.ticks) % 10 == 0:
            body = {"hop": self.ports.kernel.mesh().originator, "luck": self.ports.random.random()}
            self.ports.transport.send(CONTROLLER, json.dumps(body).encode())
        for sender, _, payload in self.ports.transport.receive():
            assert sender == CONTROLLER
            order = json.loads(payload)
            self.ports.kernel.set_hardif(order["interface"], "hop_penalty", order["value"])

    def expect_reboot(self, seconds):
        self.goodbye = seconds

    def at_rest(self):
        return True

    def close(self):
        self.closed = True


class Controller:
    period_s = 0.1

    def __init__(self, ports, orders=()):
        self.ports, self.reports, self.orders, self.start = ports, [], list(orders), ports.clock.now()

    def tick(self, now):
        for sender, at, _ in self.ports.transport.receive():
            self.reports.append((at - self.start, sender))
            if len(self.reports) == 1:
                self.ports.emit(Event(1, now, CONTROLLER, "incident.opened", "i1", f"node/{sender}", {"code": "test"}))
        while self.orders and self.orders[0][0] <= now - self.start:
            _, node, order = self.orders.pop(0)
            self.ports.transport.send(node, json.dumps(order).encode())

    def expect_reboot(self, seconds):
        raise AssertionError("the controller is not rebooted")

    def at_rest(self):
        return True

    def close(self):
        pass


class Crew:
    """A Factory that remembers whom it built."""

    def __init__(self, orders=()):
        self.agents, self.controllers, self.orders = [], [], orders

    def agent(self, ports):
        self.agents.append(Agent(ports))
        return self.agents[-1]

    def controller(self, ports):
        self.controllers.append(Controller(ports, self.orders))
        return self.controllers[-1]
