"""The SQL store beyond the laws: restarts, one owner, damage, full disks, and what people read."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from x0tta6bl4.core.store import (
    Retention,
    SqlStore,
    StoreBusy,
    StoreCorrupt,
    StoreFull,
    StoreInUse,
    StoreTooNew,
    restore,
    schema,
)
from x0tta6bl4.core.store.engine import connect, parse
from x0tta6bl4.errors import ConfigError, NotSupported, StoreError, Temporary
from x0tta6bl4.mape_k.commands import POLICY, WINDOW_ADDED, WINDOW_REMOVED
from x0tta6bl4.model import (
    Action,
    ActionRecord,
    ActionState,
    Candidate,
    Cause,
    Component,
    Diagnosis,
    Event,
    Incident,
    IncidentState,
    Iteration,
    Plan,
    Symptom,
    Window,
)

NODE = Component("node", "n1")


class Hand:
    """A clock set by hand."""

    def __init__(self, now=100.0, utc=1_800_000_000.0):
        self.at, self.wall = now, utc

    def now(self):
        return self.at

    def utc(self):
        return self.wall


def opened(path, clock=None, **options):
    return SqlStore(f"sqlite:///{path}", "c", clock=clock or Hand(), random=random.Random(1), **options)


def incident(number=1, **changes):
    cause = Cause("node-down", NODE, 0.9, (Symptom("hello-lost", NODE, 40.0, 1.0, 0.5, "loss_ratio"),))
    return replace(Incident(f"i{number}", "c", number, 50.0, Diagnosis((cause,), 51.0), since=40.0), **changes)


def record(number=1, state=ActionState.INTENDED, **changes):
    return replace(ActionRecord(f"a{number}", "i1", number, Action("reboot", NODE), state, 60.0, 55.0), **changes)


def passed(number=1, **changes):
    empty = Iteration(number, 70.0, 12, {"netlink": "late"}, (), (), (), (), (), (), (), {"monitor": 0.002})
    return replace(empty, **changes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
def store(path):
    with opened(path) as store:
        yield store


def test_ages_survive_a_restart_on_another_monotonic_clock(path):
    with opened(path, Hand(now=100.0)) as store:
        store.commit(incidents=[incident()], actions=[record()])
    with opened(path, Hand(now=7.0, utc=1_800_000_030.0)) as store:
        (one,), (action,) = store.open_incidents(), store.open_actions()
    assert 7.0 - one.opened_at == pytest.approx(50.0 + 30.0)
    assert 7.0 - one.cause.explains[0].since == pytest.approx(60.0 + 30.0)
    assert 7.0 - action.proposed_at == pytest.approx(45.0 + 30.0)


def test_a_wall_clock_that_was_set_back_leaves_nothing_in_the_future(path):
    with opened(path) as store:
        store.commit(incidents=[incident()])
    with opened(path, Hand(now=3.0, utc=1_500_000_000.0)) as store:
        assert store.open_incidents()[0].opened_at == 3.0
        store.commit(incidents=[incident(2)])
        assert len(store.open_incidents()) == 2


def test_the_epoch_grows_with_every_controller(path):
    for epoch in (1, 2, 3):
        with opened(path) as store:
            assert store.epoch == epoch


def test_a_second_controller_is_refused_and_told_who_has_it(path, store):
    with pytest.raises(StoreInUse, match=f"process {os.getpid()}"):
        opened(path)
    store.close()
    opened(path).close()


CHILD = """
import random, sys, time
from x0tta6bl4.core.store import SqlStore
from x0tta6bl4.model import *
class Real:
    def now(self): return time.monotonic()
    def utc(self): return time.time()
store = SqlStore("sqlite:///" + sys.argv[1], "c", clock=Real(), random=random.Random())
node, now = Component("node", "n1"), time.monotonic()
for n in range(100000):
    diagnosis = Diagnosis((Cause("node-down", node, 0.9, ()),), now)
    store.commit(incidents=[Incident(f"i{n}", "c", n, now, diagnosis)],
                 actions=[ActionRecord(f"a{n}", f"i{n}", 1, Action("reboot", node), ActionState.INTENDED, now, now)],
                 events=[Event(n, now, "c", "incident.opened")])
    print(n, flush=True)
