"""Plugins: the built-in parts come in by the door that strangers use, and nobody comes in halfway."""

import asyncio
import os
import re
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from fakes import ManualClock
from hand_made import troubled, view
from x0tta6bl4.catalog import Scope
from x0tta6bl4.core import app, plugins, wiring
from x0tta6bl4.core.agent import Agent, AgentSettings
from x0tta6bl4.core.machine import MachineSource
from x0tta6bl4.core.plugins import Plugins, Site, load
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.state import State
from x0tta6bl4.core.store.ids import Ids
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.lab import scenarios
from x0tta6bl4.lab.sim import Simulation
from x0tta6bl4.mape_k.baseline import Baseline
from x0tta6bl4.mape_k.columns import Table
from x0tta6bl4.mape_k.detection import Detection
from x0tta6bl4.mape_k.guards import RULES, refusal
from x0tta6bl4.mape_k.inline import InlineWorker
from x0tta6bl4.mape_k.memory import MemoryStore
from x0tta6bl4.mape_k.planner import SuccessRanker
from x0tta6bl4.model import Component
from x0tta6bl4.network import names
from x0tta6bl4.network.catalog import mesh_catalog
from x0tta6bl4.network.changes import KINDS
from x0tta6bl4.testing import candidates, catalogue_laws, guard_laws, proposal, ranker_laws, situation

HEAT = Path(__file__).resolve().parents[3] / "examples" / "x0t-plugin-heat"
NODE = Site("n1", Scope.NODE, ManualClock())
MESH = Site("controller", Scope.MESH, ManualClock())
EXAMPLES = {
    "node": names.node("n1"),
    "interface": names.interface("n1", "v1"),
    "link": names.link("n1", "v1", "n2", "v2"),
    "adjacency": names.adjacency("n1", "v1", "n2", "v2"),
}


class Shelf:
    """A folder of installed packages; each module is one string."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        monkeypatch.syspath_prepend(folder)

    def put(self, package, points, source=None):
        """points: {"guards": {"name": "module:attribute"}}; the source becomes a module named like the package."""
        told = self.folder / f"{package.replace('-', '_')}-1.0.dist-info"
        told.mkdir()
        (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [
            line
            for group, named in points.items()
            for line in (f"[{group}]", *(f"{name} = {value}" for name, value in named.items()))
        ]
        (told / "entry_points.txt").write_text("\n".join(lines) + "\n")
        if source is not None:
            (self.folder / f"{package.replace('-', '_')}.py").write_text(source)
        return package


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    folder = tmp_path / "packages"
    folder.mkdir()
    made = Shelf(folder, monkeypatch)
    yield made
    for file in folder.glob("*.py"):
        sys.modules.pop(file.stem, None)


@pytest.fixture
def heat(shelf, monkeypatch):
    """The example as if it were installed: its own pyproject.toml says what its entry points are."""
    project = tomllib.loads((HEAT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    monkeypatch.syspath_prepend(HEAT / "src")
    yield shelf.put(project["name"], project["entry-points"])
    sys.modules.pop("x0t_plugin_heat", None)


def test_the_built_in_parts_come_in_by_the_same_door():
    loaded = load([])
    assert loaded.names == ("x0tta6bl4",)
    for site, own in ((NODE, "n1"), (MESH, None)):
        plugged = loaded.at(site)
        assert plugged.rules == RULES
        assert isinstance(plugged.ranker, SuccessRanker)
        assert plugged.catalog.metrics == mesh_catalog(own).metrics
        assert plugged.catalog.causes == mesh_catalog(own).causes
        assert plugged.catalog.remedies.keys() == mesh_catalog(own).remedies.keys()
        assert (plugged.sensors, plugged.actuators, plugged.retrievers) == ((), (), {})
        assert not any(plugged.detectors.values())
    assert loaded.notifiers() == ()


def test_the_built_in_parts_keep_the_laws():
    for rule in RULES:
        guard_laws(rule)
    ranker_laws(lambda: plugins.success(MESH))
    for site in (NODE, MESH):
        catalogue_laws(lambda site=site: plugins.mesh(site), EXAMPLES.get)


def test_what_is_not_enabled_is_not_even_imported(shelf):
    shelf.put("x0t-loud", {"x0tta6bl4.guards": {"g": "x0t_loud:RULES"}}, "raise RuntimeError('imported')")
    assert load([]).names == ("x0tta6bl4",)


def test_an_enabled_plugin_adds_to_every_loop(heat):
    loaded = load([heat])
    assert loaded.names == ("x0tta6bl4", "x0t-plugin-heat")
    node, mesh = loaded.at(NODE), loaded.at(MESH)
    assert [sensor.name for sensor in node.sensors] == ["heat"]
    assert mesh.sensors == ()
    assert [rule.__name__ for rule in node.rules] == [*(rule.__name__ for rule in RULES), "too_hot"]
    assert "node-hot" in node.catalog.symptom
    assert ("node-overheated", "node") in mesh.catalog.cause
    assert mesh.catalog.partition == "partition"
    assert mesh.catalog.carries is not None


ALL_OF_THEM = """
class Told:
    name = "told"
    def __init__(self, *site): self.site = site
    def score(self, values, now): return values
    def learn(self, values, mask, now): pass
    def rank(self, candidates, context): return candidates
    async def retrieve_context(self, query, k, threshold): return []
    def send(self, event): pass
    kinds = frozenset({"fan"})
    def apply(self, order): pass
    confirm = undo = resolve = apply
    def read(self, now): pass
