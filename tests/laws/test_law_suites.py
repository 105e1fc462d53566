"""The law suites themselves: each law has somebody who breaks it, and is caught."""

from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from fakes import ManualClock, RecordingActuator
from x0tta6bl4.catalog import ActionKind, Catalog, CauseRule, Expect, Metric, Mode, Proposal, SymptomRule
from x0tta6bl4.mape_k.planner import SuccessRanker
from x0tta6bl4.model import Action, Component, Did, Layout, Observation, Outcome
from x0tta6bl4.testing import (
    actuator_laws,
    catalogue_laws,
    detector_laws,
    events,
    guard_laws,
    notifier_laws,
    ranker_laws,
    retriever_laws,
    sensor_laws,
)

N1 = Component("node", "n1")
LAYOUT = Layout((N1,), ("up",))
ONE = np.ones((1, 1), np.float32)
NUMBERS = count()


class Sensor:
    """A good sensor; `seen` changes what it says."""

    def __init__(self, name="s", **seen):
        self.name, self.seen = name, seen

    def read(self, now):
        return replace(Observation(self.name, now, LAYOUT, ONE), **self.seen)


class Fresh(Sensor):
    def read(self, now):
        return replace(super().read(now), layout=Layout((N1,), ("up",)))


@pytest.mark.parametrize(
    ("make", "law"),
    [
        (lambda: Sensor(""), "has a name"),
        (lambda: Sensor(7), "name is text"),
        (lambda: Sensor(f"s{next(NUMBERS)}"), "name is constant"),
        (lambda: Sensor(sensor="other"), "names its sensor"),
        (lambda: Sensor(at=-5.0), "time that read"),
        (lambda: Sensor(values=np.ones((2, 1), np.float32)), "layout's shape"),
        (lambda: Sensor(values=np.ones((1, 1))), "float32"),
        (lambda: Sensor(values=ONE * np.inf), "not an infinity"),
        (lambda: Sensor(age_s=-1.0), "in the future"),
        (lambda: Sensor(age_s=np.zeros(3, np.float32)), "one for each value"),
        (lambda: Sensor(layout=Layout((N1,), ("up", "up")), values=np.ones((1, 2), np.float32)), "each metric"),
        (lambda: Sensor(layout=Layout((Component("node", ""),), ("up",))), "components have names"),
        (lambda: Sensor(error="gone"), "says no error"),
        (Fresh, "keeps its Layout object"),
    ],
)
def test_a_sensor_that_breaks_a_law_is_caught(make, law):
    with pytest.raises(AssertionError, match=law):
        sensor_laws(make)


@pytest.mark.parametrize(
    ("broken", "law"),
    [(Sensor, "says why in `error`"), (lambda: Sensor(error="gone"), "never the last or a zero")],
)
def test_a_sensor_that_hides_its_failure_is_caught(broken, law):
    sensor_laws(Sensor)
    with pytest.raises(AssertionError, match=law):
        sensor_laws(Sensor, broken=broken)


ACTION = Action("fan", N1)


class Fan(RecordingActuator):
    """An actuator with a dead-man timer; what stands in `breaks` it does wrongly."""

    def __init__(self, breaks=""):
        super().__init__({"fan"})
        self.breaks, self.clock, self.speed = breaks, ManualClock(), 0

    def apply(self, order):
        if self.breaks == "raises nothing but":
            return None
        if order.id not in self.on or self.breaks == "twice":
            self.speed += 1
        return super().apply(order)

    def undo(self, order_id):
        if order_id in self.on:
            self.speed -= self.breaks != "restores"
        elif self.breaks == "unknown":
            return Outcome(order_id, Did.DONE)
        return super().undo(order_id)

    def resolve(self, order):
        found = super().resolve(order)
        return replace(found, did=Did.DONE) if self.breaks == "resolves" else found


def wait(fan, seconds):
    for ident in list(fan.on):
        if fan.breaks != "dead" and (ident not in fan.confirmed or fan.breaks == "confirmed"):
            fan.undo(ident)


def laws_of(fan):
    actuator_laws(lambda: Fan(fan), ACTION, state=lambda made: made.speed, wait=wait)


def test_an_actuator_that_keeps_the_laws_passes():
    laws_of("")


