"""docs/reference/catalogue.md: what the mesh's catalogue measures, finds, blames and does, with its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from x0tta6bl4.catalog import ActionKind, CauseRule, Expect, Mode, Scope, SymptomRule
from x0tta6bl4.core.pages.markdown import NOTE, table
from x0tta6bl4.knowledge import Runbook, runbooks
from x0tta6bl4.mape_k.guards import RULES
from x0tta6bl4.network.airtime import LINK_BIT_S, SHARE_MAX, STEPS_MS
from x0tta6bl4.network.catalog import ACTIONS, CAUSES, METRICS, SYMPTOMS
from x0tta6bl4.network.kernel import MTU_MIN_BYTES
from x0tta6bl4.network.risks import CLEARLY_SLOWER

RUNBOOKS: Final = "../../src/x0tta6bl4/knowledge/runbooks/"
MODES: Final = {
    Mode.MUST: "needs",
    Mode.ALL: "needs all",
    Mode.ALSO: "not without",
    Mode.ANY: "needs one",
    Mode.NOT: "not with",
    Mode.NOT_ALL: "not everywhere",
    Mode.SPARED: "surely not everywhere",
}
NUMBERS: Final = {
    "small-mtu": f"an attached interface has an MTU under {MTU_MIN_BYTES} bytes",
    "slow-originator-interval": f"the interval is more than {CLEARLY_SLOWER} times the shortest of "
    f"{', '.join(map(str, STEPS_MS))} ms at which the messages of all nodes take at most {SHARE_MAX:.0%} of a "
    f"{LINK_BIT_S / 1e6:.0f} Mbit/s link",
    "fragile-primary": "more than one interface is attached, and the primary one is no dummy",
    "cut-vertex": "the graph of links that carry something now parts without it",
    "bridge": "the graph of links that carry something now parts without it",
    "loop-avoidance-without-bridge": "bridge loop avoidance is on, the mesh interface is in no bridge",
    "different-settings": "originator interval, hop penalty or algorithm differ from what most nodes have, loop "
    "avoidance from what most bridged nodes have; or an interface's MTU is smaller than a neighbour's",
}
SYMPTOM_HEADS: Final = ("symptom", "of a", "what it says", "raised when", "well again", "severity")
CAUSE_HEADS: Final = ("cause", "of a", "what it says", "evidence", "prior", "waits s", "found by", "severity")
ACTION_HEADS: Final = ("action", "on a", "what it does", "sort", "risk", "proof within s", "lease at least s", "rest s")
INTRO: Final = (
    "What is measured on a mesh, which readings are symptoms, which causes explain them, what helps, and what may hurt "
    "one\nday. Codes are linked to their runbook. Thresholds are counted from the lab's background: bursts of total "
    "loss up to\n150 ms, 0.2 % loss, jitter. The words: [glossary](glossary.md); how a cause is found: "
    "[the loop](../explanation/loop.md).\n"
)


def page() -> str:
    """The page; raises LookupError where a runbook or the numbers of a risk are missing."""
    pages = {one.code: one for one in runbooks()}
    lines = ["# The catalogue of a mesh", NOTE, INTRO]
    lines += ["## Symptoms", "", "Between *raised* and *well again* nothing changes (hysteresis).", ""]
    lines += table(SYMPTOM_HEADS, (_symptom(rule, pages) for rule in SYMPTOMS))
    lines += ["## Causes", "", _CAUSES, ""]
    lines += table(CAUSE_HEADS, (_cause(rule, pages) for rule in CAUSES))
    lines += ["`partition` (a part of the mesh is cut off) is found on the graph, not by a rule.", ""]
    lines += ["## Actions", "", _ACTIONS, ""]
    lines += table(ACTION_HEADS, (_action(kind) for kind in ACTIONS))
    lines += ["## Guards", "", "Each may refuse an action; none can permit what another refuses.", ""]
    lines += table(("guard", "what it holds"), ((f"`{r.__name__}`", (r.__doc__ or "").strip()) for r in RULES))
    lines += ["## Risks", "", "Latent weaknesses: nothing hurts yet.", ""]
    lines += table(("risk", "what it says", "when"), _risks(pages))
    lines += ["## Readings", "", "An older value is unknown, not zero. *Learned*: what is usual is learned.", ""]
    rows = ((m.kind, f"`{m.name}`", m.title, f"{m.stale_after_s:g}", "yes" if m.learn else "") for m in METRICS)
    lines += table(("of a", "metric", "what it is", "stale after s", "learned"), rows)
    return "\n".join(lines).rstrip() + "\n"


_CAUSES: Final = (
    "*Prior*: how likely it is before any evidence; where two explain the same, the larger wins. *Waits*: for evidence "
    "that\nis not in yet. *Found by*: agents (and the controller), or only the controller, which sees the whole mesh. "
    "In brackets\nwhere the evidence is: `~from` on the links that start at it, `~part_of` on what is part of it, else "
    "on itself."
)
_ACTIONS: Final = (
    "A *repair* restores what was declared; a *mitigation* departs from it, holds a lease and is reverted. *Rest*: for "
    "how\nlong the same is not tried again where it did not help. Every kind starts at `advise` on a real mesh "
    "(`safety.autonomy`)."
)


def _linked(code: str, pages: dict[str, Runbook]) -> str:
    return f"[`{code}`]({RUNBOOKS}{pages[code].path.rpartition('/')[2]})"


def _symptom(rule: SymptomRule, pages: dict[str, Runbook]) -> tuple[str, ...]:
    sign, back = (">=", "<") if rule.above else ("<=", ">")
    over = "usual + " if rule.excess else ""
    held = f" for {rule.raise_after_s:g} s" if rule.raise_after_s else ""
    raised = f"`{rule.metric}` {sign} {over}{rule.raise_at:g}{held}"
    well = f"{back} {over}{rule.clear_at:g} for {rule.clear_after_s:g} s"
    return _linked(rule.code, pages), rule.kind, rule.title, raised, well, rule.severity.value


def _cause(rule: CauseRule, pages: dict[str, Runbook]) -> tuple[str, ...]:
    evidence = "; ".join(_evidence(rule.expects))
    waits = f"{max(rule.settle_s, rule.hold_s):g}"
    by = "agents" if rule.scope is Scope.NODE else "controller"
    shown = (_linked(rule.code, pages), rule.kind, rule.title, evidence, f"{rule.prior:g}", waits, by)
    return (*shown, rule.severity.value)


def _evidence(expects: tuple[Expect, ...]) -> Iterator[str]:
    """What it needs and what speaks against it; what it merely explains is left out."""
    for one in expects:
        if one.mode in MODES:
            where = f" ({' '.join(one.path)})" if one.path else ""
            yield f"{MODES[one.mode]} `{one.symptom}`{where}"


def _action(kind: ActionKind) -> tuple[str, ...]:
    sort = "repair" if kind.repair else "cannot be undone" if kind.irreversible else "mitigation"
    lease = f"{kind.hold_min_s:g}" if kind.hold_min_s else ""
    name = f"[`{kind.kind}`]({RUNBOOKS}actions.md#{kind.kind})"
    return name, kind.target, kind.title, sort, f"{kind.risk:g}", f"{kind.prove_s:g}", lease, f"{kind.cool_down_s:g}"


def _risks(pages: dict[str, Runbook]) -> Iterator[tuple[str, ...]]:
    for one in pages.values():
        if one.kind == "risk":
            yield _linked(one.code, pages), one.title.removeprefix("Risk: "), NUMBERS[one.code]
