"""What every sensor promises: `ports.Sensor`, kept by the built-in ones and by the fake."""

import pytest

from fakes import FakeKernel, FakeWire, ManualClock, ScriptedSensor
from x0tta6bl4.core.controller import NodeAges
from x0tta6bl4.errors import Temporary
from x0tta6bl4.model import Component, Layout
from x0tta6bl4.network.probe import Hellos
from x0tta6bl4.network.sensors import Declared, Inventory, KernelSensor
from x0tta6bl4.testing import sensor_laws

INVENTORY = Inventory([Declared("n1", "v1", "02:00:00:00:00:01", 1560)])


def kernel(refuse=None):
    made = FakeKernel()
    made.refuse = refuse
    return KernelSensor("n1", made, INVENTORY)


def test_the_kernel_s_tables():
    sensor_laws(kernel, broken=lambda: kernel(Temporary("netlink: timed out")))


def test_hellos():
    sensor_laws(lambda: Hellos("n1", FakeWire(), clock=ManualClock()))


@pytest.mark.parametrize("nodes", [[], ["n1", "n2"]])
def test_reports(nodes):
    sensor_laws(lambda: NodeAges(nodes, 0.0))


def test_the_fake():
    layout = Layout((Component("node", "n1"),), ("report_age_ms",))
    sensor_laws(lambda: ScriptedSensor("s", layout, [[1.0]]))
