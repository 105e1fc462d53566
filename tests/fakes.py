"""Public fakes: ports with the meaning of the real thing and none of its waiting. Tests drive time by hand."""

from collections import deque
from dataclasses import replace

import numpy as np

from x0tta6bl4.errors import Permanent, StoreError
from x0tta6bl4.mape_k.analyzer import Analyzer
from x0tta6bl4.mape_k.baseline import Baseline
from x0tta6bl4.mape_k.columns import Columns
from x0tta6bl4.mape_k.detection import Detection
from x0tta6bl4.mape_k.graph import Graph
from x0tta6bl4.mape_k.guards import Limits, Situation
from x0tta6bl4.mape_k.knowledge import Knowledge
from x0tta6bl4.mape_k.memory import MemoryStore
from x0tta6bl4.mape_k.state import State
from x0tta6bl4.mape_k.symptoms import Symptoms
from x0tta6bl4.model import Did, Layout, Observation, Outcome
from x0tta6bl4.network import names
from x0tta6bl4.network.catalog import mesh_catalog
from x0tta6bl4.network.kernel import Interface, Mesh
from x0tta6bl4.network.wire import Datagram
from x0tta6bl4.ports import Proof


class ManualClock:
    """A clock that a test sets."""

    def __init__(self, at=0.0):
        self.at = at

    def now(self):
        return self.at

    def utc(self):
        return 1_800_000_000.0 + self.at


def counted(prefix="id"):
    """A source of ids: prefix1, prefix2, ..."""
    numbers = iter(range(1, 1_000_000))
    return lambda: f"{prefix}{next(numbers)}"


class HeldWorker:
    """A worker whose calls end when the test says so: `release(lane)` runs what is in flight there."""

    def __init__(self):
        self.flying = {}
        self.done = deque()

    def start(self, lane, tag, call):
        if lane in self.flying:
            return False
        self.flying[lane] = (tag, call)
        return True

    def release(self, lane):
        tag, call = self.flying.pop(lane)
        try:
            result = call()
        except Exception as error:  # noqa: BLE001  # a worker's law: exceptions are results
            result = error
        self.done.append((lane, tag, result))

    def finished(self):
        done, self.done = self.done, deque()
        return done


class RecordingActuator:
    """An actuator over a dictionary: what it was asked, and what it answers when a test scripts it.

    answers: verb -> Outcome.did or an exception to raise; `on` holds the ids that are applied.
    """

    def __init__(self, kinds):
        self.kinds = frozenset(kinds)
        self.calls = []
        self.on = {}
        self.confirmed = set()
        self.answers = {}

    def _scripted(self, verb, order_id):
        self.calls.append((verb, order_id))
        answer = self.answers.get(verb)
        if isinstance(answer, Exception):
            raise answer
        return None if answer is None else Outcome(order_id, answer, f"scripted {answer.value}")

    def apply(self, order):
        scripted = self._scripted("apply", order.id)
        if scripted is None:
            self.on[order.id] = order
        return scripted or Outcome(order.id, Did.DONE, "", {"was": 1.0})

    def confirm(self, order_id):
        scripted = self._scripted("confirm", order_id)
        if scripted is None and order_id not in self.on:
            return Outcome(order_id, Did.REFUSED, "not applied")
        self.confirmed.add(order_id)
        return scripted or Outcome(order_id, Did.DONE)

    def undo(self, order_id):
        scripted = self._scripted("undo", order_id)
        if scripted is None and order_id not in self.on:
            return Outcome(order_id, Did.REFUSED, "unknown")
        if scripted is None:
            del self.on[order_id]
        return scripted or Outcome(order_id, Did.UNDONE)

    def resolve(self, order):
        scripted = self._scripted("resolve", order.id)
        return scripted or Outcome(order.id, Did.DONE if order.id in self.on else Did.UNDONE)

    def asked(self, verb):
        return [order_id for what, order_id in self.calls if what == verb]


class ScriptedProber:
    """A prober whose verdict is the attribute `well`: True, False or None; `share` of probes answered, by key."""

    def __init__(self, well=None):
        self.well = well
        self.share = {}
        self.watched = {}

    def watch(self, key, targets, now):
        self.watched.setdefault(key, tuple(targets))

    def verdict(self, key, since, now):
        return Proof(self.well, 10, f"scripted {self.well}", self.share.get(key))

    def forget(self, key):
        self.watched.pop(key, None)


class ScriptedSensor:
    """Answers with `values` ([components, metrics]); raises `failure` where one is set."""

    def __init__(self, name, layout, values):
        self.name, self.layout = name, layout
        self.values = np.array(values, np.float32)
        self.failure = None

    def read(self, now):
        if self.failure is not None:
            raise self.failure
        return Observation(self.name, now, self.layout, self.values.copy())


