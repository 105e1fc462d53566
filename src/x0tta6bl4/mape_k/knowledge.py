"""Incidents: many symptoms, one episode. Opens with a verdict, follows it while it is young, closes when all is quiet.

Pure bookkeeping: what changed comes back as values, the loop commits and publishes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from x0tta6bl4.catalog import Catalog
from x0tta6bl4.mape_k.analyzer import Analyzer, Sign
from x0tta6bl4.mape_k.graph import Graph
from x0tta6bl4.model import Component, Diagnosis, Incident, IncidentState, Relation, Seconds, Symptom, Window

REVISE_S = 3.0  # an incident this young may still change its mind without new symptoms
CONTRADICT_S = 1.0  # and this young, contradicting evidence may overturn it at once
DOUBT_S = 1.5  # later it may be recovery, of which one end tells before the other: it must have stood for so long
HOLD_DOWN_S = 10.0  # how long all must be quiet before an incident closes


@dataclass(frozen=True, slots=True)
class Change:
    """One incident that opened, was revised, became quiet, or closed in this pass."""

    type: str
    incident: Incident


class Knowledge:
    """What the phases share about episodes: open incidents, expected trouble, measured success of actions."""

    def __init__(
        self,
        catalog: Catalog,
        graph: Graph,
        analyzer: Analyzer,
        *,
        origin: str,
        new_id: Callable[[], str],
        hold_down_s: Seconds = HOLD_DOWN_S,
    ) -> None:
        self.catalog, self.graph, self.analyzer = catalog, graph, analyzer
        self.origin, self.new_id, self.hold_down_s = origin, new_id, hold_down_s
        self.open: dict[str, Incident] = {}
        self.windows: list[Window] = []
        self.statistics: dict[tuple[str, str], tuple[int, int]] = {}
        self.seq = 0
        self.helped: frozenset[str] = frozenset()  # incidents on which other loops act already
        self.held: frozenset[str] = frozenset()  # incidents that actions of other loops keep open
        self._covers: dict[str, frozenset[Sign]] = {}
        self._doubted: dict[str, Seconds] = {}  # incident -> since when evidence speaks against its cause

    def restore(self, incidents: Iterable[Incident], statistics: Mapping[tuple[str, str], tuple[int, int]]) -> None:
        """Take up what an earlier process left open."""
        for incident in incidents:
            self.open[incident.id] = incident
            self.seq = max(self.seq, incident.seq)
        self.statistics.update(statistics)

    def learn(self, cause: str, kind: str, helped: bool) -> None:
        """Count one ended attempt of an action kind against a cause."""
        trials, successes = self.statistics.get((cause, kind), (0, 0))
        self.statistics[(cause, kind)] = (trials + 1, successes + helped)

    def expected(self, now: Seconds) -> frozenset[Component]:
        """Components whose trouble is expected now: those of a window, and all that is part of or touches them."""
        self.windows = [w for w in self.windows if w.end > now]
        found: set[Component] = set()
        todo = [w.component for w in self.windows if w.start <= now]
        while todo:
            component = todo.pop()
            if component not in found:
                found.add(component)
                for relation in (Relation.PART_OF, Relation.FROM, Relation.TO):
                    todo.extend(self.graph.walk(component, ((relation, True),)))
        for link in list(found):  # an adjacency is expected to be down when one of its links is
            found.update(c for c in self.graph.walk(link, ((Relation.PART_OF, False),)) if c.kind == "adjacency")
        return frozenset(found)

    def covered(self, incident: Incident) -> frozenset[Sign]:
        """Every symptom that this incident explains."""
        known = self._covers.get(incident.id)
        if known is None:
            known = self._covers[incident.id] = self.analyzer.covers(incident.cause)
        return known

    def free(self, active: Sequence[Symptom], now: Seconds) -> list[Sign]:
        """Symptoms that no settled incident explains, and those of incidents that may still change their mind."""
        settled: set[Sign] = set()
        for incident in self.open.values():
            young = now - incident.opened_at <= REVISE_S and incident.diagnosis.cause.component.kind != "partition"
            if not young and not self._wrong(incident, now):
                settled |= self.covered(incident)
        return [sign for s in active if (sign := (s.code, s.component)) not in settled]

    def track(
        self,
        diagnoses: Sequence[Diagnosis],
        active: Sequence[Symptom],
        busy: frozenset[str],
        now: Seconds,
        utc: float,
    ) -> list[Change]:
        """Match verdicts with open incidents, open new ones, close quiet ones.

        busy: incidents with an action or a lease that has not ended; they do not close, nor do those that escalated.
        """
        changes: list[Change] = []
        signs = {(s.code, s.component) for s in active}
        for diagnosis in diagnoses:
            changes.extend(self._match(diagnosis, signs, now, utc))
        settled = [self._settle(i, signs, i.id in busy or i.id in self.held, now) for i in list(self.open.values())]
        changes.extend(change for change in settled if change is not None)
        return changes

    def _match(self, diagnosis: Diagnosis, signs: set[Sign], now: Seconds, utc: float) -> list[Change]:
        explained = {(s.code, s.component) for s in diagnosis.cause.explains}
        core, reach = self.analyzer.core(diagnosis.cause), self.analyzer.covers(diagnosis.cause)
        related = [
            i
            for i in self.open.values()
            if (i.cause.code, i.cause.component) == (diagnosis.cause.code, diagnosis.cause.component)
            or (
                not self._past(i, now)
                and self._one_trouble(i, core, reach)
                and not self._apart(i, explained, signs - reach, now)
            )
        ]
        if not related:
            return [self._open(diagnosis, now, utc)]
        keep, *rest = sorted(related, key=lambda i: i.seq)
        same = (keep.cause.code, keep.cause.component) == (diagnosis.cause.code, diagnosis.cause.component)
        if same or (explained <= self.covered(keep) and not self._wrong(keep, now)):
            return []
        changes = [self._revise(keep, diagnosis)]
        changes.extend(
            self._close(other, now, f"merged into {keep.id}")
            for other in rest
            if not other.escalated and {(s.code, s.component) for s in other.cause.explains} <= reach
        )
        return changes

    def _wrong(self, incident: Incident, now: Seconds) -> bool:
        """Does evidence speak against its cause, and not only because one end told of a recovery first?"""
        doubted = self.analyzer.contradicted(incident.cause, now)
        if doubted:  # what another incident explains is no evidence here
            others = (self.covered(i) for i in self.open.values() if i.id != incident.id)
            doubted = self.analyzer.contradicted(
                incident.cause, now, frozenset().union(*others) - self.covered(incident)
            )
        if not doubted:
            self._doubted.pop(incident.id, None)
            return False
        if incident.quiet_since is not None:  # the recovery is over
            return True
        since = self._doubted.setdefault(incident.id, now)
        return now - incident.opened_at <= CONTRADICT_S or now - since >= DOUBT_S

    def _past(self, incident: Incident, now: Seconds) -> bool:
        """Had its trouble ended, and is what came since another one?"""
        return incident.quiet_since is not None and self._wrong(incident, now)

    def _one_trouble(self, incident: Incident, core: frozenset[Sign], reach: frozenset[Sign]) -> bool:
        """Does the incident or a verdict explain what the other rests on? core, reach: of the verdict."""
        own = self.analyzer.core(incident.cause)
        return (bool(core) and core <= self.covered(incident)) or (bool(own) and own <= reach)

    def _apart(self, incident: Incident, explained: set[Sign], beyond: set[Sign], now: Seconds) -> bool:
        """Is this an older trouble beside a new one? Each of them has symptoms that the other does not explain."""
        covered = self.covered(incident)
        return now - incident.opened_at > REVISE_S and not covered.isdisjoint(beyond) and not explained <= covered

    def _open(self, diagnosis: Diagnosis, now: Seconds, utc: float) -> Change:
        self.seq += 1
        since = min((s.since for s in diagnosis.cause.explains), default=now)
        incident = Incident(
            id=self.new_id(),
            origin=self.origin,
            seq=self.seq,
            opened_at=now,
            diagnosis=diagnosis,
            since=since,
            opened_utc=utc,
        )
        self.open[incident.id] = incident
        return Change("incident.opened", incident)

    def _revise(self, incident: Incident, diagnosis: Diagnosis) -> Change:
        revised = replace(incident, diagnosis=diagnosis)
        self.open[incident.id] = revised
        self._forget(incident)
        return Change("incident.updated", revised)

    def _close(self, incident: Incident, now: Seconds, note: str) -> Change:
        closed = replace(incident, state=IncidentState.CLOSED, closed_at=now, note=note)
        del self.open[incident.id]
        self._forget(incident)
        return Change("incident.closed", closed)

    def _forget(self, incident: Incident) -> None:
        self._covers.pop(incident.id, None)
        self._doubted.pop(incident.id, None)

    def close(self, incident_id: str, now: Seconds, note: str) -> Change | None:
        """Close by hand, with a reason; None where it is not open."""
        incident = self.open.get(incident_id)
        return None if incident is None else self._close(incident, now, note)

    def mark(self, incident_id: str, **fields: object) -> Change | None:
        """Change fields of an open incident (`acted`, `state`); None where nothing changes or it is not open."""
        incident = self.open.get(incident_id)
        if incident is None or all(getattr(incident, k) == v for k, v in fields.items()):
            return None
        self.open[incident_id] = marked = replace(incident, **fields)  # type: ignore[arg-type]
        return Change("incident.marked", marked)

    def _settle(self, incident: Incident, signs: set[Sign], busy: bool, now: Seconds) -> Change | None:
        troubled = not signs.isdisjoint(self.covered(incident)) and not self._past(incident, now)
        if troubled:
            if incident.quiet_since is not None:
                self.open[incident.id] = replace(incident, quiet_since=None, reopened=incident.reopened + 1)
            return None
        if incident.quiet_since is None:
            self.open[incident.id] = replace(incident, quiet_since=now)
        elif now - incident.quiet_since >= self.hold_down_s and not busy and not incident.escalated:
            return self._close(incident, now, "symptoms stayed away and the data plane is well")
        return None