@pytest.mark.parametrize(
    ("breaks", "law"),
    [
        ("raises nothing but", "answers with an Outcome"),
        ("twice", "restores what was"),
        ("restores", "restores what was"),
        ("unknown", "refused was due"),
        ("resolves", "undone was due"),
        ("dead", "unconfirmed order undoes itself"),
        ("confirmed", "outlives its dead-man timer"),
    ],
)
def test_an_actuator_that_breaks_a_law_is_caught(breaks, law):
    with pytest.raises(AssertionError, match=law):
        laws_of(breaks)


def test_an_actuator_of_other_kinds_is_caught():
    with pytest.raises(AssertionError, match="fly is not among"):
        actuator_laws(Fan, Action("fly", N1))


def says_none(proposal, kind, view):
    """Answers nothing."""


def has_no_docstring(proposal, kind, view):
    return ""


COUNTED = []


def counts(proposal, kind, view):
    """Refuses every other time."""
    COUNTED.append(1)
    return "odd" if len(COUNTED) % 2 else ""


def shouts(proposal, kind, view):
    """Refuses in two lines."""
    return "no\nno"


@pytest.mark.parametrize(
    ("rule", "law"),
    [
        (says_none, "answers with its reason"),
        (has_no_docstring, "docstring"),
        (counts, "pure"),
        (shouts, "one line"),
        (lambda proposal, kind, view: "", "named function"),
    ],
)
def test_a_guard_that_breaks_a_law_is_caught(rule, law):
    with pytest.raises(AssertionError, match=law):
        guard_laws(rule)


class Ranker:
    def __init__(self, rank):
        self.rank = rank


def sorts_in_place(candidates, context):
    candidates.sort(key=lambda c: c.score)
    return candidates


@pytest.mark.parametrize(
    ("rank", "law"),
    [
        (lambda candidates, context: candidates[:1], "very candidates"),
        (lambda candidates, context: [replace(c, score=0.0) for c in candidates], "very candidates"),
        (sorts_in_place, "leaves its input"),
        (lambda candidates, context: candidates[::-1], "pure"),
        (lambda candidates, context: candidates if len(candidates) > 2 else candidates[::-1], "total order"),
    ],
)
def test_a_ranker_that_breaks_a_law_is_caught(rank, law):
    flip = []

    def sometimes(candidates, context):
        flip.append(1)
        return rank(candidates, context) if law != "pure" or len(flip) % 2 else list(candidates)

    with pytest.raises(AssertionError, match=law):
        ranker_laws(lambda: Ranker(sometimes))


def test_the_built_in_ranker_keeps_the_laws():
    ranker_laws(SuccessRanker)


class Distance:
    """A detector: how far a value lies from the mean of those learned."""

    name = "distance/1"
    breaks = ""

    def __init__(self):
        self.mean = None

    def score(self, values, now):
        if self.breaks == "input":
            values[:] = 0.0
        mean = 10.0 if self.mean is None else self.mean
        found = np.abs(values - mean)
        scores = found if self.breaks == "range" else found / (found + 1)
        scores = scores if self.breaks == "nan" else np.nan_to_num(scores)
        return scores[:, :1] if self.breaks == "shape" else scores

    def learn(self, values, mask, now):
        if mask.any():
            self.mean = float(values[mask].mean())


def test_a_detector_that_keeps_the_laws_passes():
    detector_laws(Distance)


@pytest.mark.parametrize(
    ("breaks", "law"),
    [
        ("shape", "readings' shape"),
        ("range", r"in \[0, 1\]"),
        ("nan", r"in \[0, 1\]"),
        ("input", "same history|inputs"),
    ],
)
def test_a_detector_that_breaks_a_law_is_caught(breaks, law):
    class Broken(Distance):
        pass

    Broken.breaks = breaks
    with pytest.raises(AssertionError, match=law):
        detector_laws(Broken)


HOT = SymptomRule("hot", "node", "temperature_c", "it is hot", 85, 75)
GOOD = Catalog(
    "c",
    (Metric("node", "temperature_c", "temperature"),),
    (HOT,),
    (CauseRule("overheated", "node", "too hot", (Expect("hot", Mode.MUST),), 0.5),),
    (ActionKind("fan", "node", "switch the fan on", 0.1),),
    {"overheated": lambda cause, view: [Proposal(Action("fan", cause.component), ())]},
)


