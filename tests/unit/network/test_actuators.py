"""What one node's actuator does to its kernel, and how it takes it back."""

import json
from dataclasses import replace

import pytest

from fakes import FakeKernel, ManualClock
from x0tta6bl4.errors import ConfigError, NotSupported, Permanent, Temporary
from x0tta6bl4.model import Action, Component, Did, Order
from x0tta6bl4.network import linux, names
from x0tta6bl4.network.actuators import RETRY_S, NodeActuator
from x0tta6bl4.network.changes import BOUNCE_S, KINDS
from x0tta6bl4.network.journal import FileJournal

PORT = names.interface("n1", "v2")
LINK = names.link("n2", "v9", "n1", "v2")
FAR_MAC = "02:00:00:00:02:09"
NODE = names.node("n1")
REVERSIBLE = [
    Action("detach-interface", PORT),
    Action("set-hop-penalty", PORT, {"hop_penalty": 230}),
    Action("set-throughput-override", PORT, {"throughput_override_kbit": 1000}),
    Action("block-neighbour", LINK),
    Action("restore-mtu", PORT, {"mtu_bytes": 1560}),
    Action("set-gw-mode", NODE, {"gw_mode": "client"}),
    Action("set-orig-interval", NODE, {"orig_interval_ms": 200}),
    Action("stand-in-primary", PORT),
]
BOUNCE = Action("bounce-interface", PORT)
RESTART = Action("restart-service", Component("service", "n1:babeld"))
every = pytest.mark.parametrize("action", REVERSIBLE, ids=lambda a: a.kind)


class Node:
    """An actuator over a kernel; `again` is a new process over the same kernel and journal."""

    def __init__(self, journal=None, **settings):
        self.kernel, self.clock = FakeKernel(), ManualClock(100.0)
        self.journal = None if journal is None else FileJournal(journal)
        self.kernel.table["v2"] = replace(self.kernel.table["v2"], mtu=1400, **settings)
        self.again()

    def again(self):
        self.actuator = NodeActuator("n1", self.kernel, self.clock, mac_of=self.mac_of, journal=self.journal)
        return self.actuator

    @staticmethod
    def mac_of(interface):
        return FAR_MAC if interface == names.interface("n2", "v9") else ""


def order(action, ident="o1", deadman_s=10.0):
    return Order(ident, "c", 1, action, deadman_s)


def test_every_kind_is_tried_here():
    assert {a.kind for a in (*REVERSIBLE, BOUNCE, RESTART)} == KINDS


@every
def test_done_changes_the_target_only_and_undo_restores_all(action):
    node = Node()
    before = node.kernel.state()
    outcome = node.actuator.apply(order(action))
    assert outcome.did is Did.DONE
    changed = node.kernel.state()
    assert changed != before
    assert changed[0]["v1"] == before[0]["v1"]
    assert node.actuator.confirm("o1").did is Did.DONE
    assert node.actuator.undo("o1").did is Did.UNDONE
    assert node.kernel.state() == before


@pytest.mark.parametrize("penalty", [0, 15, 40])
def test_an_interface_gets_its_own_settings_back(penalty):
    node = Node(hop_penalty=penalty, throughput_override_kbit=500)
    before = node.kernel.state()
    node.actuator.apply(order(Action("detach-interface", PORT)))
    assert not node.kernel.table["v2"].attached
    node.actuator.undo("o1")
    assert node.kernel.state() == before


def test_what_was_not_attached_is_not_attached_by_undo():
    node = Node(attached=False, active=False, hop_penalty=None, throughput_override_kbit=None)
    before = node.kernel.state()
    assert node.actuator.apply(order(Action("detach-interface", PORT))).did is Did.DONE
    assert node.actuator.undo("o1").did is Did.UNDONE
    assert node.kernel.state() == before


@every
def test_the_same_order_twice_is_once(action):
    node = Node()
    first = node.actuator.apply(order(action))
    writes = node.kernel.writes
    again = node.actuator.apply(order(action))
    assert (again.did, again.before, node.kernel.writes) == (Did.DONE, first.before, writes)


@every
def test_what_nobody_confirms_is_taken_back(action):
    node = Node()
    before = node.kernel.state()
    node.actuator.apply(order(action))
    node.clock.at += 10.0
    assert node.actuator.expire() == []
    node.clock.at += 0.1
    (outcome,) = node.actuator.expire()
    assert (outcome.did, outcome.detail) == (Did.UNDONE, "dead-man timer")
    assert node.kernel.state() == before
    assert node.actuator.confirm("o1").did is Did.REFUSED
    assert node.actuator.undo("o1").did is Did.UNDONE  # it was faster: nothing is left to do
    assert node.actuator.expire() == []