class FullDiskStore(MemoryStore):
    """A store that refuses while `full`; it counts what it was asked to keep."""

    def __init__(self, origin=""):
        super().__init__(origin)
        self.full = False
        self.tries = 0

    def commit(self, **batch):
        self.tries += 1
        if self.full:
            raise StoreError("store: disk is full")
        super().commit(**batch)


class FakeKernel:
    """One node's kernel in memory. `refuse` (an exception) is raised by every call while it is set."""

    def __init__(self, interfaces=("v1", "v2")):
        self.table = {
            name: Interface(
                name=name,
                index=i,
                mac=f"02:00:00:00:00:{i:02x}",
                up=True,
                mtu=1560,
                attached=True,
                active=True,
                primary=i == 1,
                hop_penalty=15,
                throughput_override_kbit=0,
            )
            for i, name in enumerate(interfaces, 1)
        }
        self.options = Mesh("bat0", "BATMAN_IV", "02:00:00:00:00:01", 1000, 30, "off", False, False)
        self.near, self.far = [], []
        self.services = []
        self.refuse = None
        self.writes = 0

    def _call(self):
        if self.refuse is not None:
            raise self.refuse

    def _write(self, name, **changes):
        self._call()
        self.writes += 1
        if name not in self.table:
            raise Permanent(f"no interface {name}")
        self.table[name] = replace(self.table[name], **changes)

    def state(self):
        """All that an undo must restore."""
        return (dict(self.table), self.options)

    def boot_id(self):
        return "boot-1"

    def mesh(self):
        self._call()
        return self.options

    def interfaces(self):
        self._call()
        return list(self.table.values())

    def neighbours(self):
        self._call()
        return list(self.near)

    def originators(self):
        self._call()
        return list(self.far)

    def changed(self):
        return False

    def attach(self, interface):
        if not self.table[interface].attached:  # attached anew, it has the defaults
            self._write(interface, attached=True, active=True, hop_penalty=15, throughput_override_kbit=0)

    def detach(self, interface):
        self._write(interface, attached=False, active=False, hop_penalty=None, throughput_override_kbit=None)

    def stand_in(self, interface, on):
        if on:
            self.detach(interface)
        else:
            self.attach(interface)

    def set_up(self, interface, up):
        self._write(interface, up=up)

    def set_mtu(self, interface, mtu):
        self._write(interface, mtu=mtu)

    def set_hardif(self, interface, option, value):
        if interface in self.table and not self.table[interface].attached:
            raise Permanent(f"{interface} is no hard interface of the mesh")
        self._write(interface, **{option: value})

    def set_mesh(self, option, value):
        self._call()
        self.writes += 1
        self.options = replace(self.options, **{option: value})

    def block(self, interface, mac, on):
        blocked = self.table[interface].blocked
        self._write(interface, blocked=blocked | {mac} if on else blocked - {mac})

    def restart_service(self, name):
        self._call()
        self.services.append(name)


class FakeWire:
    """One node's wire; what it sent is in `sent`, what a test puts in `inbox` arrives."""

    def __init__(self):
        self.sent = []
        self.inbox = []

    def send_link(self, interface, to, payload):
        self.sent.append(("link", interface, to, payload))

    def echo(self, interface, to, payload):
        self.sent.append(("echo", interface, to, payload))

    def send_mesh(self, node, payload):
        self.sent.append(("mesh", "", node, payload))

    def receive(self):
        arrived, self.inbox = self.inbox, []
        return arrived

    def mac_of(self, source):
        return ""

    def taken(self, how):
        """What was sent in one way since the last question."""
        found = [entry for entry in self.sent if entry[0] == how]
        self.sent = [entry for entry in self.sent if entry[0] != how]
        return found


def link_hello(payload, at, interface="v1", source="fe80::2", *, echo=False):
    """A datagram beside the mesh."""
    return Datagram(at, interface, source, payload, echo)


