"""The mesh's catalogue: what is measured on a batman-adv mesh, what it means, what causes it and what helps.

Thresholds are counted from the lab's background: bursts of total loss up to 150 ms, 0.2 % loss, jitter. A hello
comes every 50 ms, so 350 ms of silence are seven in a row; 20 % loss over 2 s are eight of forty.
"""

from __future__ import annotations

from typing import Final

from x0tta6bl4.catalog import (
    ActionKind,
    Carries,
    Catalog,
    CauseRule,
    Expect,
    Metric,
    Mode,
    Scope,
    SymptomRule,
)
from x0tta6bl4.model import Severity
from x0tta6bl4.network.remedies import Remedies, for_any_node
from x0tta6bl4.network.risks import RULES as RISKS

METRICS: Final = (
    Metric("node", "report_age_ms", "age of the newest report of its agent"),
    Metric("node", "absent_s", "how long an expected node has never been seen"),
    Metric("node", "hurry", "1 where the mesh around it has to find new ways", 3),
    Metric("node", "uptime_s", "time since boot"),
    Metric("node", "primary_up", "1 where its primary interface is up", 60),
    Metric("node", "primary_dummy", "1 where its primary interface never loses carrier", 60),
    Metric("node", "mesh_interfaces", "attached hard interfaces that are not dummies", 60),
    Metric("node", "orig_interval_ms", "originator interval", 60),
    Metric("node", "hop_penalty", "hop penalty of the mesh", 60),
    Metric("node", "bridge_loop_avoidance", "1 where it is on", 60),
    Metric("node", "bridged", "1 where the mesh interface is in a bridge", 60),
    Metric("node", "algorithm_v", "1 for BATMAN_V, 0 for BATMAN_IV", 60),
    Metric("interface", "up", "1 where it is up and has carrier", 3),
    Metric("interface", "attached", "1 where it is a hard interface of the mesh", 3),
    Metric("interface", "primary", "1 where it gives the node its originator address", 3),
    Metric("interface", "dummy", "1 where it is a software interface without carrier", 60),
    Metric("interface", "radio", "1 where several neighbours share it", 60),
    Metric("interface", "mtu_bytes", "MTU", 3),
    Metric("interface", "mtu_short_bytes", "how far the MTU is under the declared one", 3),
    Metric("interface", "hop_penalty", "penalty for what is heard on it", 10),
    Metric("interface", "throughput_override_kbit", "what it claims as throughput; 0: measured", 10),
    Metric("link", "silence_ms", "time since anything came over it, echoes of the far kernel included", 3),
    Metric("link", "hello_silence_ms", "time since the far agent was heard", 3),
    Metric("link", "large_silence_ms", "time since a full-size frame came over it", 3),
    Metric("link", "loss_ratio", "share of hellos lost over 2 s", 3),
    Metric("link", "rtt_ms", "median round trip over half a second", 3, learn=True, spread_min=5.0),
    Metric("link", "tq", "transmit quality (BATMAN_IV, 0..255)", 10),
    Metric("link", "throughput_kbit", "throughput (BATMAN_V)", 10),
    Metric("link", "last_seen_ms", "time since the kernel heard the neighbour", 10),
    Metric("link", "attached", "1 where both interfaces are attached, as far as is known", 3),
    Metric("told", "carries", "1 where the controller says that two nodes have a link", 30),
    Metric("route", "best", "1 where it is the route in use", 5),
    Metric("route", "tq", "what the neighbour offers: TQ, or throughput in Mbit/s", 5),
)

