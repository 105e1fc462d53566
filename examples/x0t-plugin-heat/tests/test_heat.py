"""The plugin keeps the laws of its extension points, and does what it is for."""

import numpy as np
import pytest

from x0t_plugin_heat import HOT_C, HeatSensor, catalogue, sensor, too_hot
from x0tta6bl4.catalog import Scope
from x0tta6bl4.core import plugins
from x0tta6bl4.core.machine import SystemClock
from x0tta6bl4.core.plugins import Site
from x0tta6bl4.model import Component
from x0tta6bl4.testing import catalogue_laws, guard_laws, proposal, sensor_laws, situation

N1 = Component("node", "n1")
NODE, MESH = Site("n1", Scope.NODE, SystemClock()), Site("controller", Scope.MESH, SystemClock())


@pytest.fixture
def machine(tmp_path):
    """The files of a machine with two cool zones and one that is switched off."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("0.50 0.40 0.30 1/99 4242\n")
    for zone, text in (("0", "41000"), ("1", "48500"), ("2", "")):
        (tmp_path / f"sys/class/thermal/thermal_zone{zone}").mkdir(parents=True)
        (tmp_path / f"sys/class/thermal/thermal_zone{zone}/temp").write_text(text)
    return tmp_path


def test_the_sensor_keeps_the_laws(machine, tmp_path):
    sensor_laws(lambda: HeatSensor("n1", machine), broken=lambda: HeatSensor("n1", tmp_path / "nowhere"))


def test_the_sensor_reads_this_very_machine():
    sensor_laws(lambda: sensor(NODE))
    assert sensor(MESH) is None


def test_the_hottest_zone_counts(machine):
    values = HeatSensor("n1", machine).read(1.0).values
    assert values[0, 0] == np.float32(48.5)
    assert 0 < values[0, 1] <= 0.5


def test_a_machine_without_zones_has_a_load_and_no_temperature(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("0.50 0.40 0.30 1/99 4242\n")
    values = HeatSensor("n1", tmp_path).read(1.0).values
    assert np.isnan(values[0, 0])
    assert values[0, 1] > 0


@pytest.mark.parametrize("site", [NODE, MESH])
def test_the_catalogue_keeps_the_laws_and_goes_with_the_mesh(site):
    catalogue_laws(lambda: catalogue(site))
    whole = plugins.joined(plugins.mesh(site), catalogue(site))
    assert whole.symptom["node-hot"].raise_at == HOT_C


def test_the_guard_keeps_the_laws():
    guard_laws(too_hot, [(*proposal(), situation(readings={(N1, "temperature_c"): 90.0}))])


@pytest.mark.parametrize(("degrees", "refused"), [(None, False), (84.9, False), (85.0, True), (120.0, True)])
def test_nothing_is_done_on_a_node_that_is_hot(degrees, refused):
    readings = {} if degrees is None else {(N1, "temperature_c"): degrees}
    reason = too_hot(*proposal(target=Component("interface", "n1:eth1")), situation(readings=readings))
    assert bool(reason) == refused
    assert not too_hot(*proposal(target=Component("interface", "n2:eth1")), situation(readings=readings))
