# ruff: noqa: RUF001, ISC004  # Russian letters are meant to be here; long sentences are compared
"""Explanations: the same facts, the same bytes; every claim with what it rests on; in English and in Russian."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.knowledge import runbooks
from x0tta6bl4.mape_k.guards import RULES
from x0tta6bl4.ml.explanation import LANGUAGES, Citation, Section, Source, brief, explain, facts
from x0tta6bl4.ml.explanation.page import REMEDIES, page_on
from x0tta6bl4.ml.explanation.russian_mesh import GUARDS, TITLES
from x0tta6bl4.ml.explanation.words import quoted, titles
from x0tta6bl4.ml.rag import runbook_documents
from x0tta6bl4.ml.retrieval.chunks import passages
from x0tta6bl4.ml.similar import REPEATS_MAX, Fingerprint, Tried, similar
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
    Plan,
    Severity,
    Symptom,
)
from x0tta6bl4.network.catalog import mesh_catalog

CATALOG = mesh_catalog()
PAIR = Component("adjacency", "n2:v2-3<>n3:v3-2")
FORTH, BACK = Component("link", "n2:v2-3>n3:v3-2"), Component("link", "n3:v3-2>n2:v2-3")
PORT = Component("interface", "n3:v3-2")
UTC = 1_793_678_400.0  # 2026-11-03 04:00:00
SYMPTOMS = (
    Symptom("link-lossy", FORTH, 9.3, 0.425, 0.2, "loss_ratio"),
    Symptom("link-slow", BACK, 9.8, 210.0, 60, "rtt_ms"),
)
CAUSE = Cause("link-lossy", PAIR, 0.93, SYMPTOMS)
RIVAL = Cause("link-down", PAIR, 0.1, SYMPTOMS[:1])


def incident(cause=CAUSE, **changes):
    values = {"id": "i9", "origin": "controller", "seq": 1, "opened_at": 10.0, "since": 9.3, "opened_utc": UTC,
              "diagnosis": Diagnosis((cause, RIVAL), 10.0)}  # fmt: skip
    return Incident(**{**values, **changes})


def action(ident="a1", state=ActionState.CONFIRMED, kind="set-hop-penalty", target=PORT, **changes):
    values = {"at": 14.0, "proposed_at": 10.1, "applied_at": 10.3, "confirmed_at": 12.0, "detail": "", "lease": False}
    return ActionRecord(ident, "i9", 1, Action(kind, target, {"hop_penalty": 230.0}), state, **{**values, **changes})


def plan(*refused):
    candidates = tuple(Candidate(Action("detach-interface", PORT), 0.4, 0.3, 0.5, 2, why) for why in refused)
    return Plan("p1", "i9", 10.1, candidates, (), 1.0, {}, 1)


def history(*days, **changes):
    tried = (Tried("detach-interface", str(PORT), helped=True, after_s=2.1),)
    values = {"component": str(PAIR), "symptoms": frozenset({"link-lossy", "link-slow"}), "tried": tried}
    this = Fingerprint("i9", "link-lossy", str(PAIR), frozenset({"link-lossy", "link-slow"}))
    prints = [
        Fingerprint(f"h{day}", "link-lossy", ended_utc=UTC - day * 86_400, **{**values, **changes}) for day in days
    ]
    return similar(this, prints, UTC)


def told(language="en", *, of=None, **known):
    return explain(facts(of or incident(), CATALOG, **known), CATALOG, language)


def said(explanation, section):
    return [sentence.text for sentence in explanation.sentences if sentence.section is section]


def test_every_section_is_there_without_any_history_actions_or_page():
    strange = incident(Cause("cosmic-rays", Component("service", "web"), 0.5, ()))
    for language in LANGUAGES:
        explanation = told(language, of=replace(strange, opened_utc=0.0))
        assert {sentence.section for sentence in explanation.sentences} == set(Section) - {Section.WHY}
        assert all(sentence.citations and sentence.text for sentence in explanation.sentences)
        assert explanation.passage == ""


def test_what_is_wrong_and_why_in_english():
    explanation = told()
    assert said(explanation, Section.WRONG) == [
        "link-lossy at link n2:v2-3<>n3:v3-2: a link loses packets in both directions; severity major, confidence "
        "93 %.",
        "The incident was opened on 2026-11-03 04:00:00 UTC, 0.7 s after the first sign; it is open.",
    ]
    assert said(explanation, Section.WHY) == [
        "link-lossy (too many hellos are lost) on link n2:v2-3>n3:v3-2: loss_ratio (share of hellos lost over 2 s) is "
        "0.425, expected: below 0.2; the evidence began 0.7 s before the incident was opened.",
        "link-slow (round trip far above its usual) on link n3:v3-2>n2:v2-3: rtt_ms (median round trip over half a "
        "second) is 210, expected: less than 60 above what is usual; the evidence began 0.2 s before the incident was "
        "opened.",
    ]
    assert explanation.sentences[2].citations == (Citation(Source.READING, f"{FORTH}/loss_ratio"),)


def test_what_is_wrong_and_why_in_russian():
    explanation = told("ru")
    assert said(explanation, Section.WRONG) == [
        "link-lossy, линк n2:v2-3<>n3:v3-2: линк теряет пакеты в обе стороны; серьёзность — серьёзная, уверенность — "
        "93 %.",
        "Инцидент открыт 2026-11-03 04:00:00 UTC, через 0,7 с после первого признака; сейчас он открыт.",
    ]
    assert said(explanation, Section.WHY)[0] == (
        "link-lossy (теряется слишком много hello-пакетов), линк n2:v2-3>n3:v3-2: loss_ratio (доля потерянных за 2 с "
        "hello-пакетов) — 0,425, норма — ниже 0,2; первый признак — за 0,7 с до открытия инцидента."
    )


@pytest.mark.parametrize(
    ("days", "english", "russian"),
    [
        (
            (1, 2, 3, 5),
            "The same was seen 4 times, last on 2026-11-02; helped: detach-interface on interface n3:v3-2 (4 of 4), "
            "median 2.1 s from the first sign to the proof.",
            "То же самое уже было 4 раза, последний раз 2026-11-02; помогло: detach-interface, интерфейс n3:v3-2 (4 из "
            "4), медиана от первого признака до доказательства — 2,1 с.",
        ),
        (
            (1,),
            "The same was seen once, last on 2026-11-02; helped: detach-interface on interface n3:v3-2 (1 of 1), "
            "median 2.1 s from the first sign to the proof.",
            "То же самое уже было 1 раз, последний раз 2026-11-02; помогло: detach-interface, интерфейс n3:v3-2 (1 из "
            "1), медиана от первого признака до доказательства — 2,1 с.",
        ),
    ],
)
def test_what_was_seen_before(days, english, russian):
    assert said(told(past=history(*days)), Section.BEFORE) == [english]
    explanation = told("ru", past=history(*days))
    assert said(explanation, Section.BEFORE) == [russian]
    sentence = next(one for one in explanation.sentences if one.section is Section.BEFORE)
    assert sentence.citations == tuple(Citation(Source.INCIDENT, f"h{day}") for day in days)


def test_only_the_newest_are_cited_and_what_never_helped_is_said():
    failed = (Tried("restore-mtu", str(PORT), helped=False),)
    explanation = told(past=history(*range(1, 9), tried=failed))
    assert [len(one.citations) for one in explanation.sentences if one.section is Section.BEFORE] == [5, 5]
    assert said(explanation, Section.BEFORE) == [
        "The same was seen 8 times, last on 2026-11-02; no action is known to have helped.",
        "Did not help then: restore-mtu on interface n3:v3-2 (0 of 8).",
    ]


def test_others_like_it_are_told_apart_from_repeats():
    like = history(2, component="adjacency/n5:a<>n6:b")
    assert said(told(past=like), Section.BEFORE) == [
        "1 incident was like it, the nearest on 2026-11-01: link-lossy at link n5:a<>n6:b; helped: detach-interface "
        "(1 of 1), median 2.1 s from the first sign to the proof."
    ]
    assert said(told("ru", past=like), Section.BEFORE)[0].startswith("Похожий инцидент: 1, ближайший — 2026-11-01")
    many = history(*range(1, 9), component="adjacency/n5:a<>n6:b")
    assert said(told(past=many), Section.BEFORE)[0].startswith("At least 5 incidents were like it")
    assert said(told("ru", past=many), Section.BEFORE)[0].startswith("Похожих инцидентов: не меньше 5,")


def test_what_was_not_counted_to_the_end_is_told_as_at_least():
    often = history(*range(1, REPEATS_MAX + 1))
    assert said(told(past=often), Section.BEFORE)[0].startswith("The same was seen at least 500 times")
    assert said(told("ru", past=often), Section.BEFORE)[0].startswith("То же самое уже было не меньше 500 раз")


@pytest.mark.parametrize(
    ("changes", "english", "russian"),
    [
        ({"lease": True, "detail": "29 of 30 probes to n4 answered"},
         "was done and proven 2.7 s after the first sign (“29 of 30 probes to n4 answered”); it is held until what it "
         "avoids is well again.",
         "выполнено и доказано через 2,7 с после первого признака («ответов на пробы к n4: 29 из 30»); держится, пока "
         "обходимое не станет исправным."),
        ({"state": ActionState.UNDONE, "detail": "no longer needed"},
         "was done, proven 2.7 s after the first sign, and later taken back: “no longer needed”.",
         "выполнено, доказано через 2,7 с после первого признака и позже отменено: «больше не нужно»."),
        ({"state": ActionState.UNDONE, "confirmed_at": None, "detail": "not proven well in time"},
         "was done, not proven, and taken back: “not proven well in time”.",
         "выполнено, не доказано и отменено: «за отведённое время исправность не доказана»."),
        ({"state": ActionState.AWAITING, "applied_at": None, "confirmed_at": None},
         "waits for a person to approve it.", "ждёт согласия человека."),
        ({"state": ActionState.UNDO_FAILED, "detail": "ENODEV"},
         "could not be taken back, a person has to do it: “ENODEV”.",
         "отменить не удалось, это должен сделать человек: «ENODEV»."),
    ],
)  # fmt: skip
def test_what_was_done_and_how_it_stands(changes, english, russian):
    head = "set-hop-penalty (make BATMAN_IV avoid what is heard on an interface) on interface n3:v3-2 with"
    assert said(told(actions=[action(**changes)]), Section.DONE)[0] == f"{head} hop_penalty = 230 {english}"
    assert said(told("ru", actions=[action(**changes)]), Section.DONE)[0].endswith(f", hop_penalty = 230: {russian}")


@pytest.mark.parametrize("state", list(ActionState))
@pytest.mark.parametrize("language", list(LANGUAGES))
def test_every_state_of_an_action_has_words(state, language):
    assert said(told(language, actions=[action(state=state)]), Section.DONE)[0].endswith(".")


def test_did_it_help():
    closed = incident(
        state=IncidentState.CLOSED, closed_at=40.0, note="symptoms stayed away and the data plane is well"
    )
    steps = [action(), action("a2", ActionState.UNDONE, "restore-mtu", confirmed_at=None)]
    assert said(told(of=closed, actions=steps), Section.DONE)[2:4] == [
        "set-hop-penalty helped: the incident was closed after the proof.",
        "restore-mtu did not help.",
    ]
    assert "is held" not in told(of=closed, actions=[action(lease=True)]).text()
    assert said(told("ru", of=closed, actions=steps), Section.DONE)[-1] == (
        "Причина закрытия: «симптомы не вернулись, и данные проходят»."
    )
    assert said(told(actions=steps), Section.DONE)[-1] == (
        "Whether set-hop-penalty helped is known when the incident is closed."
    )


def test_alike_actions_are_one_sentence_that_cites_them_all():
    steps = [action("a1"), action("a2", target=Component("interface", "n2:v2-3"))]
    sentence = next(one for one in told(actions=steps).sentences if one.section is Section.DONE)
    assert "on interface n3:v3-2, interface n2:v2-3 with" in sentence.text
    assert [one.id for one in sentence.citations] == ["a1", "a2"]


def test_a_refusal_is_said_once_with_its_guard():
    plans = [plan("keeps_connected: would part the mesh: n2-n3 is the only way", "cool_down: 3 s ago"),
             plan("cool_down: 4 s ago")]  # fmt: skip
    assert said(told(plans=plans), Section.DONE)[:2] == [
        "detach-interface on interface n3:v3-2 was refused by keeps_connected: “would part the mesh: n2-n3 is the only "
        "way”.",
        "detach-interface on interface n3:v3-2 was refused by cool_down: “3 s ago”.",
    ]
    assert "правило keeps_connected (сеть распалась бы на части)" in said(told("ru", plans=plans), Section.DONE)[0]


def test_what_is_uncertain():
    node = Cause("node-down", Component("node", "n4"), 0.6, (replace(SYMPTOMS[0], value=float("nan")),),
                 contradicted_by=("no link-silent on link/x",))  # fmt: skip
    explanation = told(of=incident(node), silent={"netlink": "timed out"})
    assert said(explanation, Section.UNCERTAIN) == [
        "Against it speaks: no link-silent on link/x.",
        "It could also be link-down at link n2:v2-3<>n3:v3-2 (confidence 10 %).",
        "Expected, but not read: node-silent (no report of its agent arrives).",
        "loss_ratio of link n2:v2-3>n3:v3-2 has no value.",
        "The sensor netlink gives nothing now: “timed out”.",
    ]
    sure = incident(diagnosis=Diagnosis((CAUSE,), 10.0))
    assert said(told("ru", of=sure), Section.UNCERTAIN) == [
        "Других объяснений нет, и всё, что нужно для этой причины, измерено."
    ]


def test_many_symptoms_are_counted():
    many = tuple(replace(SYMPTOMS[0], component=Component("link", f"n1:a>n{n}:b")) for n in range(11))
    assert said(told(of=incident(replace(CAUSE, explains=many))), Section.WHY)[-1] == "5 more symptoms fit."
    assert said(told("ru", of=incident(replace(CAUSE, explains=many))), Section.WHY)[-1] == (
        "Ту же причину подтверждают ещё 5 симптомов."
    )


def test_events_are_cited_where_they_are_kept():
    events = [
        Event(7, 10.0, "controller", "incident.opened", "i9"),
        Event(9, 40.0, "controller", "incident.closed", "i9"),
    ]
    closed = incident(state=IncidentState.CLOSED, closed_at=40.0)
    sentence = told(of=closed, events=events).sentences[1]
    assert sentence.text.endswith("0.7 s after the first sign, and closed after 30.0 s.")
    assert [str(one) for one in sentence.citations] == ["event controller/7", "event controller/9"]


def test_the_page_is_quoted_with_a_passage_that_the_knowledge_base_has():
    for language in LANGUAGES:
        known = {one.id for document in runbook_documents(language) for one in passages(document)}
        for page in runbooks(language):
            if page.kind in ("cause", "symptom"):
                found = page_on(page.code, language)
                assert found.passage in known, page.code
                assert found.items, page.code
                assert REMEDIES[language] in found.text
                assert not any("](" in item or "```" in item for item in found.items), page.code


@pytest.mark.parametrize(
    ("code", "language", "begins"),
    [
        ("interface-mtu-low", "en", "`ip link set dev $IFACE mtu 1560`: on the end that is short, then"),
        ("interface-mtu-low", "ru", "`ip link set dev $IFACE mtu 1560`: на той стороне, где MTU занижен;"),
        ("small-mtu", "en", "`ip link set dev $IFACE mtu 1560`: on both ends of the link, then"),
        ("loop-avoidance-without-bridge", "en", "`batctl bridge_loop_avoidance 0`: and the same in the boot"),
    ],
)
def test_the_command_that_a_sentence_goes_on_from_is_shown(code, language, begins):
    assert page_on(code, language).items[0].startswith(begins)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_item_of_a_page_begins_in_the_middle_of_a_sentence(language):
    items = [(page.code, item) for page in runbooks(language) if (found := page_on(page.code, language))
             for item in found.items]  # fmt: skip
    assert [(code, item) for code, item in items if item[0].islower()] == []


def test_a_page_that_is_not_there_in_russian_is_given_in_english_and_said_so():
    clipped = incident(Cause("link-clipped", FORTH, 0.9, SYMPTOMS[:1]))
    explanation = told("ru", of=clipped)
    assert said(explanation, Section.BY_HAND)[0] == "Страница справочника есть только на английском."
    assert "## What fixes it" in explanation.passage


def test_the_text_numbers_its_sources():
    explanation = told(actions=[action()], past=history(1))
    text = explanation.text()
    sources = dict(re.findall(r"^\[(\d+)\] (.*)$", text, re.MULTILINE))
    assert list(sources) == [str(number) for number in range(1, len(sources) + 1)]
    assert sources["1"] == "incident i9"
    used = set(re.findall(r"\[(\d+)\]", text.rpartition("Sources")[0]))
    assert used == set(sources)


def test_a_brief_says_what_is_wrong():
    assert brief(facts(incident(), CATALOG), CATALOG, "ru").startswith("link-lossy, линк n2:v2-3<>n3:v3-2")


def test_an_unknown_language_is_refused():
    with pytest.raises(ConfigError, match="language: got 'de', allowed: en or ru"):
        told("de")


SCRIPT = """
import sys
sys.path.insert(0, {here!r})
from test_explanation import *
print(ascii([told(l, actions=[action()], past=history(1, 2), plans=[plan("cool_down: x")]).text() for l in LANGUAGES]))
"""


def test_the_same_facts_give_the_same_bytes_in_another_process_locale_zone_and_hash_seed(tmp_path):
    here = str(__import__("pathlib").Path(__file__).parent)
    outputs = set()
    for seed, zone in (("1", "UTC"), ("2", "Asia/Vladivostok")):
        environment = {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C", "PYTHONPATH": ":".join(sys.path)}
        run = subprocess.run([sys.executable, "-c", SCRIPT.format(here=here)], env=environment, capture_output=True,
                             text=True, check=True)  # fmt: skip
        outputs.add(run.stdout)
    assert len(outputs) == 1
    assert "link-lossy" in outputs.pop()


EVIL = st.text(max_size=60) | st.sampled_from(
    ["\u202ekcatta", "a\nb\r\nc", "[1] [99]", "\x1b[2J", "]\u2066", "«»“”" * 40]
)


@given(EVIL, EVIL, EVIL)
def test_foreign_texts_stay_in_their_sentence(detail, note, name):
    cause = replace(CAUSE, component=Component("node", name or "x"), detail=detail)
    closed = incident(cause, state=IncidentState.CLOSED, closed_at=12.0, note=note)
    for language in LANGUAGES:
        explanation = told(language, of=closed, actions=[action(detail=detail, kind=name)], silent={name: note})
        for sentence in explanation.sentences:
            assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\[\]]", sentence.text)
            assert len(sentence.text) < 1200
        numbers = {int(n) for n in re.findall(r"\[(\d+)\]", explanation.text())}
        assert numbers == set(explanation.numbers.values())
        json.dumps(explanation.text()).encode()


def test_a_long_log_line_is_cut():
    assert len(quoted("x" * 10_000)) == 240


def test_every_word_of_the_mesh_has_a_russian_one():
    wanted = {key for key in titles(CATALOG) if not key.startswith("metric/")}
    wanted |= {f"metric/{rule.metric}" for rule in CATALOG.symptoms}
    assert wanted == set(TITLES)
    assert {rule.__name__ for rule in RULES} == set(GUARDS)


def test_severities_have_words():
    for severity in Severity:
        symptom = replace(SYMPTOMS[0], severity=severity)
        assert "серьёзность — " in said(told("ru", of=incident(replace(CAUSE, explains=(symptom,)))), Section.WRONG)[0]