@every
def test_what_is_confirmed_stays(action):
    node = Node()
    node.actuator.apply(order(action))
    node.actuator.confirm("o1")
    after = node.kernel.state()
    node.clock.at += 1000
    assert node.actuator.expire() == []
    assert node.kernel.state() == after


@every
def test_a_killed_process_leaves_no_unproven_change(action, tmp_path):
    node = Node(tmp_path / "orders.json")
    before = node.kernel.state()
    node.actuator.apply(order(action))
    (outcome,) = node.again().recover()
    assert (outcome.order, outcome.did) == ("o1", Did.UNDONE)
    assert node.kernel.state() == before
    assert node.again().recover() == []


@every
def test_a_process_killed_while_it_acts_leaves_no_unproven_change(action, tmp_path):
    """The journal is written before the kernel is touched, whatever the kernel then does."""
    node = Node(tmp_path / "orders.json")
    before = node.kernel.state()

    class Killed(BaseException):
        pass

    def killed(name, **changes):
        FakeKernel._write(node.kernel, name, **changes)
        raise Killed

    def killed_mesh(option, value):
        FakeKernel.set_mesh(node.kernel, option, value)
        raise Killed

    node.kernel._write, node.kernel.set_mesh = killed, killed_mesh
    with pytest.raises(Killed):
        node.actuator.apply(order(action))
    del node.kernel._write, node.kernel.set_mesh
    assert node.kernel.state() != before
    node.again().recover()
    assert node.kernel.state() == before


@every
def test_a_confirmed_change_survives_a_restart_and_can_be_taken_back(action, tmp_path):
    node = Node(tmp_path / "orders.json")
    before = node.kernel.state()
    node.actuator.apply(order(action))
    node.actuator.confirm("o1")
    after = node.kernel.state()
    actuator = node.again()
    assert actuator.recover() == []
    assert node.kernel.state() == after
    assert actuator.resolve(order(action)).did is Did.DONE
    assert actuator.confirm("o1").did is Did.DONE
    assert actuator.undo("o1").did is Did.UNDONE
    assert node.kernel.state() == before
    assert actuator.resolve(order(action)).did is Did.UNDONE


@every
@pytest.mark.parametrize("confirmed", [False, True])
def test_what_was_done_before_the_node_was_restarted_is_known_as_gone(action, confirmed, tmp_path):
    node = Node(tmp_path / "orders.json")
    node.actuator.apply(order(action))
    if confirmed:
        node.actuator.confirm("o1")
    node.kernel = Node(throughput_override_kbit=700, hop_penalty=3).kernel  # as its configuration has it
    node.kernel.boot_id = lambda: "boot-2"
    fresh = node.kernel.state()
    actuator = node.again()
    (outcome,) = actuator.recover()
    assert (outcome.order, outcome.did, outcome.detail) == ("o1", Did.UNDONE, "the node was restarted since")
    assert actuator.resolve(order(action)).did is Did.UNDONE
    assert actuator.confirm("o1").did is Did.REFUSED
    assert actuator.undo("o1").did is Did.UNDONE
    assert (node.kernel.state(), node.kernel.writes) == (fresh, 0)
    assert json.loads((tmp_path / "orders.json").read_text()) == []


@pytest.mark.parametrize(("then", "now"), [("", "boot-2"), ("boot-1", "")])
def test_where_the_boot_is_not_known_the_journal_decides(then, now, tmp_path):
    node = Node(tmp_path / "orders.json")
    before = node.kernel.state()
    node.kernel.boot_id = lambda: then
    node.actuator.apply(order(REVERSIBLE[1]))
    node.kernel.boot_id = lambda: now
    (outcome,) = node.again().recover()
    assert (outcome.did, outcome.detail) == (Did.UNDONE, "")
    assert node.kernel.state() == before


def test_a_journal_of_an_earlier_version_names_no_boot(tmp_path):
    node = Node(tmp_path / "orders.json")
    node.actuator.apply(order(REVERSIBLE[1]))
    (entry,) = json.loads((tmp_path / "orders.json").read_text())
    assert entry.pop("boot") == "boot-1"
    (tmp_path / "orders.json").write_text(json.dumps([entry]))
    assert [known.boot for known in node.journal.read(0.0)] == [""]


