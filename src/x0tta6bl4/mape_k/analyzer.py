"""Symptoms to causes: root cause on the graph.

Every cause of the catalogue says which symptoms it leads to and where (`Expect`). A candidate is a cause at a
component; it is viable when what it must show is there and nothing known contradicts it; it waits (`settle_s`) for
evidence that is not in yet. The verdicts are a greedy cover of the free symptoms: the candidate that explains
most wins, ties go to the larger prior (a parsimonious set cover, as in Reggia's model of diagnosis, 1983).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from x0tta6bl4.catalog import Catalog, CauseRule, Expect, Mode
from x0tta6bl4.mape_k.graph import Graph, reachable
from x0tta6bl4.mape_k.symptoms import Status, Symptoms
from x0tta6bl4.model import Cause, Component, Diagnosis, Relation, Seconds, Symptom

Sign = tuple[str, Component]  # a symptom's code and component
Pairs = frozenset[frozenset[Component]]
SHOWS = (Mode.MUST, Mode.ALL, Mode.ANY)  # without any of these symptoms a cause is not there
DENIES = (Mode.NOT, Mode.NOT_ALL, Mode.SPARED)  # these explain no symptom
SETTLE_PART_S = 0.3  # how long the verdict "parted" waits for somebody behind the cut to be heard
CAUSES_MAX = 5  # how many a verdict lists, itself among them
EASING_S = 0.3  # how soon to look again at what may be about to clear
Steps = tuple[tuple[Relation, bool], ...]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One cause at one component, held against the evidence."""

    rule: CauseRule
    component: Component
    explains: tuple[Symptom, ...]
    shows: frozenset[Sign]  # what is there of that without which it would not be it
    contradictions: tuple[str, ...]
    unknown: int
    whole: bool  # it expects symptoms elsewhere, and all of them are there
    stands: bool  # what it needs is there
    easing: bool  # some of what it needs may be about to clear

    @property
    def viable(self) -> bool:
        """It stands and nothing known speaks against it."""
        return self.stands and not self.contradictions

    @property
    def confidence(self) -> float:
        """[0, 1]: prior odds moved by the share of expectations that are met; contradicted ones count double."""
        met, missed = len(self.explains), 2 * len(self.contradictions)
        share = (met + 0.5) / (met + missed + 0.25 * self.unknown + 0.5)
        return self.rule.prior * share / (self.rule.prior * share + (1 - self.rule.prior) * (1 - share) + 1e-9)

    def cause(self) -> Cause:
        """As a value."""
        return Cause(self.rule.code, self.component, round(self.confidence, 3), self.explains, self.contradictions)


