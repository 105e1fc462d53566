"""Which changes of settings hurt clients that were well: the lab's judgement, not the controller's.

A step (apply, undo or revert, as the lab's kernel saw it) is *harmful* where within 10 s of it a well pair gets
under half its replies for over 1 s, no timeline event touched its path meanwhile (`PairRecord.path_touched`), and the
same does not happen without the step: in `sim` a replay with the controller frozen before it, elsewhere runs without
the controller, within 5 s of that time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from x0tta6bl4.lab import wellness
from x0tta6bl4.lab.record import PairRecord, RunRecord, Step

Replay = Callable[[float], Sequence[PairRecord]]
"""The pair records of the same run with its participants frozen just before the given time."""

BLAME_S: Final = 10.0
OFF_RUN_S: Final = 5.0
_IN_FLIGHT_S: Final = wellness.SLOW_MS / 1000  # a probe already on its way is lost to a step that follows it


@dataclass(frozen=True, slots=True)
class Harm:
    """One step that hurt a well pair: the dip began at `since` and lasted `seconds`."""

    step: Step
    pair: str
    since: float
    seconds: float


def harms(run: RunRecord, off_runs: Sequence[RunRecord] = (), replay: Replay | None = None) -> list[Harm]:
    """All harmful steps of a run, each once, in order of time.

    off_runs: valid runs of the same scenario without a controller. replay: see `Replay`; asked only for steps
    that a dip follows, once for each step time. With neither, every dip of a well pair after a step is harm.
    """
    if not run.steps:
        return []
    asked: dict[float, Sequence[PairRecord]] = {}

    def without(at: float) -> Sequence[PairRecord]:
        if replay is None:
            return ()
        if at not in asked:
            asked[at] = replay(at)
        return asked[at]

    found: dict[tuple[float, str], Harm] = {}
    for pair in run.pairs:
        seen = wellness.windows(pair)
        for since, until in wellness.dips(pair).tolist():
            step = _culprit(run, pair, seen, (since, until), off_runs=off_runs, replay=without if replay else None)
            if step is not None:
                name = f"{pair.source}-{pair.target}"
                found.setdefault((step.at, step.node), Harm(step, name, since, until - since))
    return [found[key] for key in sorted(found)]


def _culprit(
    run: RunRecord,
    pair: PairRecord,
    seen: wellness.Windows,
    dip: tuple[float, float],
    *,
    off_runs: Sequence[RunRecord],
    replay: Replay | None,
) -> Step | None:
    """The latest step that this dip is to be blamed on."""
    since, until = dip
    near = [step for step in run.steps if since - BLAME_S <= step.at <= since + _IN_FLIGHT_S]
    for step in sorted(near, key=lambda step: -step.at):
        if any(step.at <= at <= since + wellness.DIP_S for at in pair.path_touched):
            return None  # the timeline came between; so it did for every earlier step
        if not (wellness.well_at(seen, step.at) or wellness.well_at(seen, since)):
            continue
        if replay is not None:
            if not _shown(replay(step.at), pair, since, until):
                return step
        elif not any(_shown(off.pairs, pair, since - OFF_RUN_S, since + OFF_RUN_S) for off in off_runs):
            return step
        else:
            return None  # off-runs show it, whichever step is asked about
    return None


def _shown(others: Sequence[PairRecord], pair: PairRecord, start: float, end: float) -> bool:
    """Does the same pair dip in [start, end) of another run?"""
    same = [other for other in others if (other.source, other.target) == (pair.source, pair.target)]
    return any(wellness.overlaps(wellness.dips(other), start, end) for other in same)
