"""Readings to symptoms: evidence counts in seconds, not in passes."""

import numpy as np
import pytest

from fakes import MeshRig
from x0tta6bl4.catalog import Catalog, Metric, SymptomRule
from x0tta6bl4.mape_k.baseline import Baseline
from x0tta6bl4.mape_k.columns import Columns
from x0tta6bl4.mape_k.detection import Detection
from x0tta6bl4.mape_k.symptoms import FORGET_AFTER, Status, Symptoms
from x0tta6bl4.model import Component, Layout, Observation

BOX, OTHER = Component("box", "b"), Component("box", "c")
RULES = (
    SymptomRule("hot", "box", "heat", "hot", 80, 60, raise_after_s=1.0, clear_after_s=2.0),
    SymptomRule("low", "box", "level", "low", 0.2, 0.5, above=False, clear_after_s=0.0),
    SymptomRule("odd", "box", "heat", "far above its usual", 30, 10, excess=True, clear_after_s=0.0),
    SymptomRule("mute", "box", "silence_ms", "mute", 400, 200, duration=True, clear_after_s=0.3, margin_s=0.1),
)
METRICS = (
    Metric("box", "heat", "heat", 3.0, learn=True),
    Metric("box", "level", "level", 3.0),
    Metric("box", "silence_ms", "silence", 3.0),
)
LAYOUT = Layout((BOX, OTHER), ("heat", "level", "silence_ms"))


class Bench:
    """Rules over boxes; `see` folds readings of the first box (what is not given is not measured)."""

    def __init__(self):
        catalog = Catalog("plant", METRICS, RULES, (), ())
        self.columns = Columns(catalog)
        self.detection = {k: Detection(Baseline(t)) for k, t in self.columns.tables.items()}
        self.symptoms = Symptoms(catalog, self.columns, self.detection)

    def see(self, now, age=0.0, **readings):
        values = np.full((2, 3), np.nan, np.float32)
        for name, value in readings.items():
            values[0, LAYOUT.metrics.index(name)] = value
        self.columns.fold(Observation("s", now, LAYOUT, values, age))
        self.detection["box"].learn(now)
        return {s.code: s for s in self.symptoms.update(now)}


@pytest.mark.parametrize("rate", [10, 4, 2])
def test_the_rate_of_passes_moves_raise_and_clear_by_less_than_a_pass(rate):
    bench = Bench()
    raised = cleared = None
    for i in range(20 * rate):
        now = i / rate
        active = bench.see(now, heat=90.0 if 3.0 <= now < 9.0 else 20.0)
        if "hot" in active and raised is None:
            raised = now
            assert active["hot"].since == 3.0
        if "hot" not in active and raised is not None and cleared is None:
            cleared = now
    assert raised == 4.0
    assert cleared == 11.0


@pytest.mark.parametrize("rate", [10, 2])
def test_a_shorter_peak_is_no_symptom_at_any_rate(rate):
    bench = Bench()
    for i in range(10 * rate):
        now = i / rate
        assert "hot" not in bench.see(now, heat=90.0 if 3.0 <= now < 3.9 else 20.0)


def test_between_clear_and_raise_nothing_changes():
    bench = Bench()
    for i in range(30):
        assert "hot" not in bench.see(i * 0.5, heat=70.0)
    for i in range(30, 33):
        bench.see(i * 0.5, heat=85.0)
    assert bench.symptoms.active("hot", BOX)
    for i in range(33, 90):
        assert "hot" in bench.see(i * 0.5, heat=70.0)
    for i in range(90, 94):
        assert "hot" in bench.see(i * 0.5, heat=20.0)
    assert "hot" not in bench.see(47.0, heat=20.0)


def test_a_look_into_the_band_begins_the_clearing_anew():
    bench = Bench()
    for i in range(4):
        bench.see(float(i), heat=85.0)
    bench.see(4.0, heat=20.0)
    bench.see(5.0, heat=70.0)
    for i in range(6, 8):
        assert "hot" in bench.see(float(i), heat=20.0)
    assert "hot" not in bench.see(8.0, heat=20.0)


