"""Iterations made by hand for the tests of their readers."""

from x0tta6bl4.core.view import ClientView, FaultView, InterfaceView, LinkView, MeshView, NodeView
from x0tta6bl4.errors import ConfigError
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
    Risk,
    Severity,
    Symptom,
)

LINK = Component("adjacency", "n1:v1-2<>n2:v2-1")
SYMPTOM = Symptom("hello-loss", LINK, 9.5, 0.41, 0.05, "loss_ratio", Severity.MAJOR)
CAUSE = Cause("link-lossy", LINK, 0.9, (SYMPTOM,), detail="both ends miss hellos")
OTHER = Cause("link-down", LINK, 0.1, (SYMPTOM,))


def incident(ident="i1", state=IncidentState.OPEN, closed_at=None, cause=CAUSE):
    return Incident(
        ident, "controller", 1, 10.0, Diagnosis((cause, OTHER), 10.0), state, since=9.5, closed_at=closed_at
    )


def action(state=ActionState.APPLIED, ident="a1", lease=False, detail=""):
    return ActionRecord(
        ident, "i1", 1, Action("set_hop_penalty", LINK, {"value": 200.0}), state, 10.2, 10.1, lease=lease, detail=detail
    )


def plan():
    chosen = Action("set_hop_penalty", LINK, {"value": 200.0})
    candidates = (
        Candidate(chosen, 0.8, 0.1, 0.9, 10),
        Candidate(Action("detach", LINK), 0.4, 0.5, 0.5, 2, "cut-vertex", "would part the mesh"),
    )
    return Plan("p1", "i1", 10.1, candidates, (chosen,), 0.9, {"loss": 0.41}, 1)


def event(seq=1, what="incident.opened", /, **data):
    return Event(seq, 10.0, "controller", what, "i1", str(LINK), data or {"code": "link-lossy"})


def iteration(
    number=1, at=10.5, *, incidents=(), actions=(), plans=(), events=(), risks=(), symptoms=(), errors=None, late=()
):
    phases = {"monitor": 0.001}
    return Iteration(
        number, at, 120, errors or {}, (), symptoms, incidents, risks, plans, actions, events, phases, late
    )


RISK = Risk("fragile-primary", Component("node", "n3"), "n3 hangs on one interface", "add a dummy", "v3-2 is primary")


def view(at=10.5):
    nodes = (
        NodeView("n1", "well", 0.1, (InterfaceView("v1-2", True, True, True, 1560),)),
        NodeView("n2", "suspect", 0.2),
        NodeView("n3", "unknown"),
    )
    links = (
        LinkView("n1", "n2", "v1-2", "suspect", 0.41, 1.5, 0.6),
        LinkView("n2", "n1", "v2-1", "avoided", float("nan"), None),
    )
    clients = (ClientView("n1", "n2", False, 0.4, 2.0), ClientView("n1", "n3", None))
    faults = (FaultView("f1", "link-loss", str(LINK), 1.0, 9.0),)
    return MeshView(at, "sim", "BATMAN_IV", "n1", nodes, links, clients, faults)


def troubled(number=1, at=10.5):
    """A pass in which an incident opened and a first action was applied."""
    return iteration(
        number,
        at,
        incidents=(incident(),),
        actions=(action(),),
        plans=(plan(),),
        events=(event(), event(2, "action.applied", kind="set_hop_penalty", target=str(LINK), state="applied")),
        risks=(RISK,),
        symptoms=(SYMPTOM,),
        errors={"netlink": "timed out"},
    )


class Canned:
    """A source that publishes one pass and then nothing."""

    title = "hand-made mesh"

    def __init__(self, failure=""):
        self.running = False
        self.told = failure

    def start(self, publisher):
        self.running = True
        publisher.publish(troubled(), view())

    def stop(self):
        self.running = False

    def failure(self):
        return self.told


class CannedLab(Canned):
    """A source of the lab: it remembers the faults it was asked for."""

    def __init__(self):
        super().__init__()
        self.injected = []

    def inject(self, kind, target, for_s, parameters):
        if kind != "link-loss":
            raise ConfigError("kind", kind, "link-loss")
        self.injected.append((kind, target, for_s, dict(parameters)))
        return f"f{len(self.injected)}"

    def end(self, fault):
        return fault in [f"f{number}" for number in range(1, len(self.injected) + 1)]