class MeshRig:
    """The controller's analysis over a mesh whose readings a test sets: columns to incidents, nothing acted.

    links: "n1-n2 n2-n3". A reading is a number, None (nobody measures it), or `since(t)`: milliseconds since t.
    """

    LINK = ("silence_ms", "hello_silence_ms", "loss_ratio", "rtt_ms", "large_silence_ms")
    INTERFACE = ("up", "attached", "mtu_bytes", "mtu_short_bytes")
    METRICS = (*LINK, *INTERFACE, "report_age_ms")

    def __init__(self, links, seat="n1", hold_down_s=10.0, patience=1.0):
        self.catalog = mesh_catalog(None)
        self.columns, self.graph = Columns(self.catalog), Graph()
        self.detection = {kind: Detection(Baseline(table)) for kind, table in self.columns.tables.items()}
        self.symptoms = Symptoms(self.catalog, self.columns, self.detection)
        self.analyzer = Analyzer(self.catalog, self.graph, self.symptoms, names.node(seat))
        self.analyzer.patience = patience
        self.state = State(self.catalog, self.columns, self.graph, self.symptoms)
        self.knowledge = Knowledge(
            self.catalog, self.graph, self.analyzer, origin="c", new_id=counted("i"), hold_down_s=hold_down_s
        )
        self.readings = {}
        edges = []
        for a, b in (pair.split("-") for pair in links.split()):
            for one, other in ((a, b), (b, a)):
                ends = (one, f"v{one[1:]}-{other[1:]}", other, f"v{other[1:]}-{one[1:]}")
                edges.extend(names.link_edges(*ends))
                self.readings[names.link(*ends)] = dict(zip(self.LINK, (10.0, 10.0, 0.0, 2.0, 100.0), strict=True))
                self.readings[names.interface(*ends[:2])] = dict(zip(self.INTERFACE, (1, 1, 1560, 0), strict=True))
                self.readings[names.node(one)] = {"report_age_ms": 100.0}
        self.layout = Layout(tuple(self.readings), self.METRICS, tuple(edges))
        self.active = ()
        self.busy = frozenset()
        self.now = 0.0
        self.changes = []

    @staticmethod
    def link(a, b):
        return names.link(a, f"v{a[1:]}-{b[1:]}", b, f"v{b[1:]}-{a[1:]}")

    @staticmethod
    def pair(a, b):
        return names.adjacency(a, f"v{a[1:]}-{b[1:]}", b, f"v{b[1:]}-{a[1:]}")

    @staticmethod
    def since(t):
        return lambda now: (now - t) * 1000

    def set(self, component, **readings):
        self.readings[component].update(readings)

    def silence(self, a, b, t):
        """Nothing comes over a > b since t."""
        clock = None if t is None else self.since(t)
        self.set(self.link(a, b), silence_ms=clock, hello_silence_ms=clock, large_silence_ms=None, rtt_ms=None)

    def heal(self, a, b):
        self.set(self.link(a, b), silence_ms=10.0, hello_silence_ms=10.0, large_silence_ms=100.0, rtt_ms=2.0)

    def neighbours(self, node):
        return [
            c.name.split(">")[1].split(":")[0] for c in self.readings if c.name.startswith(f"{node}:") and ">" in c.name
        ]

    def kill(self, node, t):
        """The node dies: its neighbours hear nothing, nobody knows how it hears, no report comes."""
        for other in self.neighbours(node):
            self.silence(node, other, t)
            self.set(self.link(other, node), **dict.fromkeys(self.LINK))
        self.set(names.node(node), report_age_ms=self.since(t))

    def _value(self, reading):
        return np.nan if reading is None else reading(self.now) if callable(reading) else reading

    def step(self, now):
        """One pass; returns the changes of incidents."""
        self.now = now
        rows = [[self._value(self.readings[c].get(m)) for m in self.METRICS] for c in self.layout.components]
        self.graph.learn(self.layout)
        self.columns.fold(Observation("rig", now, self.layout, np.array(rows, np.float32)))
        for detection in self.detection.values():
            detection.learn(now)
        found = self.symptoms.update(now)
        expected = self.knowledge.expected(now)
        self.active = tuple(s for s in found if s.component not in expected)
        free = self.knowledge.free(self.active, now)
        self.analyzer.see(self.active)
        diagnoses = self.analyzer.diagnose(self.active, free, now) if free else ()
        changes = self.knowledge.track(diagnoses, self.active, self.busy, now, 0.0)
        self.changes += changes
        return changes

    def run(self, start, end, every=0.1):
        """Passes from start to end; returns all changes."""
        changes = []
        for i in range(round((end - start) / every) + 1):
            changes += self.step(start + i * every)
        return changes

    def verdicts(self):
        """What is open, as "CODE COMPONENT"."""
        return sorted(f"{i.cause.code} {i.cause.component}" for i in self.knowledge.open.values())

    def situation(self, limits=None, recent=(), avoided=()):
        """What guards look at."""
        return State(self.catalog, self.columns, self.graph, self.symptoms).situation(
            self.now, limits or Limits(), recent=recent, avoided=avoided, seat=self.analyzer.seat
        )


def plain_situation(now=100.0, limits=None, *, live=None, ends=None, recent=(), age_s=0.0):
    """A situation made by hand. live: {vertex: {vertices}}, ends: {link: (vertex, vertex)}."""
    return Situation(
        now=now,
        limits=limits or Limits(),
        live=live or {},
        ends=(ends or {}).get,
        recent=tuple(recent),
        age_s=lambda component: age_s,
    )