def test_a_machine_without_a_boot_id_says_nothing(tmp_path, monkeypatch):
    kernel = object.__new__(linux.LinuxKernel)  # without its sockets
    kernel._boot_id = None
    monkeypatch.setattr(linux, "BOOT_ID", tmp_path / "none")
    assert kernel.boot_id() == ""
    (tmp_path / "none").write_text("5b1c\n")
    assert kernel.boot_id() == "5b1c"


@every
def test_without_a_journal_the_component_is_read(action):
    node = Node()
    if action.kind != "block-neighbour":  # which is not told by the tables it is read from
        assert node.actuator.resolve(order(action)).did is Did.UNDONE
    node.actuator.apply(order(action))
    assert node.again().resolve(order(action)).did is Did.UNKNOWN
    node.kernel.refuse = Temporary("busy")
    assert node.actuator.resolve(order(replace(action, target=PORT), "o2")).did is Did.UNKNOWN


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"id": "x"}]', '[{"kind": 1, "target": "x", "parameters": 1}]'])
def test_a_journal_that_is_none_is_refused(text, tmp_path):
    journal = tmp_path / "orders.json"
    journal.write_text(text)
    with pytest.raises(ConfigError, match=r"agent\.journal"):
        Node(journal).actuator.recover()


def test_a_journal_that_cannot_be_written_stops_the_action(tmp_path):
    node = Node(tmp_path / "missing" / "orders.json")
    before = node.kernel.state()
    assert node.actuator.apply(order(REVERSIBLE[0])).did is Did.FAILED
    assert node.kernel.state() == before
    (tmp_path / "missing").mkdir()
    assert node.actuator.apply(order(REVERSIBLE[0], "o2")).did is Did.DONE
    node.actuator.journal = FileJournal(tmp_path / "gone" / "orders.json")
    assert node.actuator.confirm("o2").did is Did.FAILED
    node.clock.at += 11  # what is not kept as confirmed is not confirmed
    assert [o.did for o in node.actuator.expire()] == [Did.UNDONE]
    assert node.kernel.state() == before


def test_the_journal_is_small_text(tmp_path):
    node = Node(tmp_path / "orders.json")
    node.actuator.apply(order(REVERSIBLE[1]))
    (entry,) = json.loads((tmp_path / "orders.json").read_text())
    assert (entry["id"], entry["kind"], entry["before"], entry["confirmed"]) == (
        "o1",
        "set-hop-penalty",
        {"hop_penalty": 15},
        False,
    )


@pytest.mark.parametrize(
    "action",
    [
        Action("detach-interface", names.interface("n2", "v2")),
        Action("detach-interface", NODE),
        Action("detach-interface", Component("interface", "n1")),
        Action("set-hop-penalty", LINK, {"hop_penalty": 1}),
        Action("set-hop-penalty", PORT),
        Action("set-hop-penalty", PORT, {"hop_penalty": "much"}),
        Action("set-orig-interval", NODE, {}),
        Action("set-gw-mode", names.node("n2"), {"gw_mode": "off"}),
        Action("block-neighbour", names.link("n1", "v2", "n2", "v9")),
        Action("block-neighbour", Component("link", "n2")),
        Action("restart-service", Component("service", "n1")),
        Action("fly", PORT),
    ],
    ids=str,
)
def test_what_is_not_for_this_node_or_malformed_is_refused(action):
    node = Node()
    before = node.kernel.state()
    assert node.actuator.apply(order(action)).did is Did.REFUSED
    assert (node.kernel.state(), node.kernel.services, node.actuator.applied) == (before, [], {})


@pytest.mark.parametrize(
    "action",
    [
        Action("detach-interface", names.interface("n1", "v7")),
        Action("block-neighbour", names.link("n3", "v1", "n1", "v2")),
    ],
    ids=str,
)
def test_what_cannot_be_found_fails(action):
    node = Node()
    assert node.actuator.apply(order(action)).did is Did.FAILED
    assert node.kernel.writes == 0


def test_a_setting_of_a_detached_interface_fails():
    node = Node(attached=False, hop_penalty=None)
    assert node.actuator.apply(order(REVERSIBLE[1])).did is Did.FAILED


@every
@pytest.mark.parametrize("error", [Temporary("busy"), Permanent("no"), NotSupported("old kernel")], ids=repr)
def test_a_kernel_that_refuses_is_an_outcome(action, error):
    node = Node()
    before = node.kernel.state()
    node.kernel.refuse = error
    outcome = node.actuator.apply(order(action))
    assert (outcome.did, outcome.detail) == (Did.FAILED, str(error))
    node.kernel.refuse = None
    assert (node.kernel.state(), node.actuator.applied) == (before, {})


