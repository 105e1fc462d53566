"""Faults that come while a mesh is kept up: begun and ended by the lab itself."""

import threading
import time
from dataclasses import replace

import pytest
from test_injection import Lab, scenario

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.lab.field import Field


class Mesh(Lab):
    def __init__(self, made):
        super().__init__(made)
        self.nodes, self.addresses = {}, {}

    def enforce(self):
        return 0


@pytest.fixture
def field():
    made = replace(scenario(["{fault: agent-death, node: n3, at: 1, until: 4}"]), pairs=(), timeline=())
    found = Field(Mesh(made), made, 1, 0.0, lambda node, alive: None, kept=True)
    found.go(time.monotonic())
    yield found
    found.close()


def switched(field, count):
    """What was done, once it is `count` things."""
    end = time.monotonic() + 5
    while len(field.lab.done) < count and time.monotonic() < end:
        time.sleep(0.01)
    return [(one[1], one[-1] is not None) for one in field.lab.done]


LOSS = {"fault": "link-loss", "link": "n2-n3", "loss_ratio": 0.4, "direction": "forward", "at": 0}


def test_an_injected_fault_begins_at_once_and_ends_by_itself(field):
    began = time.monotonic()
    field.inject("injected-1", {**LOSS, "until": 0.3})
    assert switched(field, 2) == [("n2>n3", True), ("n2>n3", False)]
    assert 0.25 < time.monotonic() - began < 3
    assert {one[2] for one in field.lab.done} == {"injected-1"}


def test_one_that_is_mended_ends_now_and_only_once(field):
    field.inject("injected-1", {**LOSS, "until": 0.5})
    assert switched(field, 1) == [("n2>n3", True)]
    field.mend("injected-1")
    field.mend("injected-1")
    field.mend("nobody")
    assert switched(field, 2) == [("n2>n3", True), ("n2>n3", False)]
    time.sleep(0.6)
    assert len(field.lab.done) == 2


def test_clients_go_on_while_a_change_takes_its_time(field, monkeypatch):
    began, ended, sent = threading.Event(), threading.Event(), []

    def slowly(ends, why, impairment):
        began.set()
        ended.wait(5)

    monkeypatch.setattr(field.lab, "impair", slowly)
    monkeypatch.setattr(field.clients, "send", lambda: sent.append(began.is_set()))
    field.inject("injected-1", {**LOSS, "until": 9})
    assert began.wait(5)
    end = time.monotonic() + 5
    while sent.count(True) < 5 and time.monotonic() < end:
        time.sleep(0.01)
    ended.set()
    assert sent.count(True) >= 5


def test_what_the_mesh_does_not_have_is_refused(field):
    with pytest.raises(ConfigError):
        field.inject("injected-1", {**LOSS, "link": "n2-n9", "until": 1})
