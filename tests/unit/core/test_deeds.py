"""What agents did: counted for the storm brake, and remembered where it was in vain."""

import pytest

from fakes import plain_situation
from x0tta6bl4.catalog import Proposal
from x0tta6bl4.core.deeds import REMEMBERED, Deeds
from x0tta6bl4.mape_k.guards import Limits
from x0tta6bl4.model import Action, Component
from x0tta6bl4.network.catalog import mesh_catalog
from x0tta6bl4.network.report import ActionNews

KINDS = mesh_catalog().action
PORT = Component("interface", "n1:v2")


def news(ident, state="proving", kind="detach-interface", target=PORT):
    return ActionNews(ident, kind, str(target), state, "link-down", "", False)


def told(*states, at=10.0):
    deeds = Deeds(KINDS)
    for state in states:
        deeds.hear(news("a", state), at)
    return deeds


def refused(deeds, at, kind="detach-interface", target=PORT):
    return deeds.tried_by_agent(Proposal(Action(kind, target), ()), KINDS[kind], plain_situation(at))


def test_the_same_news_is_news_once():
    deeds = Deeds(KINDS)
    assert [deeds.hear(news("a"), 1.0), deeds.hear(news("a"), 1.5), deeds.hear(news("a", "confirmed"), 2.0)] == [
        True,
        False,
        True,
    ]


def test_ways_that_change_set_the_brake_and_time_releases_it():
    deeds, limits = Deeds(KINDS), Limits(actions_max=2, window_s=60.0)
    deeds.hear(news("a"), 0.0)
    deeds.hear(news("h", kind="set-orig-interval", target=Component("node", "n1")), 0.0)  # changes no way
    assert deeds.count(limits, 0.0) is None
    deeds.hear(news("b"), 30.0)
    assert deeds.count(limits, 30.0) == {"braked": True, "actions": 2, "window_s": 60.0}
    assert deeds.count(limits, 31.0) is None
    proposal = Proposal(Action("detach-interface", PORT), ())
    assert "2 ways" in deeds.storm_brake_of_mesh(proposal, KINDS["detach-interface"], plain_situation(31.0))
    assert deeds.count(limits, 60.5) == {"braked": False, "actions": 1, "window_s": 60.0}
    assert deeds.storm_brake_of_mesh(proposal, KINDS["detach-interface"], plain_situation(61.0)) == ""


@pytest.mark.parametrize("last", ["undone", "undo failed"])
def test_what_was_tried_in_vain_is_not_ordered_for_a_while(last):
    deeds = told("proving", "undoing", last)
    cool_down = KINDS["detach-interface"].cool_down_s
    assert "in vain" in refused(deeds, 10.0 + cool_down / 2)
    assert refused(deeds, 10.0 + cool_down) == ""
    assert refused(deeds, 11.0, target=Component("interface", "n1:v3")) == ""
    assert refused(deeds, 11.0, kind="set-hop-penalty") == ""


def test_what_helped_and_was_taken_back_was_not_in_vain():
    assert refused(told("proving", "confirmed", "undoing", "undone"), 11.0) == ""


def test_memory_is_bounded():
    deeds = Deeds(KINDS)
    for i in range(REMEMBERED + 50):
        deeds.hear(news(f"a{i}", "confirmed"), 0.0)
    assert len(deeds._states) == len(deeds._proven) == REMEMBERED
