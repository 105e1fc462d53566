"""One run's score: what was true (the lab's timeline and probes) against what the controller claimed and did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from x0tta6bl4.lab import wellness
from x0tta6bl4.lab.harm import Harm, Replay, harms
from x0tta6bl4.lab.record import FaultRecord, RunRecord

LATE_S: Final = 10.0  # evidence of a fault still arrives this long after its end: naming it then is late, not false
_NAMING: Final = frozenset({"incident.opened", "incident.updated", "incident.reopened"})
_APPLIED: Final = frozenset({"action.applied", "action.proving", "action.confirmed"})

Verdict = tuple[tuple[str, str], ...]
"""(code, component) of the ranked causes, best first."""


@dataclass(frozen=True, slots=True)
class FaultScore:
    """How one fault went. `ttd_s`, `ttr_s`: None where it was missed. `bad_s`: None where no pair counted.
    `recovered`: None where no counted pair was hurt, so that there was nothing to recover from. `verdict`: code and
    component as they stood at the first applied action, else at close; "" if undetected.
    """

    id: str
    kind: str
    kind_class: str
    start: float
    end: float
    code: str
    component: str
    repairable: bool
    detected: bool
    ttd_s: float | None
    verdict: str
    cause_top1: bool
    cause_top3: bool
    hurt_pairs: int
    recovered: bool | None
    ttr_s: float | None
    bad_s: float | None

    @property
    def duration_s(self) -> float:
        """How long the timeline kept it: what a miss enters the percentiles with."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class RunScore:
    """The score of one run. `seconds`: how long it was watched. `key`: what a resumed score recognises it by."""

    scenario: str
    backend: str
    algorithm: str
    tuning: str
    management: str
    seed: int
    controller: bool
    seconds: float
    healthy_hours: float
    invalid: str
    faults: tuple[FaultScore, ...]
    false_incidents: tuple[str, ...]
    actions: int
    harmful: tuple[str, ...]
    drift: tuple[str, ...]
    notes: Mapping[str, float] = field(default_factory=dict)
    key: str = ""


@dataclass(slots=True)
class Story:
    """One incident as it arrived. `verdicts` are (arrival, names the component now, causes); `acted_at`: when it was
    first heard that an action of it was applied; `stood`: for how many seconds it named each component while open.
    """

    id: str
    opened_at: float
    closed_at: float | None = None
    acted_at: float | None = None
    verdicts: list[tuple[float, bool, Verdict]] = field(default_factory=list)
    stood: dict[str, float] = field(default_factory=dict)
    _since: float = 0.0

    def decided(self) -> Verdict:
        """The verdict as it stood at the first applied action, else at close (or at the end of the run)."""
        standing = [causes for at, _, causes in self.verdicts if self.acted_at is None or at <= self.acted_at]
        return standing[-1] if standing else ()

    def named(self, fault: FaultRecord, late_s: float = 0.0) -> float | None:
        """When it first named the fault's component, at most `late_s` after its end; None if it did not."""
        for at, naming, causes in self.verdicts:
            in_time = fault.start <= at < fault.end + late_s
            if naming and in_time and causes and causes[0][1] == fault.truth.component:
                return at
        return None

    def count(self, at: float) -> None:
        """Time has come to `at`: what it names has stood until then."""
        if self.verdicts and self.closed_at is None:
            component = self.verdicts[-1][2][0][1]
            self.stood[component] = self.stood.get(component, 0.0) + at - self._since
        self._since = at

    def matched(self, faults: Sequence[FaultRecord]) -> list[FaultRecord]:
        """The faults it named; none where it stood longer on a component that was no fault it named."""
        named = [fault for fault in faults if self.named(fault, LATE_S) is not None]
        true = {fault.truth.component for fault in named}
        best = max((self.stood.get(one, 0.0) for one in true), default=0.0)
        return named if best >= max((s for one, s in self.stood.items() if one not in true), default=0.0) else []


def judge(run: RunRecord, off_runs: Sequence[RunRecord] = (), replay: Replay | None = None) -> RunScore:
    """Score one run.

    off_runs: runs of the same scenario without a controller (for harm outside `sim`). replay: the pair records of
    this run with its participants frozen just before a time (for harm in `sim`). An invalid run is judged too; it
    is `total` that leaves it out.
    """
    stories = read_incidents(run.events, run.duration)
    hurt = harms(run, [off for off in off_runs if not off.invalid], replay)
    return RunScore(
        scenario=run.scenario,
        backend=run.backend,
        algorithm=run.algorithm,
        tuning=run.tuning,
        management=run.management,
        seed=run.seed,
        controller=run.controller,
        seconds=run.duration,
        healthy_hours=run.healthy_hours,
        invalid=run.invalid,
        faults=tuple(_fault_score(run, fault, stories) for fault in run.faults),
        false_incidents=tuple(_false_incidents(run.faults, stories)),
        actions=_count_actions(run.events),
        harmful=tuple(_harm_text(harm) for harm in hurt),
        drift=tuple(_drift(run.settings_start, run.settings_end)),
        notes=dict(run.notes),
    )