def test_a_catalogue_that_keeps_the_laws_passes():
    catalogue_laws(lambda: GOOD)


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"name": ""}, "has a name"),
        ({"metrics": GOOD.metrics * 2}, "each metric"),
        ({"symptoms": (HOT, replace(HOT, raise_at=99))}, "each symptom"),
        ({"symptoms": (replace(HOT, clear_at=90),)}, "well side"),
        ({"symptoms": (replace(HOT, above=False),)}, "well side"),
        ({"symptoms": (replace(HOT, raise_after_s=-1),)}, "not negative"),
        ({"symptoms": (replace(HOT, title=""),)}, "in its title"),
        ({"causes": (replace(GOOD.causes[0], expects=()),)}, "expects some symptom"),
        ({"causes": (replace(GOOD.causes[0], prior=0),)}, "is possible"),
        ({"actions": (ActionKind("fan", "node", "fan", 2.0),)}, "risk lies"),
        ({"actions": ()}, "not declared"),
        ({"remedies": {"cold": lambda cause, view: ()}}, "declared cause"),
        ({"remedies": {"overheated": lambda cause, view: ["fan"]}}, "gives proposals"),
        ({"risks": (lambda view: ["risk"],)}, "gives risks"),
    ],
)
def test_a_catalogue_that_breaks_a_law_is_caught(changes, law):
    with pytest.raises(AssertionError, match=law):
        catalogue_laws(lambda: replace(GOOD, **changes))


class Notifier:
    """A notifier that understands everything."""

    name = "n"

    def send(self, event):
        pass


class Picky(Notifier):
    def send(self, event):
        event.data["code"]


class Scribbles(Notifier):
    def send(self, event):
        event.data["seen"] = True


class Nameless(Notifier):
    name = ""


def test_a_notifier_that_keeps_the_laws_passes():
    notifier_laws(Notifier)


@pytest.mark.parametrize(
    ("make", "error", "law"),
    [(Picky, KeyError, "code"), (Scribbles, AssertionError, "changes no event"), (Nameless, AssertionError, "a name")],
)
def test_a_notifier_that_breaks_a_law_is_caught(make, error, law):
    assert len(events()) == 5
    with pytest.raises(error, match=law):
        notifier_laws(make)


class Shelf:
    """Finds pages by how many words of the query they hold."""

    PAGES = (("mast", "the mast on the roof"), ("roof", "the roof"), ("cellar", "a cellar"))

    def __init__(self, breaks=""):
        self.breaks, self.asked = breaks, 0

    async def retrieve_context(self, query, k=5, threshold=0.3):
        self.asked += 1
        words = set(query.split())
        found = [(ident, text, len(words & set(text.split())) / max(1, len(words))) for ident, text in self.PAGES]
        found = sorted((one for one in found if one[2] > 0), key=lambda one: -one[2])
        if self.breaks == "order":
            found.reverse()
        if self.breaks == "scale":
            found = [(ident, text, similarity * 9) for ident, text, similarity in found]
        if self.breaks == "luck" and self.asked > 1:
            found = found[1:]
        if self.breaks != "threshold":
            found = [one for one in found if one[2] >= threshold]
        if self.breaks != "count":
            found = found[:k]
        if self.breaks == "text" and not query:
            raise ValueError("ask something")
        ids = [SimpleNamespace(id=ident, content=text) for ident, text, _ in found]
        return SimpleNamespace(documents=ids, similarities=[similarity for *_, similarity in found])


def test_a_retriever_that_keeps_the_laws_passes():
    retriever_laws(Shelf, "the roof mast")


@pytest.mark.parametrize(
    ("breaks", "law"),
    [("order", "best comes first"), ("scale", "lie in"), ("luck", "same answer"), ("threshold", "left out"),
     ("count", "how many at most"), ("text", "ask something")],
)  # fmt: skip
def test_a_retriever_that_breaks_a_law_is_told_which(breaks, law):
    with pytest.raises((AssertionError, ValueError), match=law):
        retriever_laws(lambda: Shelf(breaks), "the roof mast")