"""


def test_a_kill_loses_nothing_acknowledged_and_needs_no_cleaning(path):
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True)
    with child:
        for line in child.stdout:
            if line.strip() == "25":
                break
        with pytest.raises(StoreInUse, match=f"process {child.pid}"):
            opened(path)
        child.send_signal(signal.SIGKILL)
        acknowledged = 25 + len(child.stdout.read().split())
    with opened(path) as store:
        kept = {one.id for one in store.open_incidents()}
        assert kept >= {f"i{n}" for n in range(acknowledged + 1)}
        assert len(store.open_actions()) == len(kept) == store.last_event() + 1


def test_whoever_lost_the_store_cannot_write_any_more(path, store):
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE meta SET epoch = epoch + 1")
        other.commit()
    with pytest.raises(StoreInUse, match="took it over"):
        store.commit(incidents=[incident()])
    assert store.open_incidents() == []


def test_a_locked_database_is_temporary_and_keeps_nothing(path):
    with opened(path, busy_s=0.05) as store, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="locked by another program") as caught:
            store.commit(incidents=[incident()])
        assert isinstance(caught.value, Temporary)
        assert store.open_incidents() == []
        other.rollback()
        store.commit(incidents=[incident()])
        assert len(store.open_incidents()) == 1


def test_a_full_disk_loses_nothing_and_ends_when_there_is_space_again(store):
    store.commit(incidents=[incident()])
    with store._engine.connect() as connection:  # the one pooled connection gets SQLite's own limit
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 1}")
    with pytest.raises(StoreFull, match="no space left"):
        store.commit(incidents=[incident(2, note="x" * 100_000)], actions=[record()])
    assert [one.id for one in store.open_incidents()] == ["i1"]
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    store.commit(incidents=[incident(2, note="x" * 100_000)])
    assert [one.id for one in store.open_incidents()] == ["i1", "i2"]


@pytest.mark.parametrize("damage", ["text", "page"])
def test_a_corrupt_file_is_named_with_the_way_out(path, damage):
    with opened(path) as store:
        store.commit(incidents=[incident(n) for n in range(50)])
    data = bytearray(path.read_bytes())
    if damage == "text":
        data[:] = b"this is no database\n" * 400
    else:
        data[4096:16384] = b"\xa5" * 12288
    path.write_bytes(data)
    with pytest.raises(StoreCorrupt, match="restore a backup"):
        opened(path)
    assert path.read_bytes() == bytes(data)


def test_a_row_that_makes_no_sense_is_damage(path, store):
    store.commit(incidents=[incident()])
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE incidents SET body = '{}'")
        other.commit()
    with pytest.raises(StoreCorrupt, match="no Incident"):
        store.open_incidents()


def test_a_newer_schema_is_refused(path):
    opened(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE meta SET schema = 99")
        other.commit()
    for reader in (False, True):
        with pytest.raises(StoreTooNew, match=f"has schema 99, this version knows up to {schema.VERSION}"):
            opened(path, reader=reader)


def test_an_unknown_migration_is_refused(path):
    opened(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE alembic_version SET version_num = '0099'")
        other.commit()
    with pytest.raises(StoreTooNew, match="newer version"):
        opened(path)


def _no_words(name, kind, _parents):
    """SQLite's index of words is a virtual table with tables of its own, which SQLAlchemy cannot declare."""
    return kind != "table" or not name.startswith("passages_words")


def test_the_migrations_build_exactly_the_tables_of_the_schema(store):
    with store._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_name": _no_words})
        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == f"{schema.VERSION:04}"


def test_commits_are_durable_when_they_return(store):
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_only_its_owner_may_read_the_file(path, store):
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "", "sqlite+aiosqlite:///x.db"])
def test_other_urls_are_refused(url):
    with pytest.raises(ConfigError, match=r"store\.url"):
        SqlStore(url, "c", clock=Hand(), random=random.Random(1))


@pytest.mark.parametrize(("field", "options"), [("origin", {"origin": ""}), ("busy_s", {"busy_s": 0.0})])
def test_bad_arguments_name_their_field(path, field, options):
    arguments = {"url": f"sqlite:///{path}", "origin": "c", "clock": Hand(), "random": random.Random(1)}
    with pytest.raises(ConfigError, match=rf"store\.{field}"):
        SqlStore(**{**arguments, **options})


def test_a_password_is_not_in_the_error():
    with pytest.raises(ConfigError) as caught:
        parse("mysql://me:secret@host/db")
    assert "secret" not in str(caught.value)


def test_a_folder_that_cannot_be_used_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"file/store\.db"):
        opened(tmp_path / "file" / "store.db")