def test_an_undo_that_the_kernel_refuses_is_tried_again():
    node = Node()
    before = node.kernel.state()
    node.actuator.apply(order(REVERSIBLE[0]))
    node.kernel.refuse = Temporary("busy")
    assert node.actuator.undo("o1").did is Did.FAILED
    node.clock.at += 10.1
    assert [o.did for o in node.actuator.expire()] == [Did.FAILED]
    assert node.actuator.expire() == []  # not at every tick
    node.kernel.refuse = None
    node.clock.at += RETRY_S
    assert [o.did for o in node.actuator.expire()] == [Did.UNDONE]
    assert node.kernel.state() == before


@pytest.mark.parametrize(
    "action", [a for a in REVERSIBLE if a.kind != "stand-in-primary"], ids=lambda a: a.kind
)  # nothing can stand in for what another order took out
@pytest.mark.parametrize("first", ["o1", "o2"])
@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
def test_two_orders_of_the_same_change_leave_nothing_behind_whichever_ends_first(action, first, killed, tmp_path):
    node = Node(tmp_path / "orders.json")
    before = node.kernel.state()
    for ident in ("o1", "o2"):
        node.actuator.apply(order(action, ident))
        node.actuator.confirm(ident)
    changed = node.kernel.state()
    node.actuator.undo(first)
    assert node.kernel.state() == changed
    if killed:
        node.again().recover()
    node.actuator.undo({"o1": "o2", "o2": "o1"}[first])
    assert node.kernel.state() == before


@pytest.mark.parametrize("taken_out", ["detach-interface", "stand-in-primary"])
@pytest.mark.parametrize("setting", [REVERSIBLE[1], REVERSIBLE[2]], ids=lambda a: a.kind)
@pytest.mark.parametrize("killed", [False, True], ids=["alive", "killed"])
def test_a_setting_of_an_interface_that_was_taken_out_since_is_taken_back(setting, taken_out, killed, tmp_path):
    """The interface is not there to be set: whatever brings it back brings back what was before."""
    node = Node(tmp_path / "orders.json", hop_penalty=15, throughput_override_kbit=500)
    before = node.kernel.state()
    for action, ident in ((setting, "o1"), (Action(taken_out, PORT), "o2")):
        node.actuator.apply(order(action, ident))
        node.actuator.confirm(ident)
    out = node.kernel.state()
    assert node.actuator.undo("o1").did is Did.UNDONE
    assert node.kernel.state() == out
    if killed:
        node.again().recover()
    assert node.actuator.undo("o2").did is Did.UNDONE
    assert node.kernel.state() == before


def test_a_bounce_is_not_taken_back_because_another_followed():
    node = Node()
    for ident in ("o1", "o2"):
        node.actuator.apply(order(BOUNCE, ident))
    assert node.actuator.undo("o1").did is Did.FAILED


def test_an_unknown_order_is_not_undone():
    assert Node().actuator.undo("unheard-of").did is Did.REFUSED
    assert Node().actuator.confirm("unheard-of").did is Did.REFUSED


def test_a_bounce_comes_back_up_by_itself():
    node = Node()
    assert node.actuator.apply(order(BOUNCE)).did is Did.DONE
    assert not node.kernel.table["v2"].up
    node.clock.at += BOUNCE_S - 0.1
    node.actuator.expire()
    assert not node.kernel.table["v2"].up
    node.clock.at += 0.1
    node.kernel.refuse = Temporary("busy")
    assert node.actuator.expire() == []
    node.kernel.refuse = None
    node.clock.at += RETRY_S
    node.actuator.expire()
    assert node.kernel.table["v2"].up
    assert node.actuator.undo("o1").did is Did.FAILED
    node.clock.at += 20
    assert node.actuator.expire() == []  # there is nothing to take back
    assert node.actuator.applied == {}


def test_a_bounce_cut_short_by_a_kill_is_finished(tmp_path):
    node = Node(tmp_path / "orders.json")
    node.actuator.apply(order(BOUNCE))
    assert node.again().recover() == []
    assert node.kernel.table["v2"].up


def test_a_service_is_restarted_once():
    node = Node()
    for _ in range(2):
        assert node.actuator.apply(order(RESTART)).did is Did.DONE
    assert node.kernel.services == ["babeld"]
