"""`x0t doctor`: what each check says of a good and of a bad installation, and how it says to mend it."""

import json
import os
import sys
import time

import pytest

from x0tta6bl4 import cli
from x0tta6bl4.core.commands import checks, checks_mesh
from x0tta6bl4.core.commands.checks import Level
from x0tta6bl4.core.commands.output import Exit
from x0tta6bl4.core.setting_groups import MeshSettings
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.network.kernel import Interface, Mesh


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    for name in os.environ:
        if name.startswith("X0T_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("X0T_STORE__DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("X0T_MESH__INTERFACE", "x0t-none0")


def settings(tmp_path, **groups):
    return Settings(store={"directory": str(tmp_path / "state"), **groups})


def test_python_and_packages():
    assert checks.python((3, 10, 2)).level is Level.FAIL
    assert checks.python().level is Level.OK
    assert checks.packages().level is Level.OK
    lacking = checks.packages(["no-such-thing>=1", "rich>=9999", "psycopg[binary]>=99; extra == 'postgres'"])
    assert lacking.level is Level.FAIL
    assert "no-such-thing is not installed; rich" in lacking.what
    assert "older than 9999" in lacking.what
    assert "psycopg" not in lacking.what


def test_the_clock():
    assert checks.clock(synchronised=True).level is Level.OK
    assert checks.clock(synchronised=False).level is Level.WARN
    assert checks.clock(synchronised=True, now=0.0).level is Level.FAIL
    assert checks.clock(now=time.time()).level in (Level.OK, Level.WARN)  # whatever this machine's kernel says


def test_the_token(tmp_path):
    mine = settings(tmp_path)
    assert checks.token(mine).level is Level.WARN
    mine.token_file.parent.mkdir()
    mine.token_file.write_text("s" * 43)
    mine.token_file.chmod(0o644)
    open_to_all = checks.token(mine)
    assert open_to_all.level is Level.FAIL
    assert "chmod 600" in open_to_all.mend
    assert "sss" not in open_to_all.what + open_to_all.mend
    mine.token_file.chmod(0o600)
    assert checks.token(mine).level is Level.OK


def test_the_store(tmp_path):
    fresh = checks.store(settings(tmp_path))
    assert [one.level for one in fresh] == [Level.OK, Level.OK]
    assert not (tmp_path / "state").exists()  # it only looked
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "decisions.db").write_bytes(b"x" * 5000)
    damaged = checks.store(settings(tmp_path))[1]
    assert damaged.level is Level.FAIL
    assert "x0t store restore" in damaged.mend
    odd = checks.store(settings(tmp_path, url="mysql://me:hush@db/x"))[1]
    assert odd.level is Level.FAIL
    assert "hush" not in odd.what


def test_a_store_of_ours_is_fine(tmp_path):
    import random

    from x0tta6bl4.clock import SystemClock
    from x0tta6bl4.core.store import SqlStore

    url = f"sqlite:///{tmp_path / 'state' / 'decisions.db'}"
    SqlStore(url, "controller", clock=SystemClock(), random=random.Random(1)).close()
    assert checks.store(settings(tmp_path))[1].what.endswith("this version's schema")


def test_plugins_that_do_not_load(tmp_path):
    assert checks.plugged(settings(tmp_path)).level is Level.OK
    lacking = checks.plugged(Settings(plugins={"enabled": ("nope",)}))
    assert (lacking.level, "nope" in lacking.what, "pip install" in lacking.mend) == (Level.FAIL, True, True)


def test_the_key_of_a_model(tmp_path):
    key = tmp_path / "key"
    mine = Settings(explanation={"key_file": str(key)})
    assert checks.model_key(settings(tmp_path)) == []
    assert checks.model_key(mine)[0].level is Level.FAIL
    assert f"chmod 600 {key}" in checks.model_key(mine)[0].mend
    key.write_text("secret")
    key.chmod(0o600)
    assert checks.model_key(mine)[0].level is Level.OK


def test_traces_need_their_sdk(tmp_path, monkeypatch):
    assert checks.traces(settings(tmp_path)) == []
    mine = Settings(monitoring={"otlp_endpoint": "http://127.0.0.1:4318"})
    monkeypatch.setitem(sys.modules, "x0tta6bl4.monitoring.spans", None)  # as where what it imports is not there
    (lacking,) = checks.traces(mine)
    assert (lacking.level, "x0tta6bl4[monitoring]" in lacking.mend) == (Level.FAIL, True)


def test_folders_of_knowledge(tmp_path):
    (tmp_path / "there").mkdir()
    folders = {"here": str(tmp_path / "there"), "gone": str(tmp_path / "gone")}
    there, gone = checks.knowledge(Settings(knowledge={"folders": folders}))
    assert there.level is Level.OK
    assert (gone.level, gone.mend) == (Level.WARN, "make it, or mend knowledge.folders.gone")


def test_room(tmp_path):
    assert checks.disk(tmp_path / "a" / "b").what.endswith(f"free at {tmp_path}")
    assert checks.disk(tmp_path, 50 << 20).level is Level.FAIL
    assert checks.disk(tmp_path, 500 << 20).level is Level.WARN
    assert checks.disk(tmp_path, 5 << 30).level is Level.OK