"""


def test_every_group_takes_a_part(shelf):
    groups = ("sensors", "detectors", "rankers", "retrievers", "actuators", "notifiers")
    points = {f"x0tta6bl4.{group}": {"told": "x0t_all:Told"} for group in groups}
    loaded = load([shelf.put("x0t-all", points, ALL_OF_THEM)])
    plugged = loaded.at(NODE)
    parts = (*plugged.sensors, *plugged.retrievers.values(), *plugged.actuators)
    assert [part.site for part in parts] == [(NODE,)] * 3
    assert list(plugged.retrievers) == ["x0t-all/told"]
    (detector,) = plugged.detectors["link"]
    assert detector.name == "told"
    assert not isinstance(plugged.ranker, SuccessRanker)
    ranker_laws(lambda: plugged.ranker)
    assert [notifier.site for notifier in loaded.notifiers()] == [()]


DETECTOR = """
import numpy as np
class Odd:
    name = "odd/1"
    def __init__(self, site):
        assert (site.kind, site.metrics) == ("link", ("rtt_ms",))
    def score(self, values, now):
        if now > 5: raise RuntimeError("lost the thread")
        if now > 3: return values * 0 + 7
        return np.nan_to_num((values == 13) * 0.9)
    def learn(self, values, mask, now):
        values[:] = 0  # it is not given them to write on
