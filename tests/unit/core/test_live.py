"""The live view: what a person sees of a snapshot."""

import io

import pytest
from rich.console import Console

from hand_made import Canned, action, event, incident, iteration, troubled, view
from x0tta6bl4.core.commands import watch
from x0tta6bl4.core.commands.live import LiveView
from x0tta6bl4.core.readers import Readers
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.core.view import MeshView
from x0tta6bl4.errors import Permanent
from x0tta6bl4.model import ActionState, IncidentState


def drawn(readers, width=100, screen=None):
    console = Console(file=io.StringIO(), width=width, record=True, markup=False)
    console.print(watch.drawn(screen or LiveView("demo", "footer"), readers.snapshot(), readers))
    return console.export_text()


def test_it_shows_nodes_links_clients_faults_incident_action_and_risk():
    readers = Readers()
    readers.publish(troubled(), view())
    text = drawn(readers)
    for words in (
        "BATMAN_IV",
        "1 open",
        "◐  n2  suspect",
        "→ n2 ◐ 41 %",
        "n1 → n2  HURT",
        "link-loss  link n1 = n2",
        "✗  link-lossy",
        "set_hop_penalty link n1 = n2 applied",
        "controller: incident opened: link-lossy at link n1 = n2",
        "latent risk: node n3: n3 hangs on one interface; remedy: add a dummy",
        "footer",
    ):
        assert words in text, text


def test_a_closed_incident_shows_its_proof():
    readers = Readers()
    readers.publish(troubled(), view())
    closed = incident(state=IncidentState.CLOSED, closed_at=14.0)
    proven = action(ActionState.CONFIRMED, detail="40 of 40 answered")
    readers.publish(iteration(2, 14.0, incidents=(closed,), actions=(proven,)), view(14.0))
    text = " ".join(drawn(readers, width=140).split())
    assert "over after 4.0 s: set_hop_penalty link n1 = n2 confirmed (40 of 40 answered)" in text
    assert "1 healed and closed" in text


def test_it_fits_eighty_columns():
    readers = Readers()
    readers.publish(troubled(), view())
    assert max(len(line) for line in drawn(readers, width=80).splitlines()) <= 80


def test_a_client_pair_remembers_what_it_saw_once_for_each_pass():
    readers = Readers()
    screen = LiveView("demo")
    for number in range(1, 4):
        readers.publish(iteration(number), view(float(number)))
        drawn(readers, screen=screen)
        text = drawn(readers, screen=screen)
    assert "███" in text
    assert "████" not in text


def test_an_empty_mesh_is_shown_too():
    readers = Readers()
    readers.publish(iteration(), MeshView(1.0, "mesh"))
    assert "none" in drawn(readers)


def test_lines_tell_what_broke_and_who_is_hurt():
    told = {}
    assert watch.changes(view(), told) == ["lab: broke link-loss at link n1 = n2", "clients: n1 > n2 is HURT"]
    assert watch.changes(view(), told) == []
    assert watch.changes(MeshView(11.0, "sim"), told) == ["lab: mended link-loss at link n1 = n2"]


@pytest.fixture
def settings(tmp_path):
    return Settings(store={"directory": str(tmp_path)})


@pytest.mark.parametrize(
    ("style", "expected"), [("lines", "controller: incident opened"), ("json", '"type": "incident.opened"')]
)
def test_watching_prints_events_and_stops_the_source(settings, capsys, style, expected):
    source = Canned()
    watch.watch(source, settings, style=style, api=False, seconds=0.3)
    assert expected in capsys.readouterr().out
    assert not source.running


def test_watching_live_ends_with_a_summary(settings, capsys):
    watch.watch(Canned(), settings, style="live", api=False, seconds=0.3)
    assert "1 passes, 1 incidents, 0 of them closed, 1 actions" in capsys.readouterr().out


def test_a_source_that_ends_by_itself_is_an_error(settings):
    source = Canned("the guest is gone")
    with pytest.raises(Permanent, match="the guest is gone"):
        watch.watch(source, settings, style="lines", api=False, seconds=5)
    assert not source.running


def test_a_source_that_never_passes_is_an_error(settings, monkeypatch):
    class Mute(Canned):
        def start(self, publisher):
            self.running = True

    monkeypatch.setattr(watch, "START_S", 0.3)
    with pytest.raises(Permanent, match="no pass of the loop"):
        watch.watch(Mute(), settings, style="lines", api=False)


def test_events_of_later_passes_follow(settings, capsys):
    class Two(Canned):
        def start(self, publisher):
            super().start(publisher)
            publisher.publish(iteration(2, 12.0, events=(event(3, "incident.closed"),)), view(12.0))

    watch.watch(Two(), settings, style="lines", api=False, seconds=0.3)
    out = capsys.readouterr().out
    assert out.index("incident opened") < out.index("incident closed")
