"""A system that is no mesh: a web service that leaks or has too much to do, its catalogue and a loop beside it."""

from dataclasses import replace

import numpy as np

from fakes import ManualClock, counted
from x0tta6bl4.catalog import (
    ActionKind,
    Autonomy,
    Catalog,
    CauseRule,
    Expect,
    Metric,
    Mode,
    Proposal,
    Scope,
    SymptomRule,
)
from x0tta6bl4.mape_k.inline import InlineWorker
from x0tta6bl4.mape_k.loop import Loop
from x0tta6bl4.mape_k.memory import MemoryStore
from x0tta6bl4.mape_k.parts import Parts
from x0tta6bl4.model import (
    Action,
    Component,
    Did,
    Edge,
    Layout,
    Observation,
    Outcome,
    Relation,
    Risk,
)
from x0tta6bl4.ports import Proof

WEB, QUEUE = Component("service", "web"), Component("queue", "orders")
LAYOUT = Layout((WEB, QUEUE), ("memory_mb", "latency_ms", "waiting"), (Edge(QUEUE, Relation.PART_OF, WEB),))


def remedies(cause, view):
    if cause.code == "leak":
        return [Proposal(Action("restart", WEB), (WEB,), reason=f"uses {view.value(WEB, 'memory_mb')} MB")]
    return [Proposal(Action("shed-load", WEB, {"share": 0.5}), (WEB,), (QUEUE,), "too much to do")]


CATALOG = Catalog(
    name="web",
    metrics=(
        Metric("service", "memory_mb", "memory", 3.0, learn=True, spread_min=50.0),
        Metric("service", "latency_ms", "latency", 3.0),
        Metric("queue", "waiting", "orders that wait", 3.0),
    ),
    symptoms=(
        SymptomRule("fat", "service", "memory_mb", "too much memory", 800, 600, raise_after_s=1.0),
        SymptomRule("slow", "service", "latency_ms", "slow answers", 200, 100),
        SymptomRule("long", "queue", "waiting", "a long queue", 50, 20),
    ),
    causes=(
        CauseRule(
            "leak", "service", "it leaks", (Expect("fat", Mode.MUST), Expect("slow", Mode.MAY)), 0.6, settle_s=0.0,
        ),
        CauseRule(
            "overload", "queue", "too much to do",
            (Expect("long", Mode.MUST), Expect("slow", Mode.MAY, ("part_of",))), 0.6, settle_s=0.0,
        ),
    ),
    actions=(
        ActionKind("restart", "service", "restart", 0.3, repair=True, prove_s=5.0, autonomy=Autonomy.ACT),
        ActionKind("shed-load", "service", "answer a part of it only", 0.1, prove_s=5.0, autonomy=Autonomy.ACT),
    ),
    remedies={"leak": remedies, "overload": remedies},
    risks=(lambda view: [Risk("lone", s, "one copy", "run two", "1") for s in view.components("service")],),
)  # fmt: skip


class WebService:
    """The service itself, and every port to it: memory grows while it leaks, latency while too much is asked."""

    name = "web"
    kinds = frozenset({"restart", "shed-load"})

    def __init__(self, clock):
        self.clock = clock
        self.leaking, self.demand = False, 1.0
        self.memory, self.shed = 200.0, {}
        self.at = 0.0
        self.cures = True
        self.log = []

    def _live(self):
        now = self.clock.now()
        self.memory += (300.0 if self.leaking else 0.0) * (now - self.at)
        self.at = now

    @property
    def latency(self):
        return 400.0 if self.memory > 800 or self.demand * (0.5 if self.shed else 1.0) > 1.5 else 30.0

    def read(self, now):
        self._live()
        values = [[self.memory, self.latency, np.nan], [np.nan, np.nan, 100.0 if self.demand > 1.5 else 3.0]]
        return Observation(self.name, now, LAYOUT, np.array(values, np.float32))

    def apply(self, order):
        self.log.append((order.action.kind, order.id))
        if order.action.kind == "shed-load":
            self.shed[order.id] = order
        elif self.cures:
            self.memory, self.leaking = 200.0, False
        return Outcome(order.id, Did.DONE)

    def confirm(self, order_id):
        return Outcome(order_id, Did.DONE)

    def undo(self, order_id):
        self.log.append(("undo", order_id))
        self.shed.pop(order_id, None)
        return Outcome(order_id, Did.UNDONE)

    def resolve(self, order):
        return Outcome(order.id, Did.DONE if order.id in self.shed else Did.UNDONE)

    def watch(self, key, targets, now):
        pass

    def verdict(self, key, since, now):
        self._live()
        return Proof(None if now - since < 0.5 else self.latency < 100, 5)

    def forget(self, key):
        pass


class Bench:
    """The loop beside the service; `run` makes passes, virtual time between them."""

    def __init__(self, **changes):
        self.clock = ManualClock()
        self.web = WebService(self.clock)
        self.events = []
        self.parts = Parts(
            catalog=CATALOG,
            clock=self.clock,
            store=MemoryStore("c"),
            worker=InlineWorker(),
            prober=self.web,
            new_id=counted(),
            origin="c",
            scope=Scope.MESH,
            sensors=(self.web,),
            actuators=(self.web,),
            hold_down_s=5.0,
        )
        self.start(**changes)

    def start(self, **changes):
        self.parts = replace(self.parts, **changes)
        self.loop = Loop(self.parts, self.events.append)
        return self

    def run(self, seconds, every=0.5):
        for _ in range(round(seconds / every)):
            self.clock.at += every
            self.last = self.loop.run_once()
        return self.last

    def said(self):
        return [e.type for e in self.events]