"""


def test_a_detector_judges_beside_the_baseline_and_cannot_stop_it(shelf, caplog):
    plugged = load([shelf.put("x0t-odd", {"x0tta6bl4.detectors": {"odd": "x0t_odd:Odd"}}, DETECTOR)]).at(NODE)
    table = Table("link", [metric for metric in plugged.catalog.metrics if metric.kind == "link"])
    detection = Detection(Baseline(table), plugged.detectors["link"])
    for name in ("a", "b"):
        table.add(Component("link", name))
    row, found = table.row["rtt_ms"], {}
    for now in range(7):
        table.values[row, :2], table.at[row, :2] = (13.0, 2.0), float(now)
        detection.learn(float(now))
        found[now] = [(one.component.name, one.detector) for one in detection.anomalies(float(now))]
    assert found[2] == [("a", "odd/1")]
    assert found[4] == found[6] == []
    assert detection.score("rtt_ms").tolist() == [0.0, 0.0]
    for why in ("read-only", "answered", "lost the thread"):
        assert len([line for line in caplog.messages if why in line]) == 1, why


def test_two_detectors_of_one_name_stop_the_start(shelf):
    points = {"x0tta6bl4.detectors": {"odd": "x0t_odd:Odd", "again": "x0t_odd:Odd"}}
    loaded = load([shelf.put("x0t-odd", points, DETECTOR)])
    with pytest.raises(ConfigError, match="'odd/1' is taken"):
        loaded.at(NODE)


def use(loaded: Plugins):
    """Everything that a start does with plugins."""
    for site in (NODE, MESH):
        loaded.at(site, sensors=("kernel", "hellos"), kinds=KINDS)
    loaded.notifiers()


CATALOG = "from x0tta6bl4.catalog import *\nfrom x0tta6bl4.model import *\ndef f(site):\n    return "
PART = (
    "class P:\n    name = 'p'\n    apply = confirm = undo = resolve = read = __init__ = lambda self, one: None\n"
    "    kinds = frozenset({'fan'})\n    "
)
REFUSED = [
    ("sensors", "m", "", "has no attribute"),
    ("sensors", "m:f", "f = 3", "a function or class"),
    ("sensors", "m:f", "import no_such_module_here", "something that can be imported (ModuleNotFoundError"),
    ("sensors", "m:f", "raise ValueError('boom')", "something that can be imported (ValueError: boom)"),
    ("sensors", "m:f", "def f(site): raise OSError('no bus')", "a factory that works (OSError: no bus)"),
    ("sensors", "m:f", "def f(): pass", "a factory that works (TypeError"),
    ("sensors", "m:f", "def f(site): return object()", "not empty 'name'"),
    ("sensors", "m:P", PART + "name = ''", "not empty 'name'"),
    ("sensors", "m:P", PART + "name = 'kernel'", "taken by x0tta6bl4"),
    ("actuators", "m:P", PART + "kinds = {'fan'}", "frozenset that is not empty 'kinds'"),
    ("actuators", "m:P", PART + "kinds = frozenset({'restore-mtu'})", "'restore-mtu' is taken"),
    ("detectors", "m:f", "class f:\n    name = 'd'\n    __init__ = lambda s, site: None", "a method 'score'"),
    ("rankers", "m:f", "def f(site): return None", "a method 'rank'"),
    ("retrievers", "m:f", "def f(site): return 1", "a method 'retrieve_context'"),
    ("notifiers", "m:f", "class f:\n    name = 'n'", "a method 'send'"),
    ("notifiers", "m:f", "def f(site): pass", "a factory that works (TypeError"),
    ("guards", "m:f", "def f(proposal, kind, view): return ''", "a tuple of rules"),
    ("guards", "m:f", "def fresh(proposal, kind, view): return ''\nf = (fresh,)", "'fresh' is taken by x0tta6bl4"),
    ("catalogues", "m:f", "def f(site): return {}", "a function that gives a Catalog, not dict"),
    ("catalogues", "m:f", CATALOG + "Catalog('c', (Metric('node', 'uptime_s', 't'),), (), (), ())", "node.uptime_s"),
    ("catalogues", "m:f", CATALOG + "Catalog('c', (), (), (), (ActionKind('restore-mtu', 'x', 't', 0),))", "actions"),
    ("catalogues", "m:f", CATALOG + "Catalog('c', (), (), (), (), partition='p')", "catalog.c.partition"),
    ("catalogues", "m:f", CATALOG + "Catalog('c', (), (), (), (), {'link-lossy': None})", "catalog.c.remedies"),
    ("catalogues", "m:f", CATALOG + "Catalog('c', (), (SymptomRule('s', 'n', 'm', 't', 1, 0),), (), ())", "declared"),
    ("sensor", "m:f", "f = print", "entry points in x0tta6bl4.sensors, "),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0]}: {case[3]}")
def test_one_that_is_wrong_stops_the_start_with_its_reason(shelf, heat, case):
    group, value, source, why = case
    module = "x0t_bad"
    named = value.replace("m:", f"{module}:") if ":" in value else f"{module}:nothing"
    bad = shelf.put("x0t-bad", {f"x0tta6bl4.{group}": {"mine": named}}, source)
    with pytest.raises(ConfigError) as told:
        use(load([heat, bad]))
    text = str(told.value)
    assert text.startswith(f"plugins.enabled: got 'x0t-bad: mine = {named}', allowed: ")
    assert why in text
    assert "\n" not in text
    use(load([heat]))  # without it all is well


FAILING = """
from x0tta6bl4.catalog import Catalog, CauseRule, Expect, Metric, Mode, SymptomRule

