"""The controller hears what agents report: nothing that was wrong escapes it, however soon it was mended."""

import pytest

from fakes import ManualClock, counted
from x0tta6bl4.core.controller import SETTLING_S, UNSEEN_S, Controller
from x0tta6bl4.lab.participants import ControllerPorts
from x0tta6bl4.mape_k.inline import InlineWorker
from x0tta6bl4.mape_k.memory import MemoryStore
from x0tta6bl4.network import names, report

PORT = names.interface("n2", "v1")


class Desk:
    """A controller, what reaches it and what it says."""

    def __init__(self):
        self.clock, self.events, self.arriving = ManualClock(100.0), [], []
        self.controller = Controller(
            ControllerPorts(self, self.clock, None, (), "n1", self.events.append),
            MemoryStore("controller"),
            InlineWorker(),
            counted("x"),
        )
        self.seq = 0

    def send(self, to, payload):
        """What is sent to agents is not looked at."""

    def receive(self):
        arrived = [one for one in self.arriving if one[1] <= self.clock.at]
        self.arriving = [one for one in self.arriving if one[1] > self.clock.at]
        return arrived

    def hear(self, at, *, short_bytes, node="n2", urgent=True):
        """A report arrives: how far the MTU of its interface is under the declared one."""
        self.seq += 1
        port = names.interface(node, "v1")
        readings = {str(port): {"mtu_short_bytes": (short_bytes, 0), "mtu_bytes": (1560.0 - short_bytes, 0)}}
        said = report.Report(node, "boot", self.seq, readings, urgent=urgent)
        self.arriving.append((node, at, report.encode(said)))

    def tick(self, at):
        self.clock.at = at
        self.controller.tick(at)

    def opened(self):
        return [(e.component, e.data["code"]) for e in self.events if e.type == "incident.opened"]


@pytest.mark.parametrize("later_s", [0.0, 0.01, 0.06, 0.09, 0.12])
def test_what_an_agent_mends_between_two_passes_is_an_incident(later_s):
    """A pass has just been made when the report of the fault comes, and that of its repair follows before the next."""
    desk = Desk()
    desk.tick(100.0)
    desk.hear(100.01, short_bytes=960.0)
    desk.hear(100.01 + later_s, short_bytes=0.0)
    for n in range(1, 8):
        desk.tick(100.0 + 0.05 * n)
    assert desk.opened() == [(str(PORT), "interface-mtu-low")]


def test_reports_of_other_nodes_do_not_wait():
    desk = Desk()
    desk.tick(100.0)
    desk.hear(100.01, short_bytes=960.0)
    desk.hear(100.01, short_bytes=0.0, node="n3")
    desk.tick(100.0 + SETTLING_S / 2)
    assert set(desk.controller.ages.heard) == {"n2", "n3"}


def test_a_node_that_is_always_urgent_is_heard_late_by_a_bounded_time():
    """It reports twice as often as passes are made: what waits is heard in order and does not pile up."""
    desk = Desk()
    heard = []
    hear = desk.controller._hear
    desk.controller._hear = lambda said, at, now: (heard.append((said.seq, now - at)), hear(said, at, now))
    for n in range(400):
        at = 100.0 + 0.05 * n
        desk.hear(at - 0.001, short_bytes=0.0)
        desk.tick(at)
    assert [seq for seq, _ in heard] == list(range(1, len(heard) + 1))
    assert max(late for _, late in heard) < UNSEEN_S + 0.06
    assert desk.seq - len(heard) <= UNSEEN_S / 0.05 + 1