def test_bad_is_below_where_a_rule_says_so():
    bench = Bench()
    assert "low" not in bench.see(0.0, level=0.3)
    assert bench.see(1.0, level=0.2)["low"].threshold == 0.2
    assert "low" in bench.see(2.0, level=0.4)
    assert "low" not in bench.see(3.0, level=0.6)


def test_excess_is_counted_from_what_is_usual():
    bench = Bench()
    for i in range(20):
        assert bench.see(float(i), heat=50.0) == {}
    assert set(bench.see(20.0, heat=79.0)) == set()
    assert set(bench.see(21.0, heat=88.0)) == {"odd"}
    assert bench.symptoms.status("odd", BOX, 0.0, 21.0) is Status.ACTIVE


def test_a_duration_dates_its_own_evidence():
    bench = Bench()
    assert "mute" not in bench.see(10.0, silence_ms=399.0)
    symptom = bench.see(10.1, silence_ms=500.0)["mute"]
    assert symptom.since == pytest.approx(9.6)
    assert "mute" in bench.see(10.2, silence_ms=10.0)
    assert "mute" not in bench.see(10.5, silence_ms=10.0)


def test_stale_readings_raise_nothing_and_are_forgotten_later():
    bench = Bench()
    bench.see(0.0, heat=90.0)
    for i in range(1, 20):  # the one hot reading is not looked at for longer than it is good
        bench.see(i * 0.25)
    assert bench.symptoms.active("hot", BOX)
    late = FORGET_AFTER * 3.0
    assert "hot" in bench.see(late)
    assert "hot" not in bench.see(late + 0.1)
    fresh = Bench()
    for i in range(40):
        assert "hot" not in fresh.see(10 + i * 0.1, age=4.0, heat=90.0)


def test_status_needs_evidence_younger_than_the_question():
    bench = Bench()
    bench.see(5.0, heat=20.0, silence_ms=0.0)
    symptoms = bench.symptoms
    assert symptoms.status("hot", BOX, 4.0, 5.0) is Status.ABSENT
    assert symptoms.status("hot", BOX, 5.0, 5.0) is Status.UNKNOWN
    assert symptoms.status("mute", BOX, 4.9, 5.0) is Status.UNKNOWN  # within the margin
    assert symptoms.status("mute", BOX, 4.8, 5.0) is Status.ABSENT
    assert symptoms.status("hot", BOX, 4.0, 8.1) is Status.UNKNOWN  # stale
    assert symptoms.status("hot", OTHER, 4.0, 5.0) is Status.UNKNOWN
    assert symptoms.status("hot", Component("box", "unheard-of"), 4.0, 5.0) is Status.UNKNOWN
    bench.see(6.0, heat=70.0)
    assert symptoms.status("hot", BOX, 4.0, 6.0) is Status.UNKNOWN  # in the band


def test_seen_well_needs_fresh_readings_and_no_doubt():
    bench = Bench()
    assert not bench.symptoms.seen_well(BOX, 0.0)
    bench.see(1.0, heat=20.0)
    assert bench.symptoms.seen_well(BOX, 1.0)
    assert not bench.symptoms.seen_well(OTHER, 1.0)
    assert not bench.symptoms.seen_well(BOX, 4.1)
    bench.see(5.0, heat=90.0)  # not raised yet, but about to be
    assert not bench.symptoms.active("hot", BOX)
    assert not bench.symptoms.seen_well(BOX, 5.0)


def test_the_version_changes_with_what_is_raised_only():
    bench = Bench()
    seen = [bench.symptoms.version]
    for i in range(8):
        bench.see(i * 0.5, heat=90.0)
        seen.append(bench.symptoms.version)
    assert seen == [0, 0, 0, *[1] * 6]


def test_components_that_come_later_are_judged_too():
    rig = MeshRig("n1-n2")
    rig.step(0.0)
    rig.silence("n1", "n2", 0.0)
    rig.run(0.1, 1.0)
    assert {s.code for s in rig.active} == {"link-silent", "hello-silent"}
    late = tuple(rig.link("n8", f"n{i}") for i in range(20, 60))
    rig.columns.fold(Observation("x", 1.1, Layout(late, ("silence_ms",)), np.full((40, 1), 900, np.float32)))
    assert len(rig.symptoms.update(1.1)) == 42
    assert not rig.symptoms.active("link-silent", Component("link", "nobody"))