def test_a_server_that_is_not_there_is_temporary(tmp_path):
    pytest.importorskip("psycopg", reason="no driver: pip install 'psycopg[binary]'")
    with pytest.raises(StoreBusy, match="cannot be reached"):
        SqlStore(f"postgresql://x@/db?host={tmp_path}", "c", clock=Hand(), random=random.Random(1))


def test_a_reader_sees_what_is_there_beside_the_controller_and_changes_nothing(path, store):
    store.commit(incidents=[incident()])
    with opened(path, reader=True) as reader:
        store.commit(incidents=[incident(2)])
        assert [one.id for one in reader.open_incidents()] == ["i1", "i2"]
        for change in (
            lambda: reader.commit(incidents=[incident(3)]),
            lambda: reader.prune(Retention()),
            lambda: reader.keep_inventory({NODE: {}}),
        ):
            with pytest.raises(StoreError, match="reading only"):
                change()
    store.commit(incidents=[incident(4)])
    assert store.epoch == 1


def test_a_reader_of_nothing_makes_nothing(path):
    with pytest.raises(StoreError, match="there is none yet"):
        opened(path, reader=True)
    assert not path.exists()


def test_the_history_tells_the_incident_as_it_went(store):
    clock = store._clock
    plan = Plan("p1", "i1", 52.0, (Candidate(Action("reboot", NODE), 1.0, 0.1, 0.5, 0),), (), 1.0, {"hour": 2.0}, 3)
    store.commit(incidents=[incident()], plans=[plan])
    store.commit(actions=[record(at=55.5)])
    store.commit(
        incidents=[incident(acted=True)], actions=[record(state=ActionState.APPLIED, at=56.0, applied_at=56.0)]
    )
    done = record(state=ActionState.CONFIRMED, at=58.0, applied_at=56.0, confirmed_at=58.0)
    store.commit(actions=[done])
    store.commit(actions=[replace(done, well_since=59.0)])
    clock.wall += 10.0
    closed = incident(acted=True, state=IncidentState.CLOSED, closed_at=105.0)
    store.commit(incidents=[closed])
    history = store.incident("i1")
    assert [line.what for line in history.timeline if line.what.startswith("action")] == [
        "action intended",
        "action applied",
        "action confirmed",
    ]
    assert [line.what for line in history.timeline if line.what.startswith("incident")] == [
        "incident opened",
        "incident acted",
        "incident closed",
    ]
    assert history.timeline[0].at_utc == pytest.approx(1_800_000_000.0 - 50.0)
    assert history.evidence == incident().cause.explains
    assert history.actions == (replace(done, well_since=59.0),)
    assert history.plans == (plan,)
    assert history.outcomes == {"a1": True}
    store.commit(incidents=[incident(acted=True, reopened=1, note="came back")])
    assert {line.what for line in store.incident("i1").timeline} >= {"incident reopened", "incident noted"}
    assert store.incident("i1").outcomes == {"a1": False}


def test_an_unknown_incident_is_none(store):
    assert store.incident("nope") is None


def test_incidents_are_filtered(store):
    other = Component("link", "a>b")
    lossy = Diagnosis((Cause("link-lossy", other, 0.5, ()),), 52.0)
    store.commit(
        incidents=[
            incident(1),
            incident(2, diagnosis=lossy, opened_at=60.0),
            incident(3, opened_at=70.0, state=IncidentState.CLOSED, closed_at=80.0),
        ]
    )
    assert [one.id for one in store.incidents()] == ["i1", "i2", "i3"]
    assert [one.id for one in store.incidents(limit=2)] == ["i2", "i3"]
    assert [one.id for one in store.incidents(state=IncidentState.CLOSED)] == ["i3"]
    assert [one.id for one in store.incidents(component=other)] == ["i2"]
    assert [one.id for one in store.incidents(cause="node-down", state=IncidentState.OPEN)] == ["i1"]


def test_only_passes_that_decided_something_are_kept_and_each_once(store):
    event = Event(1, 70.0, "c", "incident.opened")
    store.commit(iterations=[passed(1), passed(2, events=(event,), incidents=(incident(),)), passed(3)])
    store.commit(iterations=[passed(2, events=(event,), incidents=(incident(),))])
    (kept,) = store.iterations()
    assert (kept.number, kept.readings, kept.phase_s) == (2, 12, {"monitor": 0.002})
    assert kept.decisions["errors"] == {"netlink": "late"}
    assert kept.decisions["diagnoses"][0]["cause"] == "node-down"
    assert store.iterations(after_seq=kept.seq) == []


