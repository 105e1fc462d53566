"""The report page: what it must show, and that nothing in it comes from elsewhere or runs."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab_records import LINK, fault, pair, run, said

from x0tta6bl4.lab import report, timeline
from x0tta6bl4.lab.score import judge, total

HEALED = pair(lost=[(20, 22)])
OFF = run([pair(lost=[(20, 70)]), pair(source="n1")], controller=False)
ON = run(
    [HEALED, pair(source="n1")],
    events=[
        said(20.5, "incident.opened"),
        said(20.6, "action.applied", id="a", kind="detach", target="interface/n2:v2-3"),
        said(22.6, "action.confirmed", id="a", kind="detach", target="interface/n2:v2-3"),
        said(61.0, "action.undone", id="a", kind="detach", target="interface/n2:v2-3"),
        said(62.0, "incident.closed"),
    ],
)
VOID = {"meta", "rect", "circle", "path", "line", "br"}


class Strict(HTMLParser):
    """Collects tags, attributes and text; every element must be closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.links, self.words = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read(text):
    parser = Strict()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


def test_the_page_is_whole_and_loads_nothing(tmp_path):
    scores = [judge(OFF), judge(ON)]
    path = report.write(tmp_path / "new", scores, [OFF, ON])
    text = path.read_text()
    page = read(text)
    assert page.links == []
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme:dark" in text
    assert 'name="viewport"' in text


def test_every_total_is_in_the_table():
    scores = [judge(OFF), judge(ON)]
    text = report.page(scores, [])
    shown = dict(re.findall(r'<td data-key="(\w+)">(.*?)</td>', text))
    assert list(shown) == list(total(scores))
    # By hand: detected after 0.5 s, recovered after 1.8 s; 1.6 bad seconds for one of two pairs; off 39.8 for one.
    assert shown["detected"] == "100.0 %"
    assert shown["ttd_s_p95_hard"] == "0.50 s"
    assert shown["ttr_s_p50"] == "1.80 s"
    assert shown["bad_s_on"] == "0.80 s"
    assert shown["bad_s_off"] == "19.90 s"
    assert "not run" in shown["ttr_s_p95_soft"]


def test_the_table_of_scenarios_sets_on_beside_off():
    text = report.page([judge(OFF), judge(ON)], [])
    row = text.split("<tbody>")[2].split("</tbody>")[0]
    cells = re.findall(r"<td>(.*?)</td>", row)
    assert cells[:10] == ["1 / 1", "1 of 1", "0.50", "1 of 1", "1 of 1", "1.80", "0 of 1", "never", "0.80", "19.90"]
    assert cells[10:] == ["1", "0", "0", "0"]


def test_findings_and_invalid_runs_are_listed_with_their_reason():
    drifted = judge(replace(ON, settings_end={"n1": {"attached": "v1-6", "mtu:v1-2": "1560"}}))
    wrong = judge(replace(ON, seed=3, events=[said(5.0, "incident.opened", component="node/n5", code="node-down")]))
    lagged = judge(replace(OFF, invalid="guest timer lag 140 ms"))
    words = " ".join(read(report.page([drifted, wrong, lagged], [])).words)
    assert "n1 attached: v1-2,v1-6 -> v1-6" in words
    assert "node-down node/n5 at 5.00 s" in words
    assert "guest timer lag 140 ms" in words


def test_the_timeline_names_fault_incident_action_and_proof():
    page = read(report.page([judge(OFF), judge(ON)], [OFF, ON]))
    words = " ".join(page.words)
    assert f"fault: link-blackhole, link-down {LINK}" in words
    assert f"+0.50 s  incident opened: link-down {LINK}" in words
    assert "+0.60 s  action applied: detach interface/n2:v2-3" in words
    assert "+2.60 s  action proved: detach interface/n2:v2-3" in words
    assert "+41.00 s  action undone: detach interface/n2:v2-3" in words
    assert "Without the controller, seed 0; link-blackhole: never recovered, 19.90 bad seconds" in words
    assert "With the controller, seed 0; link-blackhole: recovered after 1.80 s, detected after 0.50 s" in words


def test_cells_say_what_a_quarter_second_held():
    one = pair(lost=[(20, 20.1), (21, 21.15)], slow=[(22, 22.05)], excused=[(23, 24)])
    got = timeline.states(one, 19.75, 24.25)
    #            19.75  20      20.25                21             22                   23                      24
    assert got == ["ok", "some", *["ok"] * 3, "lost", *["ok"] * 3, "slow", *["ok"] * 3, *["excused"] * 4, "ok"]
    assert timeline.states(one, 79.75, 80.5) == ["ok", "", ""]


def test_marks_that_are_close_get_lanes_of_their_own():
    marks = [timeline.Mark(20 + i * 0.01, "incident", str(i)) for i in range(3)]
    drawing = ET.fromstring(timeline.draw(ON, 15, 72, marks))
    heights = [float(one.get("cy")) for one in drawing.iter("{http://www.w3.org/2000/svg}circle")]
    assert len(set(heights)) == 3


def test_many_marks_are_cut_and_those_outside_left_out():
    noisy = run(events=[said(21 + i * 0.1, "incident.opened", incident=str(i)) for i in range(100)])
    assert len(timeline.marks_of(noisy, 15, 72)) == timeline.MARKS_MAX
    assert timeline.marks_of(noisy, 0, 15) == []


def test_a_page_of_nothing_says_so():
    words = " ".join(read(report.page([], [])).words)
    assert "Nothing was run." in words
    assert "No run was recorded." in words


def test_a_healthy_run_has_no_timeline_but_its_hours():
    healthy = run([pair()], faults=[], touched=[], healthy_hours=24.0, scenario="healthy")
    page = read(report.page([judge(healthy)], [healthy]))
    assert "24 healthy hours watched" in " ".join(page.words)
    assert "figure" not in page.tags


@settings(max_examples=40, deadline=None)
@given(
    nasty=st.one_of(st.text(max_size=30), st.sampled_from(["<script>alert(1)</script>", '"><b onclick="x">', "&lt;"]))
)
def test_all_text_is_escaped(nasty):
    hostile = run(
        [replace(HEALED, source=nasty)],
        scenario=nasty,
        algorithm=nasty,
        faults=[fault(component=nasty, code=nasty)],
        events=[said(20.5, "incident.opened", component=nasty, code=nasty)],
        settings_end={nasty: {nasty: nasty}},
    )
    tags = read(report.page([judge(hostile), judge(replace(hostile, invalid=nasty))], [hostile])).tags
    assert not {"script", "b"} & set(tags)


@pytest.mark.parametrize("count", [1, 2])
def test_each_drawing_is_well_formed_and_labelled(count):
    faults = [fault(name=f"f{i}") for i in range(count)]
    one = replace(ON, faults=faults)
    drawing = ET.fromstring(timeline.draw(one, 15, 72, timeline.marks_of(one, 15, 72)))
    assert "controller on" in drawing.get("aria-label")
    texts = [node.text for node in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert sum(text.startswith("fault:") for text in texts) == count
    assert [text for text in texts if text.isdigit()] == ["1", "2", "3", "4", "5"]
    assert "+0 s" in texts