def read_incidents(events: Sequence[tuple[float, Mapping[str, object]]], end: float) -> list[Story]:
    """The incidents of an event stream that was heard until `end`, in order of arrival."""
    stories: dict[str, Story] = {}
    for at, event in events:
        name, kind = str(event.get("incident") or ""), str(event.get("type") or "")
        if not name:
            continue
        story = stories.setdefault(name, Story(name, at))
        if kind in _APPLIED:
            story.acted_at = at if story.acted_at is None else story.acted_at
        elif kind.startswith("incident."):
            story.count(at)
            if causes := _causes(event):
                story.verdicts.append((at, kind in _NAMING, causes))
            if kind == "incident.closed":
                story.closed_at = at
            elif kind in _NAMING:  # opened again
                story.closed_at = None
    for story in stories.values():
        story.count(max(end, story.opened_at))
    return list(stories.values())


def _causes(event: Mapping[str, object]) -> Verdict:
    data = event.get("data")
    data = data if isinstance(data, Mapping) else {}
    top = (str(data.get("code") or ""), str(data.get("component") or event.get("component") or ""))
    listed = data.get("causes")
    rest = [
        (str(cause.get("code") or ""), str(cause.get("component") or ""))
        for cause in (listed if isinstance(listed, Sequence) else ())
        if isinstance(cause, Mapping)
    ]
    if not top[1]:
        return tuple(rest)
    return (top, *(cause for cause in rest if cause != top))


def _fault_score(run: RunRecord, fault: FaultRecord, stories: Sequence[Story]) -> FaultScore:
    mine = [story for story in stories if fault in story.matched(run.faults)]
    named = [(at, story) for story in mine if (at := story.named(fault)) is not None]
    ttd_s: float | None = None
    causes: Verdict = ()
    if named:
        at, story = min(named, key=lambda pair: pair[0])
        ttd_s, causes = at - fault.start, story.decided()
    truth = (fault.truth.code, fault.truth.component)
    recoveries = [wellness.recovery(pair, fault.start, fault.end) for pair in run.pairs]
    hurt = [one for one in recoveries if one.counted and one.hurt]
    times = [one.after_s for one in hurt if one.after_s is not None]
    recovered = len(times) == len(hurt) if hurt else None
    bads = [bad for pair in run.pairs if (bad := wellness.bad_s(pair, fault.start, fault.end)) is not None]
    return FaultScore(
        id=fault.id,
        kind=fault.kind,
        kind_class=fault.kind_class,
        start=fault.start,
        end=fault.end,
        code=truth[0],
        component=truth[1],
        repairable=fault.repairable,
        detected=bool(named),
        ttd_s=ttd_s,
        verdict=" ".join(causes[0]) if causes else "",
        cause_top1=bool(named) and truth in causes[:1],
        cause_top3=bool(named) and truth in causes[:3],
        hurt_pairs=len(hurt),
        recovered=recovered,
        ttr_s=max(times) if recovered else None,
        bad_s=sum(bads) / len(bads) if bads else None,
    )


def _false_incidents(faults: Sequence[FaultRecord], stories: Sequence[Story]) -> list[str]:
    """Incidents that stood on no fault, and a second one for a fault opened while the first was open."""
    false: list[str] = []
    first: dict[str, Story] = {}
    for story in stories:
        matched = [fault.id for fault in story.matched(faults)]
        fresh = [name for name in matched if not _still_open(first.get(name), story.opened_at)]
        for name in fresh:
            first[name] = story
        if not fresh:
            causes = story.verdicts[-1][2] if story.verdicts else (("", "unknown"),)
            why = " (a second for one fault)" if matched else ""
            false.append(f"{' '.join(causes[0]).strip()} at {story.opened_at:.2f} s{why}")
    return false


def _still_open(story: Story | None, at: float) -> bool:
    return story is not None and (story.closed_at is None or story.closed_at > at)


def _count_actions(events: Sequence[tuple[float, Mapping[str, object]]]) -> int:
    """How many actions were applied, each once; of an agent's action the event itself may not have been heard of."""
    applied: set[str] = set()
    for place, (_, event) in enumerate(events):
        if event.get("type") in _APPLIED:
            data = event.get("data")
            name = data.get("id") if isinstance(data, Mapping) else None
            applied.add(str(name or f"event {place}"))
    return len(applied)


def _harm_text(harm: Harm) -> str:
    step = harm.step
    return (
        f"{step.what}={step.value} on {step.node} {step.component} at {step.at:.2f} s: "
        f"pair {harm.pair} lost its replies for {harm.seconds:.2f} s from {harm.since:.2f} s on"
    )


def _drift(start: Mapping[str, Mapping[str, str]], end: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Settings that did not come back; lists are compared as sets, which interface is primary is not compared."""
    changed = []
    for node in sorted(start.keys() | end.keys()):
        before, after = start.get(node, {}), end.get(node, {})
        for name in sorted((before.keys() | after.keys()) - {"primary"}):
            old, new = before.get(name, "not there"), after.get(name, "not there")
            if sorted(old.replace(",", " ").split()) != sorted(new.replace(",", " ").split()):
                changed.append(f"{node} {name}: {old} -> {new}")
    return changed