def test_every_row_has_its_origin_and_a_sequence_of_its_own(store):
    store.commit(
        incidents=[incident()], actions=[record()], events=[Event(1, 70.0, "", "x"), Event(2, 70.0, "n9", "x")]
    )
    store.keep_inventory({NODE: {"mac": "02:00"}})
    store.commit(incidents=[incident(note="seen")])
    seqs = []
    with store._engine.connect() as connection:
        for table in schema.metadata.sorted_tables:
            if "origin" in table.c and table is not schema.origins:
                rows = connection.execute(sqlalchemy.select(table.c.origin, table.c.seq)).all()
                assert {row.origin for row in rows} <= {"c"}
                seqs += [row.seq for row in rows]
        last = connection.execute(sqlalchemy.select(schema.origins.c.seq)).scalar()
    assert len(seqs) == len(set(seqs))
    assert max(seqs) == last


def test_the_inventory_is_what_was_expected_last(path, store):
    store.keep_inventory({NODE: {"macs": ["02:01", "02:02"], "seat": True}, Component("node", "n3"): {}})
    expected = {NODE: {"macs": ("02:03",)}, Component("node", "n2"): {}}
    store.keep_inventory(expected)
    store.close()
    with opened(path) as again:
        assert again.inventory() == expected
        again.keep_inventory(expected)  # what is the same is not written again
        with again.reading() as reader:
            assert {row.seq for row in reader.rows(sqlalchemy.select(schema.inventory))} == {3, 4}
        again.keep_inventory({})
        assert again.inventory() == {}


def added(number, start, end, offset):
    data = {"id": f"w{number}", "start_utc": start + offset, "end_utc": end + offset, "reason": "kernel"}
    return Event(number, 100.0, "c", WINDOW_ADDED, "", str(NODE), data)


def test_windows_stand_from_the_event_that_says_so_until_they_end_or_are_taken_back(path):
    clock = Hand()
    offset = clock.wall - clock.at
    with opened(path, clock) as store:
        said = [added(1, 90.0, 160.0, offset), added(2, 500.0, 600.0, offset), added(3, 10.0, 99.0, offset)]
        store.commit(events=said)
        store.commit(events=said)
        assert [one.id for one in store.windows()] == ["w1", "w2"]
        assert store.windows()[0] == Window(NODE, 90.0, 160.0, "kernel", "w1")
        store.commit(events=[Event(4, 100.0, "c", WINDOW_REMOVED, "", str(NODE), {"id": "w1"})])
        store.commit(events=[replace(added(5, 90.0, 160.0, offset), origin="n9")])  # another loop's, not ours
        assert [one.id for one in store.windows()] == ["w2"]
    with opened(path, Hand(now=0.0, utc=clock.wall + 100.0)) as store:
        assert store.windows()[0].start == pytest.approx(300.0)


EARLY = Event(1, 10.0, "c", "x")
PLAN = Plan("p1", "i1", 52.0, (Candidate(Action("reboot", NODE), 1.0, 0.1, 0.5, 0),), (), 1.0, {"hour": 2.0}, 3)


def test_prune_drops_old_passes_and_events_but_never_decisions(store):
    events = [Event(n, 10.0 * n, "c", "x") for n in range(1, 6)]
    store.commit(incidents=[incident()], events=events, iterations=[passed(1, at=10.0, events=(EARLY,))])
    store.prune(Retention(passes_s=65.0, events_s=65.0))
    assert [one.seq for one in store.events()] == [4, 5]
    assert store.iterations() == []
    store.commit(events=[Event(n, 10.0, "n2", "x") for n in (1, 2)])
    store.prune(Retention(1e-6, 1e-6))
    assert (store.last_event(), store.last_event("n2")) == (5, 2)
    assert [one.seq for one in store.events(source="n2")] == [2]
    assert len(store.open_incidents()) == 1


@pytest.mark.parametrize(("keep", "passes", "events"), [((0.0, 1.0), 1, [9]), ((1.0, 0.0), 0, [1, 9])])
def test_what_is_kept_for_good_is_not_pruned(store, keep, passes, events):
    store.commit(events=[EARLY, Event(9, 99.9, "c", "x")], iterations=[passed(1, at=10.0, events=(EARLY,))])
    store.prune(Retention(*keep))
    assert (len(store.iterations()), [one.seq for one in store.events()]) == (passes, events)


