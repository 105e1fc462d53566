"""Readings on disk: what is kept, for how long, and what a kill leaves."""

import errno
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from x0tta6bl4.core.store import Blocks, StoreFull
from x0tta6bl4.core.store import segment as segments
from x0tta6bl4.core.store.segment import SegmentWriter, frames, mend
from x0tta6bl4.errors import ConfigError, ProtocolError, StoreError
from x0tta6bl4.model import Component, Layout

START = 1_800_000_000.0  # a whole minute
A, B = Component("node", "n1"), Component("link", "n1:v1-2>n2:v2-1")
LAYOUT = Layout((A, B), ("rtt_ms", "loss_ratio", "tq"))
NAMES = ((str(A), str(B)), LAYOUT.metrics)


def values(number):
    """Readings [2, 3] that name their pass; one is not measured."""
    return np.array([[number, 0.5, np.nan], [-number, number / 2, 255]], np.float32)


def filled(folder, seconds, *, first=0, step=1, **options):
    blocks = Blocks(folder, **options)
    for number in range(first, first + seconds, step):
        blocks.append(START + number, LAYOUT, values(number))
    return blocks


def everything(blocks, component=A, metric="rtt_ms"):
    return blocks.series(component, metric, 0, 1e12)


def newest(folder, name="raw"):
    return max(folder.glob(f"{name}-*.blk"))


def test_readings_come_back_by_component_metric_and_time(tmp_path):
    blocks = filled(tmp_path, 30)
    series = blocks.series(B, "loss_ratio", START + 10, START + 12)
    assert series.at_utc.tolist() == [START + 10, START + 11, START + 12]
    assert series.mean.tolist() == series.low.tolist() == series.high.tolist() == [5.0, 5.5, 6.0]
    assert series.raw.all()
    assert np.isnan(everything(blocks, A, "tq").mean).all()


def test_what_is_unknown_is_empty(tmp_path):
    blocks = filled(tmp_path, 3)
    for series in (
        everything(blocks, Component("node", "n9")),
        everything(blocks, A, "x"),
        blocks.series(A, "tq", 0, 1),
    ):
        assert series.at_utc.shape == series.mean.shape == series.raw.shape == (0,)


@pytest.mark.parametrize("how", ["close", "drop"])
def test_a_restart_goes_on_where_the_last_run_stopped(tmp_path, how):
    first = filled(tmp_path, 90)
    if how == "close":
        first.close()
    blocks = filled(tmp_path, 90, first=90)
    assert everything(blocks).at_utc.tolist() == [START + n for n in range(180)]
    assert everything(blocks).mean.tolist() == list(range(180))


def test_the_minute_under_way_at_a_kill_is_counted_whole(tmp_path):
    filled(tmp_path, 90)
    filled(tmp_path, 40, first=90)
    (frame_0, frame_1) = (frame for path in sorted(tmp_path.glob("minute-*.blk")) for frame in frames(path))
    assert (frame_0.at_utc, frame_1.at_utc) == (START, START + 60)
    assert frame_1.names == NAMES
    assert frame_1.values[:, 0, 0].tolist() == [89.5, 60.0, 119.0]
    assert np.isnan(frame_1.values[:, 0, 2]).all()


def test_raw_is_kept_for_its_time_and_minutes_after_it(tmp_path):
    blocks = filled(tmp_path, 3600, step=5, raw_s=600)
    series = everything(blocks)
    raw = series.at_utc[series.raw]
    assert START + 2900 <= raw[0] <= START + 3000
    assert raw[-1] == START + 3595
    minutes = ~series.raw
    assert series.at_utc[minutes].tolist() == [START + 60 * n for n in range(minutes.sum())]
    assert raw[0] - series.at_utc[minutes][-1] == 60
    assert (series.mean[0], series.low[0], series.high[0]) == (27.5, 0.0, 55.0)
    assert np.isfinite(series.mean).all()


def test_minutes_are_kept_for_their_time(tmp_path):
    blocks = filled(tmp_path, 6000, step=30, raw_s=60, coarse_s=1200)
    series = everything(blocks)
    assert START + 4650 <= series.at_utc[0] <= START + 4800
    assert len(list(tmp_path.iterdir())) < 50


def test_the_bytes_are_bounded(tmp_path):
    blocks = Blocks(tmp_path, max_bytes=40_000)
    source = np.random.default_rng(3)
    layout = Layout((A, B), tuple(f"m{n}" for n in range(100)))
    for number in range(400):
        blocks.append(START + number, layout, source.random((2, 100), np.float32))
    assert sum(path.stat().st_size for path in tmp_path.glob("raw-*")) <= 40_000
    assert everything(blocks, A, "m0").at_utc[-1] == START + 399
    assert len(everything(blocks, A, "m0").at_utc) > 20


def test_a_wall_clock_gone_astray_deletes_little(tmp_path):
    blocks = filled(tmp_path, 3600, step=5)
    before = everything(blocks).raw.sum()
    blocks.append(START + 1e9, LAYOUT, values(1))
    blocks.append(START + 3600, LAYOUT, values(2))
    assert everything(blocks).raw.sum() > before * 0.6
    assert everything(blocks).at_utc[-1] == START + 1e9
    assert (np.diff(everything(blocks).at_utc) > 0).all()


