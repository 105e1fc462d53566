"""Settings: every source, and a clear word for every mistake."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x0tta6bl4.core import settings
from x0tta6bl4.core.settings import Settings, load
from x0tta6bl4.errors import ConfigError


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No setting of the machine that runs the tests, no file in a usual place."""
    for name in os.environ:
        if name.startswith("X0T_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "PLACES", (tmp_path / "etc.toml", tmp_path / "x0tta6bl4.toml"))


def refused(tmp_path, text):
    path = tmp_path / "case.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    return caught.value


def test_defaults_bind_to_loopback_and_advise_only():
    found = load()
    assert (found.api.host, found.api.port) == ("127.0.0.1", 8000)
    assert found.safety.level("set_mtu") == "advise"
    assert found.safety.hold_s_max == 90


def test_environment_beats_dotenv_beats_file(tmp_path, monkeypatch):
    (tmp_path / "x0tta6bl4.toml").write_text("[api]\nport = 1\nhost = '127.0.0.9'\n[loop]\nagent_pass_s = 0.7\n")
    (tmp_path / ".env").write_text("OTHER_PROGRAM=1\nX0T_API__PORT=2\nX0T_PROBE__HELLO_INTERVAL_S=0.1\n")
    monkeypatch.setenv("X0T_API__PORT", "3")
    found = load()
    assert (found.api.port, found.api.host) == (3, "127.0.0.9")
    assert (found.loop.agent_pass_s, found.probe.hello_interval_s) == (0.7, 0.1)


def test_named_file_wins_over_usual_places(tmp_path, monkeypatch):
    (tmp_path / "x0tta6bl4.toml").write_text("[api]\nport = 1\n")
    (tmp_path / "named.toml").write_text("[api]\nport = 2\n")
    monkeypatch.setenv("X0T_CONFIG", str(tmp_path / "named.toml"))
    assert load().api.port == 2


def test_named_file_that_is_missing_is_refused(monkeypatch):
    monkeypatch.setenv("X0T_CONFIG", "/nowhere/x.toml")
    with pytest.raises(ConfigError, match=r"X0T_CONFIG: got '/nowhere/x.toml'"):
        load()


def test_autonomy_has_a_default_of_its_own(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("[safety.autonomy]\ndefault = 'approve'\nset_mtu = 'act'\n")
    safety = load(path).safety
    assert (safety.level("set_mtu"), safety.level("bounce")) == ("act", "approve")


def test_inventory_becomes_declared_nodes(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(
        "[[mesh.inventory]]\nname = 'n1'\naddress = '02:00:00:00:00:01'\n"
        "interfaces = [{name = 'v1-2', mac = '02:00:00:00:01:02', mtu = 1600}]\n"
    )
    declared = load(path).mesh.inventory[0].declared()
    assert (declared.name, declared.interfaces[0].mtu, declared.algorithm) == ("n1", 1600, "BATMAN_IV")


@pytest.mark.parametrize(
    ("text", "field", "value", "allowed"),
    [
        ("[api]\nprot = 1", "api.prot", 1, "'port'?"),
        ("[apo]\nport = 1", "apo", {"port": 1}, "'api'?"),
        ("[api]\nport = 0", "api.port", 0, "greater than or equal to 1"),
        ("[loop]\nagent_pass_s = -1", "loop.agent_pass_s", -1, "greater than 0"),
        ("[loop]\nagent_pass_s = nan", "loop.agent_pass_s", None, "a finite number"),
        ("[loop]\ntick_s = 2", "loop.tick_s", 2.0, "at most 0.05 (the shortest interval)"),
        ("[safety.autonomy]\nset_mtu = 'yes'", "safety.autonomy.set_mtu", "yes", "'act'"),
        ("[mesh]\ninterface = 'a b'", "mesh.interface", "a b", "pattern"),
        ("[mesh]\ninventory = [{name='n1'}, {name='n1'}]", "mesh.inventory", None, "name 'n1' only once"),
        ("[mesh]\ninventory = [{nam='n1'}]", "mesh.inventory.0.name", None, "required"),
        (
            "[mesh]\ninventory = [{name='n1', interfaces=[{name='a', mac='02:00:00:00:00:01', mut=1}]}]",
            "mesh.inventory.0.interfaces.0.mut",
            1,
            "'mtu'?",
        ),
    ],
)
def test_mistakes_name_field_value_and_what_is_allowed(tmp_path, text, field, value, allowed):
    error = refused(tmp_path, text)
    assert error.field == field
    assert value is None or error.value == value
    assert allowed in error.allowed


def test_broken_toml_names_the_file(tmp_path):
    error = refused(tmp_path, "[api\n")
    assert error.field.endswith("case.toml")
    assert error.allowed == "a TOML document in UTF-8"


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("X0T_APY__PORT", "1", "X0T_APY__PORT"),
        ("X0T_API__PROT", "1", "api.prot"),
        ("X0T_API__PORT", "x", "api.port"),
        ("X0T_MESH__INVENTORY", "[{", "X0T_MESH"),
        ("X0T_API", "zz", "X0T_API"),
    ],
)
def test_mistakes_in_the_environment_are_refused_too(monkeypatch, name, value, field):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load()
    assert caught.value.field == field


def test_how_a_value_was_parsed_is_not_told(monkeypatch):
    monkeypatch.setenv("X0T_API__PORT", "abc")
    with pytest.raises(ConfigError, match=r"api.port: got 'abc', allowed: a valid integer$"):
        load(dotenv=None)


def test_variables_of_the_lab_are_not_settings(monkeypatch):
    monkeypatch.setenv("X0T_LAB_DIR", "/somewhere")
    assert load().api.port == 8000


def test_limits_are_what_the_guards_take(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(
        "[safety]\nkill_switch = true\nhold_s_max = 30\n[safety.autonomy]\ndefault = 'act'\nbounce = 'observe'\n"
    )
    limits = load(path).safety.limits()
    assert (limits.kill_switch, limits.hold_s_max, limits.autonomy_default) == (True, 30, "act")
    assert dict(limits.autonomy) == {"bounce": "observe"}


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        load().api.port = 1


def test_default_places_follow_the_user(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert str(Settings().token_file) == "/state/x0tta6bl4/token"
    assert Settings().store.database == "sqlite:////state/x0tta6bl4/decisions.db"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert str(Settings().token_file) == "/var/lib/x0tta6bl4/token"


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["port", "host", "inventory", "autonomy", "name", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["api", "mesh", "safety", "loop", "zzz"]), documents, max_size=3))
def test_any_document_gives_settings_or_a_config_error(document):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "read_toml", lambda path: document)
        try:
            found = load(object(), dotenv=None)
        except ConfigError as error:
            found = error
    assert isinstance(found, Settings) or (found.field and found.allowed)