def test_prune_keeps_the_history_of_incidents_actions_that_go_on_and_what_people_set(store):
    kinds = ("incident.opened", "plan.made", "action.applied", "plan.refused", "incident.closed")
    of = {"i1": 0, "i2": 10}
    told = [Event(of[i] + n, 10.0, "c", kind, i) for i in of for n, kind in enumerate(kinds, 1)]
    offset = store._clock.wall - store._clock.at
    windows = [replace(added(n, 10.0, end, offset), at=10.0) for n, end in ((22, 20.0), (23, 900.0))]
    people = [Event(21, 10.0, "c", POLICY), *windows]
    closed = incident(2, state=IncidentState.CLOSED, closed_at=60.0)
    running = record(1, ActionState.PROVING, applied_at=61.0)
    ended = replace(record(2, ActionState.UNDONE, applied_at=61.0), incident="i2")
    store.commit(
        incidents=[incident(acted=True), closed],
        actions=[running, ended],
        plans=[PLAN],
        events=[*told, *people, Event(99, 10.0, "c", "x")],
    )
    before = [(h.actions, h.plans, h.outcomes, h.timeline) for h in map(store.incident, of)]
    store.prune(Retention(1.0, 1.0))
    assert [one.seq for one in store.events()] == [1, 2, 3, 4, 5, 11, 13, 15, 21, 99]
    assert [(h.actions, h.plans, h.outcomes, h.timeline) for h in map(store.incident, of)] == before
    assert (store.open_actions(), len(store.open_incidents()), len(store.incidents())) == ([running], 1, 2)
    assert [one.id for one in store.windows()] == ["w23"]
    with store.reading() as reader:
        assert len(reader.rows(sqlalchemy.select(schema.windows))) == 1


def test_prune_takes_many_rows_a_part_at_a_time(store, monkeypatch):
    monkeypatch.setattr("x0tta6bl4.core.store.store.DROPPED_AT_ONCE", 7)
    store.commit(events=[Event(n, 10.0, "c", "x") for n in range(1, 51)])
    store.prune(Retention(1.0, 1.0))
    assert [one.seq for one in store.events()] == [50]


STEPS = pytest.mark.parametrize("step", [1_700_000_000.0, 3600.0, -3600.0, -1_700_000_000.0])


@STEPS
@pytest.mark.parametrize("before", [True, False], ids=["kept before", "kept after"])
def test_ages_survive_a_wall_clock_that_is_set_during_a_run_and_a_restart(path, step, before):
    clock = Hand()
    waiting = record(state=ActionState.AWAITING)
    old, window = incident(), added(1, 90.0, 160.0, clock.wall - clock.at)
    with opened(path, clock) as store:
        if before:
            store.commit(incidents=[old], actions=[waiting], plans=[PLAN], events=[window])
        assert not store.stepped
        clock.wall += step
        assert store.stepped
        again = () if before else [old]
        store.commit(incidents=again, actions=again and [waiting], plans=again and [PLAN])
        assert not store.stepped
        assert (store.open_incidents(), store.open_actions()) == ([old], [waiting])
        clock.at, clock.wall = clock.at + 5.0, clock.wall + 5.0
        assert not store.stepped
    with opened(path, Hand(now=7.0, utc=clock.wall)) as store:
        (one,), (action,), (plan,) = store.open_incidents(), store.open_actions(), store.incident("i1").plans
        assert 7.0 - one.opened_at == pytest.approx(50.0 + 5.0, abs=1e-3)
        assert 7.0 - one.cause.explains[0].since == pytest.approx(60.0 + 5.0, abs=1e-3)
        assert 7.0 - action.proposed_at == pytest.approx(45.0 + 5.0, abs=1e-3)
        assert 7.0 - plan.at == pytest.approx(48.0 + 5.0, abs=1e-3)
        assert [w.end for w in store.windows()] == ([pytest.approx(160.0 - 98.0, abs=1e-3)] if before else [])


@STEPS
def test_what_an_earlier_run_wrote_is_left_when_the_wall_clock_is_set(path, step):
    clock = Hand()
    with opened(path, clock) as store:
        store.commit(incidents=[incident()])
    clock.wall += 60.0 - step
    with opened(path, clock) as store:  # this machine's clock starts wrong, and is then set right
        clock.wall += step
        store.commit(incidents=[incident(2)])
    with opened(path, Hand(now=7.0, utc=clock.wall)) as store:
        assert [round(7.0 - one.opened_at) for one in store.open_incidents()] == [50 + 60, 50]