def test_layouts_change_and_alternate(tmp_path):
    blocks = Blocks(tmp_path)
    for number in range(70):
        blocks.append(START + number, LAYOUT, values(number))
        other = Layout((B, A), ("tq",))  # a new one each time, with the same content
        blocks.append(START + number + 0.5, other, np.full((2, 1), number, np.float32))
    assert everything(blocks, B, "tq").mean.tolist() == [x for n in range(70) for x in (255.0, n)]
    assert everything(blocks, A, "rtt_ms").mean.tolist() == list(range(70))


def test_values_are_copied_when_they_are_taken(tmp_path):
    blocks = Blocks(tmp_path)
    reused = values(1)
    for number in range(5):
        reused[:] = values(number)
        blocks.append(START + number, LAYOUT, reused)
    reused[:] = 99
    assert everything(blocks).mean.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("values", lambda blocks: blocks.append(START, LAYOUT, np.zeros((3, 2), np.float32))),
        ("at_utc", lambda blocks: blocks.append(float("nan"), LAYOUT, values(1))),
        ("raw_s", lambda blocks: Blocks(None, raw_s=float("nan"))),
        ("coarse_s", lambda blocks: Blocks(None, coarse_s=0)),
        ("max_bytes", lambda blocks: Blocks(None, max_bytes=-1)),
    ],
)
def test_bad_arguments_name_their_field(tmp_path, field, call):
    blocks = filled(tmp_path, 1)
    with pytest.raises(ConfigError, match=rf"blocks\.{field}"):
        call(blocks)
    assert len(everything(blocks).at_utc) == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_wherever_a_file_is_torn_nothing_before_it_is_lost(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("torn") / "raw-0000000000.blk"
    writer, sizes = SegmentWriter(path), []
    for number in range(20):
        writer.append(START + number, NAMES, values(number)[np.newaxis])
        sizes.append(writer.size)
    writer.close()
    cut %= writer.size + 1
    os.truncate(path, cut)
    whole = sum(size <= cut for size in sizes)
    span = mend(path)
    assert span == ((START, START + whole - 1) if whole else None)
    assert [frame.at_utc for frame in frames(path)] == [START + number for number in range(whole)]
    for number, frame in enumerate(frames(path)):
        np.testing.assert_array_equal(frame.values[0], values(number))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_byte_is_never_read_as_a_reading(tmp_path_factory, place, flip):
    folder = tmp_path_factory.mktemp("damaged")
    filled(folder, 20).close()
    path = newest(folder)
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= flip
    path.write_bytes(data)
    series = everything(Blocks(folder))
    assert series.mean.tolist() == list(range(len(series.mean)))
    assert len(series.mean) < 20


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_open(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    (folder / "raw-0000000000.blk").write_bytes(segments.MAGIC + data)
    (folder / "minute-0000000003.blk").write_bytes(data)
    blocks = filled(folder, 2)
    assert everything(blocks).mean.tolist() == [0, 1]


def test_a_whole_frame_that_makes_no_sense_is_a_store_error(tmp_path):
    filled(tmp_path, 2).close()
    with newest(tmp_path).open("ab") as file:
        file.write(segments._framed(segments.values_body(7, START + 2, np.zeros((1, 2, 3), np.uint32))))
    with pytest.raises(ProtocolError, match="makes no sense"):
        list(frames(newest(tmp_path)))
    with pytest.raises(StoreError):
        Blocks(tmp_path)


CHILD = """
import sys
from pathlib import Path
import numpy as np
from x0tta6bl4.core.store import Blocks
from x0tta6bl4.model import Component, Layout
layout, n = Layout((Component("node", "n1"),), ("rtt_ms",)), 0
blocks = Blocks(Path(sys.argv[1]))
while True:
    blocks.append(1_800_000_000.0 + n, layout, np.full((1, 1), n, np.float32))
    print(n, flush=True)
    n += 1
"""


def test_a_kill_loses_nothing_appended(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with child:
        for line in child.stdout:
            if int(line) == 400:
                break
        child.send_signal(signal.SIGKILL)
        last = 400 + len(child.stdout.read().split())
    mean = everything(Blocks(tmp_path)).mean.tolist()
    assert mean == list(range(len(mean)))
    assert len(mean) >= last


def test_a_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    blocks = filled(tmp_path, 5)
    real, room = os.write, [30]

    def write(file, data):  # the device accepts 30 bytes more, then none
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= (count := min(room[0], len(data)))
        return real(file, data[:count])

    with monkeypatch.context() as patch:
        patch.setattr(segments.os, "write", write)
        with pytest.raises(StoreFull, match="No space left"):
            blocks.append(START + 5, LAYOUT, values(5))
    blocks.append(START + 6, LAYOUT, values(6))
    assert everything(blocks).mean.tolist() == [0, 1, 2, 3, 4, 6]
    assert everything(Blocks(tmp_path)).mean.tolist() == [0, 1, 2, 3, 4, 6]


def test_a_folder_that_cannot_be_used_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="file"):
        Blocks(tmp_path / "file")


def test_slow_change_is_small_on_disk(tmp_path):
    source = random.Random(5)
    layout = Layout(tuple(Component("node", f"n{n}") for n in range(500)), tuple(f"m{n}" for n in range(20)))
    now = np.array([[source.random() for _ in range(20)] for _ in range(500)], np.float32)
    blocks = Blocks(tmp_path)
    for number in range(50):
        for _ in range(100):  # one reading in a hundred changes
            now[source.randrange(500), source.randrange(20)] = source.random()
        blocks.append(START + number, layout, now)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 50 * now.nbytes / 10