def test_batman_and_capabilities(tmp_path):
    assert checks_mesh.batman("bat0", present=True).level is Level.OK
    assert "ip link add bat0" in checks_mesh.batman("bat0", present=False, module=tmp_path).mend
    assert "modprobe" in checks_mesh.batman("bat0", present=False, module=tmp_path / "none").mend
    status = tmp_path / "status"
    status.write_text("Name:\tx\nCapEff:\t0000000000003000\n")
    assert checks_mesh.capabilities(needed=True, status=status).level is Level.OK
    status.write_text("CapEff:\t0000000000001000\n")
    lacking = checks_mesh.capabilities(needed=True, status=status)
    assert (lacking.level, lacking.what) == (Level.FAIL, "without CAP_NET_RAW")
    assert checks_mesh.capabilities(needed=False, status=status).level is Level.WARN
    assert checks_mesh.capabilities(needed=True, status=tmp_path / "none").level is Level.WARN


def port(name="v1", **changes):
    fields = {"mtu": 1560, "attached": True, "active": True, "primary": False, **changes}
    return Interface(name, 1, "02:00:00:00:00:01", True, **fields)


def test_mtu():
    assert checks_mesh.mtu([port(), port("d", mtu=1500, dummy=True)]).level is Level.OK
    small = checks_mesh.mtu([port(mtu=1500), port("v2", mtu=1400, attached=False)])
    assert (small.level, small.what) == (Level.WARN, "v1 has MTU 1500")
    assert "ip link set v1 mtu 1560" in small.mend
    assert checks_mesh.mtu([port(attached=False)]).level is Level.FAIL


def test_the_inventory_is_compared_with_the_kernel():
    declared = [{"name": "v1", "mac": "02:00:00:00:00:01"}, {"name": "v2", "mac": "02:00:00:00:00:02"}]
    mesh = MeshSettings(node="roof", inventory=[{"name": "roof", "ip": "10.9.0.1", "interfaces": declared}])
    same = Interface("v2", 2, "02:00:00:00:00:02", True, mtu=1560, attached=True, active=True, primary=False)
    assert checks_mesh.inventory(mesh, [port(), same], "10.9.0.1").level is Level.OK
    found = checks_mesh.inventory(mesh, [port("v2"), port("v3"), port("v4", attached=False)], "")
    assert found.what == (
        "its address on the mesh is none, declared is 10.9.0.1; v1 is declared, but not here; "
        "v2 has MAC 02:00:00:00:00:01, declared is 02:00:00:00:00:02; "
        "v3 is attached, but not declared"
    )
    assert (found.level, "x0t config node" in found.mend) == (Level.FAIL, True)
    assert checks_mesh.inventory(MeshSettings(node="barn"), [], "").what == "barn is not declared"


def test_hellos_need_a_link_local_address(tmp_path):
    table = tmp_path / "if_inet6"
    table.write_text(
        "fe800000000000000000000000000001 02 40 20 80       v1\n00000000000000000000000000000001 01 80 10 80       lo\n"
    )
    assert checks_mesh.hellos([port(), port("d", dummy=True), port("v3", attached=False)], table).level is Level.OK
    mute = checks_mesh.hellos([port(), port("v2")], table)
    assert (mute.level, mute.mend) == (Level.FAIL, "sysctl -w net.ipv6.conf.v2.disable_ipv6=0")
    assert "v1, v2" in checks_mesh.hellos([port(), port("v2")], tmp_path / "none").what


def test_primary_and_loop_avoidance():
    assert checks_mesh.primary([port(primary=True), port("v2")]).level is Level.WARN
    assert checks_mesh.primary([port(primary=True)]).level is Level.OK
    assert checks_mesh.primary([port("d", primary=True, dummy=True), port()]).level is Level.OK
    options = Mesh("bat0", "BATMAN_IV", "02:00:00:00:00:01", 1000, 15, "off", True, False)
    assert checks_mesh.loop_avoidance(options).mend == "batctl bridge_loop_avoidance 0"


def test_the_lab():
    assert "run scripts/install-lab.sh" in checks_mesh.lab("no qemu: run scripts/install-lab.sh").what
    assert "in a guest" in checks_mesh.lab("").what


def test_the_command_lists_everything_and_ends_well_without_a_controller(capsys):
    assert cli.run(["doctor", "--json"]) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    found = {row["check"]: row["level"] for row in told["items"]}
    assert told["ok"] is True
    assert found["controller"] == "warn"
    assert found["settings"] == found["store"] == found["disk"] == "ok"
    assert cli.run(["doctor"]) == Exit.OK
    assert "start one: x0t run" in capsys.readouterr().out


def test_wrong_settings_are_a_finding_not_the_end(capsys, tmp_path):
    (tmp_path / "x0tta6bl4.toml").write_text("[apo]\nport = 1\n")
    assert cli.run(["doctor", "--json"]) == Exit.FAILED
    rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)["items"]}
    assert rows["settings"]["level"] == "fail"
    assert rows["settings"]["what"].startswith("apo: got")
