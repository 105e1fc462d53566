"""The controller's arm and the agents' desk: orders expire, are asked for again, and outlive the controller."""

from dataclasses import replace

from fakes import FakeKernel, ManualClock, ScriptedProber, counted
from x0tta6bl4.core import alerts
from x0tta6bl4.core.controller import Controller
from x0tta6bl4.core.desk import OrderDesk
from x0tta6bl4.core.remote import GIVE_UP_S, RemoteActuator
from x0tta6bl4.errors import Temporary
from x0tta6bl4.lab.participants import ControllerPorts
from x0tta6bl4.mape_k.inline import InlineWorker
from x0tta6bl4.mape_k.memory import MemoryStore
from x0tta6bl4.model import Action, Cause, Diagnosis, Did, Incident, Order, Severity
from x0tta6bl4.network import names, report, told
from x0tta6bl4.network.actuators import RETRY_S, NodeActuator
from x0tta6bl4.network.told import Instruction, Verb

ORDER = Order("o1", "controller", 1, Action("set-hop-penalty", names.interface("n1", "v1"), {"hop_penalty": 230}), 10.0)


class Post:
    """A transport that keeps what it is given."""

    def __init__(self):
        self.sent = []

    def send(self, to, payload):
        self.sent.append(told.decode(payload))

    def receive(self):
        return []


class Arm:
    """A controller's arm."""

    def __init__(self):
        self.post, self.clock, self.heard = Post(), ManualClock(100.0), []
        self.arm = RemoteActuator(self.post, self.clock)
        self.arm.answered = lambda tag, outcome: self.heard.append((tag, outcome.did))

    def at(self, now):
        self.clock.at = now
        self.arm.tick(now)


class Node:
    """A desk over one node's actuator."""

    def __init__(self):
        self.kernel, self.clock = FakeKernel(), ManualClock(100.0)
        self.actuator = NodeActuator("n1", self.kernel, self.clock, mac_of=lambda c: "")
        self.desk = OrderDesk(self.actuator, ScriptedProber(), lambda kind: True)
        self.before = self.kernel.state()

    def take(self, verb, at=None, order=ORDER):
        at = self.clock.at if at is None else at
        self.desk.take(Instruction(verb, order), at, self.clock.at)
        return next(a.did for a in self.desk.answers(self.clock.at) if (a.id, a.verb) == (order.id, verb))


def test_an_order_says_how_long_it_is_still_good_for_and_is_sent_no_longer():
    arm = Arm()
    arm.arm.apply(ORDER)
    for tenths in range(0, 80, 5):
        arm.at(100.0 + tenths / 10)
    left = [m.order.expires_s for m in arm.post.sent]
    assert left == sorted(left, reverse=True)
    assert (left[0], left[-1]) == (5.0, 0.0)
    arm.at(100.1 + GIVE_UP_S)
    assert arm.heard == [("apply:o1", Did.UNKNOWN)]


def test_an_order_that_was_never_sent_is_refused():
    arm = Arm()
    arm.arm.apply(ORDER)
    arm.at(106.0)
    assert arm.post.sent == []
    assert arm.heard == [("apply:o1", Did.REFUSED)]


def test_an_order_that_is_resolved_is_known_again():
    arm = Arm()
    assert arm.arm.confirm("o1").did is Did.REFUSED
    arm.arm.resolve(ORDER)
    assert arm.arm.confirm("o1") is None
    assert arm.arm.undo("o1") is None
    arm.at(100.1)
    assert [m.verb for m in arm.post.sent] == [Verb.RESOLVE, Verb.CONFIRM, Verb.UNDO]


def test_an_agent_refuses_an_order_that_it_takes_up_too_late():
    node = Node()
    assert node.take(Verb.APPLY, at=94.0) is Did.REFUSED
    assert node.kernel.state() == node.before
    assert node.take(Verb.APPLY, order=replace(ORDER, id="o2", expires_s=float("nan"))) is Did.REFUSED
    assert node.take(Verb.APPLY, at=96.0, order=replace(ORDER, id="o3")) is Did.DONE