def raises(proposal, kind, view):
    raise KeyError("temperature_c")

def silent(proposal, kind, view):
    return None

RULES = (raises, silent)

class Drops:
    def __init__(self, site): pass
    def rank(self, candidates, context): return candidates[1:]

def catalogue(site):
    return Catalog(
        "c", (Metric("node", "x", "x"),), (SymptomRule("x-high", "node", "x", "x is high", 2, 1),),
        (CauseRule("x-broken", "node", "x broke", (Expect("x-high", Mode.MUST),), 0.5),), (),
        {"x-broken": lambda cause, view: 1 / 0},
    )
"""


def test_a_plugin_that_fails_while_it_runs_refuses_and_stops_nothing(shelf, caplog):
    points = {
        "x0tta6bl4.guards": {"g": "x0t_fails:RULES"},
        "x0tta6bl4.rankers": {"r": "x0t_fails:Drops"},
        "x0tta6bl4.catalogues": {"c": "x0t_fails:catalogue"},
    }
    plugged = load([shelf.put("x0t-fails", points, FAILING)]).at(MESH)
    raises, silent = plugged.rules[-2:]
    for _ in range(3):
        assert refusal(*proposal(), situation(), (raises,)) == "raises: it raised KeyError: 'temperature_c'"
        assert refusal(*proposal(), situation(), (silent,)) == "silent: it answered None"
        offered = candidates()
        assert plugged.ranker.rank(offered, {}) == offered
        assert plugged.catalog.remedies["x-broken"](None, None) == ()
    assert len(caplog.records) == 4  # once for each reason
    assert "plugin x0t-fails: raises raised KeyError: 'temperature_c'" in caplog.text


def test_two_plugins_with_one_name_are_told_apart_by_their_packages(shelf):
    source = "def mine(proposal, kind, view):\n    return ''\nRULES = (mine,)"
    both = [shelf.put(f"x0t-{n}", {"x0tta6bl4.guards": {n: f"x0t_{n}:RULES"}}, source) for n in ("one", "two")]
    with pytest.raises(ConfigError, match=r"x0t-two: two = .*'mine' is taken by x0t-one"):
        load(both)
    source = "class R:\n    def __init__(self, site): pass\n    def rank(self, candidates, context): return candidates"
    both = [shelf.put(f"x0t-r{n}", {"x0tta6bl4.rankers": {n: f"x0t_r{n}:R"}}, source) for n in ("a", "b")]
    with pytest.raises(ConfigError, match="one ranker: x0t-ra brings one too"):
        load(both).at(MESH)


def test_a_package_that_is_not_there_or_brings_nothing_is_refused(shelf):
    with pytest.raises(ConfigError, match=r"'x0t-nowhere'.*is not installed"):
        load(["x0t-nowhere"])
    with pytest.raises(ConfigError, match=r"'x0t-empty'.*no entry point of ours"):
        load([shelf.put("x0t-empty", {"console_scripts": {"x": "os:getcwd"}})])


def test_an_installation_without_its_own_guards_does_not_start(shelf):
    shelf.put("x0tta6bl4", {"x0tta6bl4.rankers": {"success": "x0tta6bl4.core.plugins:success"}})
    with pytest.raises(ConfigError, match="its own guards: install the package again"):
        load([], [str(shelf.folder)])


def test_the_machine_and_the_application_start_nothing_with_a_wrong_plugin(tmp_path):
    nodes = [{"name": "n1", "ip": "10.9.0.1", "interfaces": [{"name": "v1", "mac": "02:00:00:00:00:01"}]}]
    settings = Settings(
        mesh={"node": "n1", "inventory": nodes},
        store={"directory": str(tmp_path)},
        plugins={"enabled": ["x0t-nowhere"]},
    )
    with pytest.raises(ConfigError, match="x0t-nowhere"):
        MachineSource(settings)
    started, sent = [], []
    made = app.create_app(settings=settings, source=started.append)

    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        sent.append(message)

    asyncio.run(made({"type": "lifespan", "app": made}, receive, send))
    assert started == []
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert sent[0]["message"].startswith("error: plugins.enabled: got 'x0t-nowhere'")


@dataclass(frozen=True)
class Plugging(wiring.Participants):
    """The simulator's participants with a plugin in every agent, which reads a machine's files under `root`."""

    loaded: Plugins | None = None
    root: Path = Path()
    made: list[Agent] = field(default_factory=list)

    def agent(self, ports):
        import x0t_plugin_heat

        added = self.loaded.at(Site(ports.name, Scope.NODE, ports.clock), sensors=("kernel", "hellos"), kinds=KINDS)
        plugged = replace(added, sensors=(x0t_plugin_heat.HeatSensor(ports.name, self.root),))
        settings, ids = AgentSettings(limits=self.limits), Ids(ports.clock, ports.random)
        self.made.append(Agent(ports, MemoryStore(), InlineWorker(), ids, settings, plugged=plugged))
        return self.made[-1]


@pytest.mark.parametrize("degrees", [40, 95])
def test_a_plugin_takes_part_in_a_running_mesh(heat, tmp_path, degrees):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("0.50 0.40 0.30 1/99 4242\n")
    (tmp_path / "sys/class/thermal/thermal_zone0").mkdir(parents=True)
    (tmp_path / "sys/class/thermal/thermal_zone0/temp").write_text(f"{degrees}000")
    factory = Plugging(threads=False, loaded=load([heat]), root=tmp_path)
    mesh = scenarios.load("loss-40")
    sim = Simulation(mesh, 1, factory, checks=False)
    sim.run_until(mesh.timeline[0].at + 8.0)
    knowledge = [agent.loop.knowledge.open.values() for agent in factory.made]
    causes = {incident.cause.code for known in knowledge for incident in known}
    actions = [record for agent in factory.made for record in agent.loop.executor.ledger.recent]
    sim.crew.close()
    assert len(factory.made) == 6
    assert "link-lossy" in causes
    assert ("node-overheated" in causes) == (degrees == 95)
    assert any(record.applied_at is not None for record in actions) == (degrees == 40)


def test_the_example_passes_its_own_tests():
    here = Path(plugins.__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HEAT / "src"), str(here)))}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=HEAT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "11 passed" in ran.stdout


def test_an_enabled_notifier_is_told_of_what_the_loop_says(shelf):
    source = "SEEN = []\nclass Told:\n    name = 'told'\n    def send(self, event): SEEN.append(event.type)"
    enabled = shelf.put("x0t-told", {"x0tta6bl4.notifiers": {"told": "x0t_told:Told"}}, source)
    state = State(log=False, settings=Settings(plugins={"enabled": [enabled]}))
    state.open()
    state.publish(troubled(), view())
    end = time.monotonic() + 5
    labels = {"notifier": "told", "result": "sent"}
    while state.metrics.registry.get_sample_value("x0tta6bl4_notifications_total", labels) != 2:
        assert time.monotonic() < end
        time.sleep(0.01)
    state.close()
    assert sys.modules["x0t_told"].SEEN == ["incident.opened", "action.applied"]


def test_the_how_to_s_plugin_works_as_printed(shelf):
    page = (HEAT.parents[1] / "docs/how-to/write-a-plugin.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(python|toml)\n(.*?)```", page, re.DOTALL)
    source = "\n".join(text for language, text in blocks if language == "python")
    project, settings = (tomllib.loads(text) for language, text in blocks if language == "toml")
    shelf.put("x0t-uptime", project["project"]["entry-points"], source)  # its tests run when it is imported
    plugged = load(settings["plugins"]["enabled"]).at(NODE)
    assert [sensor.name for sensor in plugged.sensors] == ["uptime"]
    assert plugged.sensors[0].read(1.0).values[0, 0] > 0
    assert plugged.rules[-1].__name__ == "settling"
    for group in plugins.PROTOCOL:
        assert f"`x0tta6bl4.{group}`" in page
