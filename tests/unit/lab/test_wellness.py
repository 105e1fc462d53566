"""What "well" means, against answers computed by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab_records import pair

from x0tta6bl4.lab import wellness
from x0tta6bl4.lab.record import PairRecord


def test_a_window_may_lose_four_of_its_forty_probes_and_no_fifth():
    four = wellness.windows(pair(lost=[(20.0, 20.2)]))
    assert four.well.all()
    five = wellness.windows(pair(lost=[(20.0, 20.25)]))
    # All five are in the windows that start from 18.25 (20.20 is their last probe) to 20.0.
    assert five.start[~five.well].tolist() == pytest.approx(np.arange(18.25, 20.01, 0.05).tolist())


def test_an_answer_at_150_ms_is_too_late():
    late = PairRecord("a", "b", [i * 0.05 for i in range(40)], [150.0] * 40, [])
    soon = PairRecord("a", "b", late.sent, [149.9] * 40, [])
    assert wellness.windows(late).well.tolist() == [False]
    assert wellness.windows(soon).well.tolist() == [True]


def test_slow_answers_are_as_bad_as_none():
    assert wellness.bad_s(pair(slow=[(20, 60)]), 20, 60) == wellness.bad_s(pair(lost=[(20, 60)]), 20, 60)


def test_bad_seconds_are_what_no_well_window_covers():
    # Lost from 20 to 25. The last well window before it holds 4 lost probes: it starts at 18.2 and covers up to 20.2.
    # The first one after it holds the last 4: it starts at 24.8. Between them: 4.6 s.
    assert wellness.bad_s(pair(lost=[(20, 25)]), 20, 60) == pytest.approx(4.6)


def test_bad_seconds_end_with_the_fault():
    # Lost to the end of the fault and 10 s longer: 40 s less the 0.2 s that the last well window reaches in.
    assert wellness.bad_s(pair(lost=[(20, 70)]), 20, 60) == pytest.approx(39.8)


def test_excused_seconds_are_not_bad():
    dead = pair(lost=[(20, 70)], excused=[(20, 50)])
    # From 50 on all is lost, past the end of the fault too: 10 s of 40 count, and all of them are bad.
    assert wellness.bad_s(dead, 20, 60) == pytest.approx(10.0, abs=0.01)
    assert wellness.bad_s(pair(lost=[(20, 60)], excused=[(20, 60)]), 20, 60) is None


def test_recovery_is_timed_to_the_first_window_of_the_lasting_well_stretch():
    # Lost 20-25, and again 30-31: it stays well from the window that starts at 30.8 on.
    got = wellness.recovery(pair(lost=[(20, 25), (30, 31)]), 20, 60)
    assert got.hurt
    assert got.after_s == pytest.approx(10.8)


@pytest.mark.parametrize(
    ("lost_until", "after_s"),
    [(55.0, 34.8), (55.2, 35.0), (55.25, None), (60.0, None), (70.0, None)],
)
def test_a_pair_that_is_well_for_less_than_five_seconds_did_not_recover(lost_until, after_s):
    got = wellness.recovery(pair(lost=[(20, lost_until)]), 20, 60)
    assert got.hurt
    assert got.after_s == (None if after_s is None else pytest.approx(after_s))


def test_a_pair_that_was_never_unwell_is_not_hurt():
    assert wellness.recovery(pair(lost=[(30, 30.2)]), 20, 60) == wellness.Recovery(True, False, None)
    assert wellness.recovery(pair(lost=[(10, 15), (70, 75)]), 20, 60) == wellness.Recovery(True, False, None)


def test_a_pair_whose_end_is_dead_does_not_count():
    got = wellness.recovery(pair(lost=[(20, 60)], excused=[(20, 60)]), 20, 60)
    assert got == wellness.Recovery(counted=False, hurt=False, after_s=None)


def test_losses_in_an_excused_interval_do_not_hurt():
    got = wellness.recovery(pair(lost=[(20, 40)], excused=[(20, 40)]), 20, 60)
    assert got == wellness.Recovery(counted=True, hurt=False, after_s=None)


def test_a_prober_that_hung_shows_no_wellness():
    whole = pair(end=60)
    gap = [i for i, at in enumerate(whole.sent) if not 30 <= at < 35]
    hung = PairRecord("a", "b", [whole.sent[i] for i in gap], [10.0] * len(gap), [])
    # Windows stay judged while at most 4 of 40 probes are missing: covered up to 30.2 and from 34.8 on.
    assert wellness.bad_s(hung, 20, 50) == pytest.approx(5.0 - 0.2, abs=0.26)


def test_a_pair_without_probes_is_never_well():
    empty = PairRecord("a", "b", [], [], [])
    assert len(wellness.windows(empty).well) == 0
    assert wellness.bad_s(empty, 20, 60) == 40
    assert len(wellness.dips(empty)) == 0
    assert not wellness.well_at(wellness.windows(empty), 10)


def test_a_dip_is_over_a_second_with_under_half_the_replies():
    # 11 of 21 probes lost: under half of a stretch of over one second.
    assert wellness.dips(pair(lost=[(30, 30.55)])).tolist() == [[pytest.approx(30), pytest.approx(31.05)]]
    assert len(wellness.dips(pair(lost=[(30, 30.5)]))) == 0
    assert len(wellness.dips(pair(lost=[(30, 32)], excused=[(29, 33)]))) == 0
    assert len(wellness.dips(pair(slow=[(30, 40)]))) == 0


def test_well_at_looks_at_the_last_complete_window():
    seen = wellness.windows(pair(lost=[(20, 25)]))
    assert wellness.well_at(seen, 20.2)
    assert not wellness.well_at(seen, 20.3)
    assert wellness.well_at(seen, 27)
    assert not wellness.well_at(seen, 1.9)


def test_spans_are_merged_and_measured():
    merged = wellness.spans([(5, 6), (0, 2), (1, 3), (9, 9)])
    assert merged.tolist() == [[0, 3], [5, 6]]
    assert wellness.length(merged, 2, 5.5) == 1.5
    assert wellness.overlaps(merged, 3.5, 5.1)
    assert not wellness.overlaps(merged, 3, 5)
    assert wellness.within(np.array([0.0, 2.9, 3.0, 5.5]), merged).tolist() == [True, True, False, True]


intervals = st.lists(
    st.tuples(st.integers(0, 1500), st.integers(1, 300)).map(lambda x: (x[0] * 0.05, (x[0] + x[1]) * 0.05)),
    max_size=4,
)


@given(lost=intervals, excused=intervals, shift=st.floats(0, 1e4))
def test_shifting_all_times_shifts_nothing(lost, excused, shift):
    here = pair(lost=lost, excused=excused)
    moved = [(a + shift, b + shift) for a, b in excused]
    there = PairRecord("n2", "n3", [at + shift for at in here.sent], here.rtt_ms, moved)
    a, b = wellness.bad_s(here, 20, 60), wellness.bad_s(there, 20 + shift, 60 + shift)
    assert (a is None) == (b is None)
    assert a is None or a == pytest.approx(b, abs=1e-6)
    one, two = wellness.recovery(here, 20, 60), wellness.recovery(there, 20 + shift, 60 + shift)
    assert (one.counted, one.hurt, one.after_s is None) == (two.counted, two.hurt, two.after_s is None)
    assert one.after_s is None or one.after_s == pytest.approx(two.after_s, abs=1e-6)
    assert wellness.dips(there) - shift == pytest.approx(wellness.dips(here), abs=1e-6)


@given(excused=intervals, rtt=st.floats(0, 149.9))
def test_a_lossless_pair_is_never_hurt(excused, rtt):
    fine = pair(excused=excused)
    fine.rtt_ms[:] = [rtt] * len(fine.sent)
    got = wellness.recovery(fine, 20, 60)
    assert not got.hurt
    assert wellness.bad_s(fine, 20, 60) in (None, pytest.approx(0, abs=1e-6))
    assert len(wellness.dips(fine)) == 0


@given(lost=intervals, place=st.integers(0, 1599))
def test_one_more_lost_probe_never_makes_it_better(lost, place):
    before = pair(lost=lost)
    worse = PairRecord("n2", "n3", before.sent, [*before.rtt_ms], [])
    worse.rtt_ms[place] = math.nan
    assert wellness.bad_s(worse, 20, 60) >= wellness.bad_s(before, 20, 60) - 1e-9
    assert wellness.windows(worse).well.sum() <= wellness.windows(before).well.sum()


@given(lost=intervals)
def test_windows_agree_with_counting_one_by_one(lost):
    one = pair(lost=lost, end=30)
    seen = wellness.windows(one)
    slow = [sum(rtt < 150 for rtt in one.rtt_ms[i : i + 40]) >= 36 for i in range(len(one.sent) - 39)]
    assert seen.well.tolist() == slow