def test_a_copy_that_arrives_after_the_undo_is_not_begun_again():
    node = Node()
    node.take(Verb.APPLY)
    node.take(Verb.UNDO)
    node.clock.at += 60.0
    node.desk.answers(node.clock.at)  # answers are forgotten
    assert node.take(Verb.APPLY) is Did.REFUSED
    assert node.kernel.state() == node.before


def test_an_undo_that_failed_is_tried_again_when_it_is_asked_for_again():
    node = Node()
    node.take(Verb.APPLY)
    node.take(Verb.CONFIRM)
    node.kernel.refuse = Temporary("busy")
    assert node.take(Verb.UNDO) is Did.FAILED
    node.kernel.refuse = None
    assert node.take(Verb.UNDO) is Did.UNDONE
    assert node.kernel.state() == node.before


def test_an_actuator_goes_on_taking_back_what_it_could_not():
    node = Node()
    node.actuator.apply(ORDER)
    node.actuator.confirm("o1")
    node.kernel.refuse = Temporary("busy")
    assert node.actuator.undo("o1").did is Did.FAILED
    node.kernel.refuse = None
    node.clock.at += ORDER.deadman_s + RETRY_S
    assert [o.did for o in node.actuator.expire()] == [Did.UNDONE]
    assert node.kernel.state() == node.before


def test_what_an_agent_could_not_take_back_escalates_at_the_controller():
    store, events, clock = MemoryStore("controller"), [], ManualClock(100.0)
    port = names.interface("n1", "v1")
    cause = Cause("interface-lossy", port, 0.9, ())
    store.commit(incidents=[Incident("i1", "controller", 1, 90.0, Diagnosis((cause,), 90.0))])
    post = Post()
    controller = Controller(
        ControllerPorts(post, clock, None, (), "n1", events.append), store, InlineWorker(), counted("x")
    )
    news = report.ActionNews(
        "a1", "set-hop-penalty", str(port), "undo failed", f"interface-lossy {port}", "it is stuck"
    )
    said = report.Report("n1", "boot", 1, {}, (news,))
    post.receive = lambda: [("n1", 100.0, report.encode(said))] if clock.at == 100.0 else []
    for clock.at in (100.0, 101.0, 130.0, 131.0, 160.0):
        controller.tick(clock.at)
    incident = next(i for i in store.open_incidents() if i.id == "i1")
    assert incident.severity is Severity.CRITICAL
    assert incident.escalated == f"set-hop-penalty on {port} could not be undone: it is stuck"
    assert [e.type for e in events if e.incident == "i1"] == ["action.undo_failed", "incident.escalated"]
    alert = alerts.outgoing(incident, 0.0, "en")
    assert alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["description"].endswith("could not be undone: it is stuck")


def test_an_agents_action_ends_with_the_incident_that_it_began_with():
    """Hurry serves whatever is being healed; that it ends is nothing of the trouble that came after."""
    store, events, clock = MemoryStore("controller"), [], ManualClock(100.0)
    first, second = names.interface("n1", "v1"), names.interface("n2", "v1")

    def incident(ident, seq, component):
        return Incident(
            ident, "controller", seq, 90.0, Diagnosis((Cause("interface-lossy", component, 0.9, ()),), 90.0)
        )

    store.commit(incidents=[incident("i1", 1, first)])
    post = Post()
    controller = Controller(
        ControllerPorts(post, clock, None, (), "n1", events.append), store, InlineWorker(), counted("x")
    )
    told_now = []
    post.receive = lambda: [("n1", clock.at, report.encode(told_now.pop()))] if told_now else []

    def hear(seq, state, lease):
        news = report.ActionNews("a1", "set-orig-interval", "node/n1", state, "mesh-converging node/n1", "", lease)
        told_now.append(report.Report("n1", "boot", seq, {}, (news,)))
        clock.at += 1.0
        controller.tick(clock.at)

    hear(1, "confirmed", True)
    controller.loop.knowledge.open.clear()
    controller.loop.knowledge.open["i2"] = incident("i2", 2, second)
    hear(2, "undoing", True)
    hear(3, "undone", False)
    said = [(event.type, event.incident) for event in events if event.type.startswith("action.")]
    assert said == [("action.confirmed", "i1"), ("action.undoing", "i1"), ("action.undone", "i1")]
    assert controller._belongs == {}
