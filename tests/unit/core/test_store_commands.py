"""`x0t store`: a copy made beside a running controller, put back when it is gone, and a look for damage."""

import json
import random
import sqlite3
from contextlib import closing

import pytest

from x0tta6bl4 import cli
from x0tta6bl4.clock import SystemClock
from x0tta6bl4.core.commands.output import Exit
from x0tta6bl4.core.store import SqlStore
from x0tta6bl4.model import Cause, Component, Diagnosis, Event, Incident


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("X0T_STORE__DIRECTORY", str(tmp_path / "state"))
    return tmp_path / "state"


def opened(state, name="decisions.db"):
    return SqlStore(f"sqlite:///{state / name}", "controller", clock=SystemClock(), random=random.Random(1))


def incident(identity="i1"):
    cause = Cause("node-down", Component("node", "n1"), 0.9, ())
    return Incident(identity, "controller", 1, 40.0, Diagnosis((cause,), 40.0))


def called(capsys, *arguments, code=Exit.OK):
    yes = ["--yes"] if arguments[0] == "restore" else []
    assert cli.run(["store", *arguments, *yes]) == code
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return told.out if code == Exit.OK else told.out + told.err


def test_a_copy_made_in_use_brings_back_what_was_lost(capsys, state, tmp_path):
    with opened(state) as store:
        store.commit(incidents=[incident()], events=[Event(7, 1.0, "controller", "incident.opened", "i1")])
        told = json.loads(called(capsys, "backup", "copy.db", "--json"))
        assert told["bytes"] == (tmp_path / "copy.db").stat().st_size
        assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
        assert "in use by" in called(capsys, "restore", "copy.db", code=Exit.FAILED)
        store.commit(incidents=[incident("i2")])
    told = json.loads(called(capsys, "restore", "copy.db", "--json"))
    assert told["before"] == str(state / "decisions.db.before-restore")
    with opened(state) as store:
        assert [one.id for one in store.open_incidents()] == ["i1"]
        assert store.last_event() == 7
    with opened(state, "decisions.db.before-restore") as store:
        assert [one.id for one in store.open_incidents()] == ["i1", "i2"]


def test_a_copy_never_replaces_a_file_by_accident(capsys, state, tmp_path):
    opened(state).close()
    (tmp_path / "copy.db").write_text("mine")
    assert "file: got 'copy.db'" in called(capsys, "backup", "copy.db", code=Exit.USAGE)
    assert (tmp_path / "copy.db").read_text() == "mine"
    assert "copied" in called(capsys, "backup", "copy.db", "--force")
    assert "restored copy.db; what was there" in called(capsys, "restore", "copy.db")
    assert "file: got" in called(capsys, "backup", str(tmp_path), "--force", code=Exit.USAGE)


def test_what_is_no_copy_is_refused_and_nothing_changes(capsys, state, tmp_path):
    with opened(state) as store:
        store.commit(incidents=[incident()])
    (tmp_path / "odd.db").write_bytes(b"x" * 5000)
    assert "not a usable database" in called(capsys, "restore", "odd.db", code=Exit.FAILED)
    assert "no such file" in called(capsys, "restore", "none.db", code=Exit.FAILED)
    assert json.loads(called(capsys, "check", "--json"))["open_incidents"] == 1


def test_check_counts_and_works_beside_a_controller(capsys, state):
    assert "there is none yet" in called(capsys, "check", code=Exit.FAILED)
    with opened(state) as store:
        store.commit(incidents=[incident()], events=[Event(1, 1.0, "controller", "incident.opened", "i1")])
        text = called(capsys, "check")
        assert "1 incidents (1 open), 0 actions, 0 plans, 1 events, 0 passes\nok" in text
    assert json.loads(called(capsys, "check", "--json"))["problems"] == []


def test_check_names_the_row_that_makes_no_sense(capsys, state):
    with opened(state) as store:
        store.commit(incidents=[incident()])
    with closing(sqlite3.connect(state / "decisions.db")) as database:
        database.execute("UPDATE incidents SET body = '{\"odd\": 1}'")
        database.commit()
    assert "damaged: incidents i1:" in called(capsys, "check", code=Exit.FAILED)
    found = json.loads(called(capsys, "check", "--json", code=Exit.FAILED))
    assert found["ok"] is False
    assert len(found["problems"]) == 1


def test_check_finds_a_damaged_page(capsys, state):
    with opened(state) as store:
        store.commit(incidents=[incident(f"i{number}") for number in range(200)])
    path = state / "decisions.db"
    content = bytearray(path.read_bytes())
    middle = content.index(b"node-down", len(content) // 2)
    page = middle // 4096 * 4096
    content[page : page + 8] = b"\xff" * 8
    path.write_bytes(bytes(content))
    told = called(capsys, "check", code=Exit.FAILED)
    assert "damaged" in told or "not a usable database" in told


def test_the_agents_store_is_another_one(capsys, state):
    with opened(state, "agent.db") as store:
        store.commit(incidents=[incident()])
    assert json.loads(called(capsys, "check", "--agent", "--json"))["incidents"] == 1
    assert "there is none yet" in called(capsys, "check", code=Exit.FAILED)
    called(capsys, "backup", "copy.db", "--agent")
    called(capsys, "restore", "copy.db", "--agent")
    assert (state / "agent.db.before-restore").exists()


def test_a_copy_is_not_put_back_unasked(capsys, state, tmp_path):
    opened(state).close()
    called(capsys, "backup", "copy.db")
    before = (state / "decisions.db").read_bytes()
    assert cli.run(["store", "restore", "copy.db"]) == Exit.USAGE  # nobody can be asked
    assert "--yes" in capsys.readouterr().err
    assert (state / "decisions.db").read_bytes() == before