SYMPTOMS: Final = (
    SymptomRule("interface-down", "interface", "up", "no carrier or switched off", 0.5, 0.5, above=False,
                clear_after_s=0.3, severity=Severity.CRITICAL),
    SymptomRule("mtu-short", "interface", "mtu_short_bytes", "MTU under the declared one", 1, 1, clear_after_s=0.3),
    SymptomRule("link-silent", "link", "silence_ms", "nothing comes over the link", 350, 200, duration=True,
                clear_after_s=0.3, margin_s=0.15, severity=Severity.CRITICAL),
    SymptomRule("hello-silent", "link", "hello_silence_ms", "the far agent says nothing", 400, 200, duration=True,
                clear_after_s=0.3, margin_s=0.15),
    SymptomRule("link-lossy", "link", "loss_ratio", "too many hellos are lost", 0.2, 0.05, raise_after_s=0.2,
                clear_after_s=1.0),
    SymptomRule("link-slow", "link", "rtt_ms", "round trip far above its usual", 60, 30, excess=True,
                raise_after_s=0.2, clear_after_s=1.0),
    SymptomRule("link-clipped", "link", "large_silence_ms", "small frames pass, full-size ones do not", 1800, 900,
                duration=True, clear_after_s=0.3, margin_s=0.15),
    SymptomRule("node-silent", "node", "report_age_ms", "no report of its agent arrives", 1500, 700, duration=True,
                clear_after_s=0.3, margin_s=0.15),
    SymptomRule("mesh-hurries", "node", "hurry", "the mesh around has to find new ways", 1, 1, clear_after_s=0.3,
                severity=Severity.INFO),
    SymptomRule("node-missing", "node", "absent_s", "an expected node has never been seen", 60, 60),
)  # fmt: skip

ON_LINKS: Final = ("link-silent", "hello-silent", "link-lossy", "link-slow", "link-clipped")


def _may(*paths: tuple[str, ...], symptoms: tuple[str, ...] = ON_LINKS) -> tuple[Expect, ...]:
    return tuple(Expect(code, Mode.MAY, path) for path in paths for code in symptoms)


def _must(code: str) -> Expect:
    return Expect(code, Mode.MUST)


_ENDS = tuple(Expect("node-silent", Mode.MAY, path) for path in (("from",), ("to",)))
_ENDS_OF_PAIR = (Expect("node-silent", Mode.MAY, ("~part_of", "from")),)
_BOTH_ENDS = tuple(Expect("node-silent", Mode.MAY, path) for path in (("part_of",), ("~part_of", "from")))

CAUSES: Final = (
    CauseRule("interface-down", "interface", "an interface lost its carrier or is switched off",
              (_must("interface-down"), *_may(("~part_of",)), *_BOTH_ENDS), 0.9, settle_s=0.0,
              severity=Severity.CRITICAL),
    CauseRule("interface-mtu-low", "interface", "an interface's MTU is under the declared one",
              (_must("mtu-short"), *_may(("~part_of",)), *_BOTH_ENDS), 0.9, settle_s=0.0),
    CauseRule("node-down", "node", "a node is dead or rebooting",
              (Expect("link-silent", Mode.ALL, ("~from",)), Expect("node-silent", Mode.ALSO),
               *_may(("~from",), ("~to",)), *_may(("~part_of",), symptoms=("interface-down",))),
              0.4, scope=Scope.MESH, severity=Severity.CRITICAL),
    CauseRule("agent-down", "node", "the agent is dead, the node forwards",
              (Expect("hello-silent", Mode.ALL, ("~from",)), Expect("node-silent", Mode.ALSO),
               Expect("link-silent", Mode.SPARED, ("~from",)),
               *_may(("~to",), ("~from",), symptoms=("hello-silent", "link-lossy", "link-clipped"))),
              0.4, settle_s=0.25, scope=Scope.MESH, severity=Severity.MINOR),
    CauseRule("link-down", "adjacency", "a link is dead in both directions",
              (Expect("link-silent", Mode.ALL, ("~part_of",)), *_may(("~part_of",)), *_ENDS_OF_PAIR), 0.52,
              hold_s=0.2, severity=Severity.CRITICAL),
    CauseRule("link-down", "link", "a link is dead in one direction",
              (_must("link-silent"), *_may(()), *_ENDS), 0.47, hold_s=0.2, severity=Severity.CRITICAL),
    CauseRule("link-lossy", "adjacency", "a link loses packets in both directions",
              (Expect("link-lossy", Mode.ALL, ("~part_of",)), Expect("link-silent", Mode.NOT_ALL, ("~part_of",)),
               *_may(("~part_of",)), *_ENDS_OF_PAIR), 0.46, settle_s=0.8),
    CauseRule("link-lossy", "link", "a link loses packets in one direction",
              (_must("link-lossy"), Expect("link-silent", Mode.NOT), *_may(()), *_ENDS), 0.45, settle_s=0.0),
    CauseRule("link-slow", "adjacency", "a link is far slower than usual",
              (Expect("link-slow", Mode.ALL, ("~part_of",)), *_may(("~part_of",)), *_ENDS_OF_PAIR), 0.5,
              settle_s=0.3),
    CauseRule("link-clipped", "link", "a link passes small frames only",
              (_must("link-clipped"), *_may(())), 0.3, settle_s=1.5),
    CauseRule("node-unreachable", "node", "a node lives but its reports do not arrive",
              (_must("node-silent"), *_may(("~from",), symptoms=("hello-silent",))), 0.2, scope=Scope.MESH,
              settle_s=8.0, hold_s=8.0, severity=Severity.MINOR),
    CauseRule("mesh-converging", "node", "the mesh is finding new ways", (_must("mesh-hurries"),), 0.5,
              settle_s=0.0, severity=Severity.INFO),
    CauseRule("node-missing", "node", "an expected node never came", (_must("node-missing"),), 0.5,
              scope=Scope.MESH, settle_s=0.0),
)  # fmt: skip