def test_a_commit_that_fails_takes_up_no_new_time(path):
    clock = Hand()
    with opened(path, clock, busy_s=0.05) as store, closing(sqlite3.connect(path)) as other:
        store.commit(incidents=[incident()])
        clock.wall += 3600.0
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            store.commit()
        other.rollback()
        assert store.stepped
        assert store.open_incidents() == [incident()]
        store.commit()
        assert store.open_incidents() == [incident()]


def test_a_reader_reads_by_the_wall_clock_of_now(path, store):
    store.commit(incidents=[incident()])
    clock = Hand()
    with opened(path, clock, reader=True) as reader:
        clock.at, clock.wall = 5.0, clock.wall + 10.0  # both clocks of a machine that slept
        assert 5.0 - reader.open_incidents()[0].opened_at == pytest.approx(60.0)
        assert not reader.stepped


def test_a_backup_made_in_use_comes_back_and_what_was_there_is_kept_aside(path, tmp_path):
    copy = tmp_path / "backup.db"
    with opened(path) as store:
        store.commit(incidents=[incident()], actions=[record()])
        store.backup(copy)
        store.commit(incidents=[incident(2)])
        with pytest.raises(StoreInUse):
            restore(f"sqlite:///{path}", copy)
    assert copy.stat().st_mode & 0o077 == 0
    aside = restore(f"sqlite:///{path}", copy)
    with opened(path) as store:
        assert [one.id for one in store.open_incidents()] == ["i1"]
        assert store.open_actions() == [record()]
    with opened(aside) as before:
        assert len(before.open_incidents()) == 2
    assert restore(f"sqlite:///{tmp_path}/fresh.db", copy) is None
    assert sorted(one.name for one in tmp_path.iterdir() if "part" in one.name or "restoring" in one.name) == []


def test_a_corrupt_store_is_healed_by_restore(path, tmp_path):
    copy = tmp_path / "backup.db"
    with opened(path) as store:
        store.commit(incidents=[incident()])
        store.backup(copy)
    path.write_bytes(b"\0garbage" * 1000)
    restore(f"sqlite:///{path}", copy)
    with opened(path) as store:
        assert len(store.open_incidents()) == 1


def test_an_unusable_backup_changes_nothing(path, store, tmp_path):
    store.commit(incidents=[incident()])
    store.close()
    bad, foreign, newer = tmp_path / "bad", tmp_path / "foreign", tmp_path / "newer"
    bad.write_bytes(b"no database at all" * 100)
    with closing(sqlite3.connect(foreign)) as other:
        other.execute("CREATE TABLE t (x)")
    shutil.copy(path, newer)
    with closing(sqlite3.connect(newer)) as other:
        other.execute("UPDATE meta SET schema = 99")
        other.commit()
    for source, kind in (
        (bad, StoreCorrupt),
        (foreign, StoreCorrupt),
        (newer, StoreTooNew),
        (tmp_path / "no", StoreError),
    ):
        with pytest.raises(kind):
            restore(f"sqlite:///{path}", source)
    with opened(path) as again:
        assert len(again.open_incidents()) == 1


def test_backup_and_restore_say_where_they_cannot(store, tmp_path):
    with pytest.raises(StoreError, match="no/such"):
        store.backup(tmp_path / "no" / "such" / "backup.db")
    with pytest.raises(NotSupported, match="only of SQLite files"):
        restore("sqlite://", tmp_path)


def test_threads_may_write_and_read_at_once(store):
    failures = []

    def write(first):
        try:
            for number in range(first, first + 20):
                store.commit(incidents=[incident(number)], events=[Event(number, 70.0, "", "x")])
                store.open_incidents()
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.open_incidents()) == len(store.events()) == 60


def test_many_symptoms_and_actions_fit_into_one_commit(store):
    many = tuple(Symptom("c", Component("link", f"l{n}"), 40.0, 1.0, 0.5, "m") for n in range(3000))
    big = incident(diagnosis=Diagnosis((Cause("partition", NODE, 1.0, many),), 51.0))
    store.commit(
        incidents=[big], actions=[record(n) for n in range(1200)], events=[Event(n, 1.0, "", "x") for n in range(1200)]
    )
    assert store.open_incidents() == [big]
    assert len(store.open_actions()) == len(store.events(limit=5000)) == 1200


def test_an_engine_of_memory_needs_no_file():
    engine = connect(parse("sqlite://"), 1.0)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    engine.dispose()


def test_after_close_every_call_is_refused(store, tmp_path):
    store.close()
    store.close()
    for call in (store.commit, store.open_incidents, store.windows, lambda: store.backup(tmp_path / "b")):
        with pytest.raises(StoreError, match="was closed"):
            call()