class Analyzer:
    """Diagnoses over one catalogue, graph and set of symptoms.

    seat: the vertex from which the loop looks (None where the catalogue has no partitions).
    """

    def __init__(self, catalog: Catalog, graph: Graph, symptoms: Symptoms, seat: Component | None = None) -> None:
        self.catalog, self.graph, self.symptoms, self.seat = catalog, graph, symptoms, seat
        self._leads: dict[str, list[tuple[CauseRule, Steps]]] = {}
        self._steps: dict[Expect, Steps] = {}
        for cause in catalog.causes:
            for expect in cause.expects:
                self._steps[expect] = tuple(expect.steps())
                if expect.mode in SHOWS:
                    back = tuple((relation, not backwards) for relation, backwards in reversed(expect.steps()))
                    self._leads.setdefault(expect.symptom, []).append((cause, back))
        self._raised_at: dict[Sign, Seconds] = {}
        self._by_sign: dict[Sign, Symptom] = {}  # what is active in this pass
        self._cut: tuple[int, Pairs, set[Component], list[frozenset[Component]]] = (-1, frozenset(), set(), [])
        self.patience = 1.0  # factor on every settle_s
        self.next_look: Seconds | None = None  # when evidence that is waited for will have settled

    def core(self, cause: Cause) -> frozenset[Sign]:
        """Of what this cause explains, the symptoms that it rests on; others, such as missing reports, only fit it."""
        rule = self.catalog.cause.get((cause.code, cause.component.kind))
        codes = None if rule is None else {expect.symptom for expect in rule.expects if expect.mode in SHOWS}
        return frozenset((s.code, s.component) for s in cause.explains if codes is None or s.code in codes)

    def covers(self, cause: Cause) -> frozenset[Sign]:
        """Every symptom that this cause explains, whether it is there or not."""
        rule = self.catalog.cause.get((cause.code, cause.component.kind))
        signs = {(s.code, s.component) for s in cause.explains}
        signs |= self._touching(cause.behind)
        if rule is not None:
            for expect in rule.expects:
                if expect.mode not in DENIES:
                    kind = self.catalog.symptom[expect.symptom].kind
                    for place in self.graph.walk(cause.component, self._steps[expect]):
                        if place.kind == kind:
                            signs.add((expect.symptom, place))
        return frozenset(signs)

    def _touching(self, vertices: Iterable[Component]) -> set[Sign]:
        """Every symptom of these vertices and of the links that touch them."""
        places: dict[Component, None] = {}
        for vertex in vertices:
            places[vertex] = None
            for relation in (Relation.FROM, Relation.TO):
                places.update(dict.fromkeys(self.graph.walk(vertex, ((relation, True),))))
        return {(r.code, place) for place in places for r in self.catalog.symptoms if r.kind == place.kind}

    def contradicted(self, cause: Cause, now: Seconds, without: frozenset[Sign] = frozenset()) -> bool:
        """Is part of what the cause needs still there while newer evidence, but for `without`, speaks against it?"""
        if self._rejoined(cause, now, without):
            return True
        found = self._again(cause, now, without)
        return found is not None and found.stands and bool(found.contradictions)

    def _rejoined(self, cause: Cause, now: Seconds, without: frozenset[Sign]) -> bool:
        """Is a vertex that this cause cuts off heard, later than what is still cut there?"""
        behind = frozenset(cause.behind)
        cut = [
            symptom.since
            for sign, symptom in (self._by_sign.items() if behind else ())
            if symptom.code in self.catalog.cuts
            and sign not in without
            and not behind.isdisjoint(self.graph.ends(symptom.component) or ())
        ]
        return bool(cut) and any(self._heard(vertex, min(cut), now) for vertex in behind)

    def stands(self, cause: Cause, now: Seconds) -> bool:
        """Is what the cause needs still there, none of it about to clear, and nothing known against it?"""
        found = self._again(cause, now)
        if found is None:
            return not self._rejoined(cause, now, frozenset())
        return found.viable and not found.easing

    def _again(self, cause: Cause, now: Seconds, without: frozenset[Sign] = frozenset()) -> Hypothesis | None:
        rule = self.catalog.cause.get((cause.code, cause.component.kind))
        if rule is None:
            return None
        by_sign = self._by_sign
        if not without.isdisjoint(by_sign):
            by_sign = {sign: symptom for sign, symptom in by_sign.items() if sign not in without}
        return self._hold(rule, cause.component, by_sign, now)

    def see(self, active: Sequence[Symptom]) -> None:
        """Take in the symptoms of this pass."""
        self._by_sign = {(s.code, s.component): s for s in active}

    def diagnose(self, active: Sequence[Symptom], free: Iterable[Sign], now: Seconds) -> tuple[Diagnosis, ...]:
        """Verdicts that explain the `free` symptoms among all `active` ones; none yet for what has to settle."""
        self.see(active)
        by_sign = self._by_sign
        self._raised_at = {sign: self._raised_at.get(sign, now) for sign in by_sign}
        left = set(free)
        self.next_look = None
        diagnoses: list[Diagnosis] = []
        parted = self._parted(by_sign, left, now)
        if parted is not None:
            diagnoses.append(parted)
            left -= self.covers(parted.cause)
        hypotheses = self._hypotheses(left, by_sign, now)
        easing = {sign for sign in left if self.symptoms.easing(*sign)}
        while left:
            # what another verdict explains is no reason for a second one
            standing = [h for h in hypotheses if not h.shows.isdisjoint(left)]
            ranked = sorted(standing, key=lambda h: self._rank(h, left - easing), reverse=True)
            best = ranked[0] if ranked else None
            explained = set() if best is None else {(s.code, s.component) for s in best.explains} & left
            if best is None or not explained:
                break
            hypotheses.remove(best)
            if best.easing:
                self._look(now + EASING_S)
            elif not self._wait(explained, best.rule.settle_s if best.unknown else best.rule.hold_s, now):
                fitting = [h for h in ranked if {(s.code, s.component) for s in h.explains} & explained]
                diagnoses.append(Diagnosis(_one_a_place(fitting), now))
                explained |= self.covers(best.cause()) & left
            left -= explained
        return tuple(diagnoses)

    @staticmethod
    def _rank(hypothesis: Hypothesis, left: set[Sign]) -> tuple[int, int, float, str]:
        """left: what is to be explained, but for what is well again by its newest reading and about to go."""
        gain = sum((s.code, s.component) in left for s in hypothesis.explains)
        return (gain, int(hypothesis.whole), hypothesis.rule.prior, str(hypothesis.component))

    def _hypotheses(self, left: set[Sign], by_sign: dict[Sign, Symptom], now: Seconds) -> list[Hypothesis]:
        tried: set[tuple[str, Component]] = set()
        found: list[Hypothesis] = []
        for code, component in (sign for sign in by_sign if sign in left):  # a set has no order of its own
            for rule, back in self._leads.get(code, ()):
                for place in self.graph.walk(component, back):
                    if place.kind == rule.kind and (rule.code, place) not in tried:
                        tried.add((rule.code, place))
                        hypothesis = self._hold(rule, place, by_sign, now)
                        if hypothesis.viable:
                            found.append(hypothesis)
        return found

    def _hold(self, rule: CauseRule, place: Component, by_sign: dict[Sign, Symptom], now: Seconds) -> Hypothesis:
        """Hold one cause at one place against the evidence."""
        explains: list[Symptom] = []
        shows: list[Symptom] = []  # what it could not be without
        everywhere: list[Symptom] = []
        wanted: list[Sign] = []
        spared: dict[Expect, list[tuple[Component, bool]]] = {}  # (place, is it there?)
        contradictions: list[str] = []
        must = True
        for expect in rule.expects:
            kind = self.catalog.symptom[expect.symptom].kind
            for where in self.graph.walk(place, self._steps[expect]):
                if where.kind != kind:
                    continue
                symptom = by_sign.get((expect.symptom, where))
                if expect.mode is Mode.NOT:
                    if symptom is not None:
                        contradictions.append(f"{expect.symptom} on {where}")
                elif expect.mode in (Mode.NOT_ALL, Mode.SPARED):
                    spared.setdefault(expect, []).append((where, symptom is not None))
                elif symptom is not None:
                    explains.append(symptom)
                    if expect.mode in (Mode.ALL, Mode.ALSO):
                        everywhere.append(symptom)
                    if expect.mode in SHOWS:
                        shows.append(symptom)
                elif expect.mode is Mode.MUST:
                    must = False
                elif expect.mode in (Mode.ALL, Mode.ALSO):
                    wanted.append((expect.symptom, where))
        since = min((s.since for s in shows), default=now)
        for expect, places in spared.items():
            if all(there for _, there in places):
                contradictions.append(f"{expect.symptom} everywhere")
            elif expect.mode is Mode.SPARED and not any(
                self.symptoms.status(expect.symptom, where, since, now) is Status.ABSENT for where, _ in places
            ):
                must = False
        unknown = apart = 0
        elsewhere = any(s.component != place for s in everywhere)
        for code, where in wanted:
            status = self.symptoms.status(code, where, since, now)
            if status is Status.ABSENT:
                contradictions.append(f"no {code} on {where}")
            else:  # not known; ACTIVE here is raised, but inhibited by an expected reboot or a window
                unknown += 1
                apart += where != place
        return Hypothesis(
            rule,
            place,
            tuple(dict.fromkeys(explains)),
            frozenset((s.code, s.component) for s in shows),
            tuple(contradictions),
            unknown,
            elsewhere and not apart,
            must and bool(shows),
            any(self.symptoms.easing(s.code, s.component) for s in shows),
        )

    def _away(self, seat: Component, broken: Pairs) -> tuple[set[Component], list[frozenset[Component]]]:
        """Vertices that the seat does not reach past the broken adjacencies, and those adjacencies between."""
        everywhere = self.graph.neighbours()
        near = reachable(everywhere, seat, broken)
        borders = [pair for pair in broken if len(pair & near) == 1]
        away: set[Component] = set()
        for pair in borders:
            (far,) = pair - near
            if far not in away:
                away |= reachable(everywhere, far, broken)
        return away, borders

    def _parted(self, by_sign: dict[Sign, Symptom], left: set[Sign], now: Seconds) -> Diagnosis | None:
        """Two or more vertices are away: named with the cut, or by the one dead vertex that all of the cut touches.

        A single dead link towards them cannot be told from a dead vertex behind it: both are said.
        """
        cut = [s for s in by_sign.values() if s.code in self.catalog.cuts]
        if self.seat is None or not self.catalog.partition or not cut:
            return None
        broken = frozenset(frozenset(ends) for s in cut if (ends := self.graph.ends(s.component)) is not None)
        if self._cut[:2] != (self.graph.version, broken):
            self._cut = (self.graph.version, broken, *self._away(self.seat, broken))
        _, _, away, borders = self._cut
        since = min(s.since for s in cut)
        if len(away) < 2 or any(self._heard(vertex, since, now) for vertex in away):
            return None
        signs = self._touching(away)
        explained = tuple(s for s in by_sign.values() if (s.code, s.component) in signs)
        free = {(s.code, s.component) for s in explained} & left
        if not free:
            return None
        if self._wait(free, SETTLE_PART_S, now):
            left -= free
            return None
        name, cut_at = ",".join(sorted(v.name for v in away)), ", ".join(sorted("-".join(_names(p)) for p in borders))
        parted = Cause(
            self.catalog.partition,
            Component(self.catalog.partition, name),
            0.9,
            explained,
            behind=tuple(sorted(away)),
            detail=f"cut at {cut_at}",
        )
        middle = frozenset.intersection(*borders) & away
        if not middle or not self.catalog.vertex_down:
            return Diagnosis((parted,), now)
        (dead,) = middle
        down = Cause(
            self.catalog.vertex_down,
            dead,
            0.8 if len(borders) > 1 else 0.4,
            explained,
            behind=tuple(sorted(away - {dead})),
            detail=f"it cuts off {name}",
        )
        ranked = (
            (down, replace(parted, confidence=0.2)) if len(borders) > 1 else (replace(parted, confidence=0.6), down)
        )
        return Diagnosis(ranked, now)

    def _heard(self, vertex: Component, since: Seconds, now: Seconds) -> bool:
        code = self.catalog.unheard
        return bool(code) and self.symptoms.status(code, vertex, since, now) is Status.ABSENT

    def _wait(self, signs: set[Sign], settle_s: Seconds, now: Seconds) -> bool:
        """Must the verdict on these symptoms wait? Remembers when to look again."""
        settled = min(self._raised_at[sign] for sign in signs) + settle_s * self.patience
        if now >= settled - 1e-9:
            return False
        self._look(settled)
        return True

    def _look(self, at: Seconds) -> None:
        self.next_look = at if self.next_look is None else min(at, self.next_look)


def _one_a_place(ranked: Iterable[Hypothesis]) -> tuple[Cause, ...]:
    """The best few as causes: of several at one component only the first, the others would tell nothing new."""
    best: dict[Component, Hypothesis] = {}
    for hypothesis in ranked:
        best.setdefault(hypothesis.component, hypothesis)
    return tuple(hypothesis.cause() for hypothesis in list(best.values())[:CAUSES_MAX])


def _names(pair: frozenset[Component]) -> list[str]:
    return sorted(vertex.name for vertex in pair)