ACTIONS: Final = (
    ActionKind("detach-interface", "interface", "take an interface out of the mesh", 0.3, avoids=True, prove_s=10.0),
    ActionKind("stand-in-primary", "interface", "let a dummy stand in for a dead primary interface", 0.2, prove_s=15.0,
               hold_min_s=30.0),  # batman-adv believes a restarted sequence once in 30 s
    ActionKind("set-hop-penalty", "interface", "make BATMAN_IV avoid what is heard on an interface", 0.1, avoids=True),
    ActionKind("set-throughput-override", "interface", "make BATMAN_V avoid an interface", 0.1, avoids=True),
    ActionKind("block-neighbour", "link", "ignore one neighbour's mesh packets on one interface", 0.2, avoids=True,
               prove_s=12.0),
    ActionKind("restore-mtu", "interface", "set the declared MTU again", 0.1, repair=True),
    ActionKind("bounce-interface", "interface", "switch an interface off and on", 0.5, irreversible=True,
               avoids=True),
    ActionKind("set-gw-mode", "node", "change the gateway mode", 0.4),
    ActionKind("set-orig-interval", "node", "change the originator interval", 0.2, prove_s=20.0),
    ActionKind("restart-service", "service", "restart a system service", 0.4, irreversible=True),
)  # fmt: skip

CARRIES: Final = (
    Carries("link", ("silence_ms", "last_seen_ms"), (("interface", "attached"), ("interface", "up"))),
    Carries("route", ("tq",)),
    Carries("told", ("carries",)),
)


def mesh_catalog(own: str | None = None) -> Catalog:
    """The catalogue of a mesh; `own` is the node whose interfaces this loop may act on (None: the controller)."""
    return Catalog(
        name="mesh",
        metrics=METRICS,
        symptoms=SYMPTOMS,
        causes=tuple(c for c in CAUSES if own is None or c.scope is Scope.NODE),
        actions=ACTIONS,
        remedies=Remedies(own).by_cause() if own is not None else for_any_node(),
        risks=RISKS,
        cuts=frozenset({"link-silent"}),
        carries=CARRIES,
        partition="" if own is not None else "partition",  # one node cannot tell who is cut off from whom
        vertex_down="node-down",
        unheard="node-silent",
    )
