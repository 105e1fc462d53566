"""What a kill leaves: the agent is killed at random instants, started again on what it left, and nothing may be lost.

    python benchmarks/crash.py [--kills N] [--seed N] [--json FILE] [--keep DIR]

A child process runs the product's agent with its store, its workers and its journal over a mesh of five nodes whose
links fail every few seconds. Its kernel lives in a log that outlives it, as a kernel outlives a process: each setter is
a line, written through to disk. Of four kills (SIGKILL) one falls anywhere, two within 30 ms of an event, where commits
and actions happen, and one right after a setter reached the kernel, before anybody can have noted that it did.
Acknowledged is what the loop said, which it does after its commit. Limits: 0 of it lost,
no order carried out twice, nothing unproven left once the last start has settled. As a peer in the same run, commits
are timed against bare SQLite that writes one row through to disk. Exit code 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from crash_mesh import (  # noqa: E402  # the thread limits above must come first
    DECLARED,
    ME,
    Air,
    Faults,
    FileKernel,
    Log,
    Nowhere,
    inventory,
    settings_of,
)

from x0tta6bl4.catalog import Autonomy  # noqa: E402
from x0tta6bl4.clock import SystemClock  # noqa: E402
from x0tta6bl4.core.agent import Agent, AgentSettings  # noqa: E402
from x0tta6bl4.core.store import Ids, SqlStore  # noqa: E402
from x0tta6bl4.core.workers import ThreadWorker  # noqa: E402
from x0tta6bl4.lab.participants import NodePorts  # noqa: E402
from x0tta6bl4.mape_k.guards import Limits  # noqa: E402
from x0tta6bl4.model import Did, Event, IncidentState, Order  # noqa: E402
from x0tta6bl4.network.journal import FileJournal  # noqa: E402

PROVE_S = 1.8
SETTLE_S = 60.0
OUTCOMES = ("applied", "confirmed", "undone", "undo_failed", "refused")


# -- the child --------------------------------------------------------------------------------------------------------


def agent_over(folder: Path, kernel: FileKernel, faults: Faults, store: SqlStore, seed: int) -> Agent:
    """The product's agent with short times: actions are proven in two seconds, leases held for half of one."""
    clock, dice = SystemClock(), random.Random(seed)
    limits = Limits(autonomy_default=Autonomy.ACT, actions_max=100_000, per_target_max=100_000,
                    hold_s=0.5, hold_s_max=1.0)  # fmt: skip
    agent = Agent(
        NodePorts(ME, kernel, Air(kernel, faults, clock, dice), Nowhere(), clock, dice, inventory(), ME),
        store,
        ThreadWorker(),
        Ids(clock, dice, store.epoch),
        AgentSettings(pass_s=0.2, limits=limits, journal=FileJournal(folder / "orders.json")),
    )
    loop = agent.loop
    loop.knowledge.hold_down_s = 0.4
    catalog = loop.executor.ledger.catalog
    quick = tuple(replace(kind, prove_s=PROVE_S, cool_down_s=0.5) for kind in catalog.actions)
    loop.executor.ledger.catalog = loop.planner.catalog = replace(catalog, actions=quick)
    carry_out = agent.actuator.apply

    def apply(order: Order) -> Any:
        outcome = carry_out(order)
        kernel.log.add(order=order.id, kind=order.action.kind, target=str(order.action.target), did=outcome.did.value,
                again=outcome.detail == "already done")  # fmt: skip
        return outcome

    agent.actuator.apply = apply  # type: ignore[method-assign]
    return agent


def child(folder: Path, start: float, seed: int, *, fuse: int = 0, calm: bool = False) -> None:
    """Run until killed; where calm, until nothing is open any more. Every event is a line on standard output."""
    clock, kernel = SystemClock(), FileKernel(Log(folder / "kernel.log"), fuse)
    faults = Faults(start, calm)
    store = SqlStore(f"sqlite:///{folder / 'agent.db'}", ME, clock=clock, random=random.Random(seed))
    agent = agent_over(folder, kernel, faults, store, seed)

    def say(**line: object) -> None:
        os.write(1, json.dumps(line).encode() + b"\n")

    def emit(event: Event) -> None:
        say(seq=event.seq, type=event.type, incident=event.incident, id=event.data.get("id", ""))

    agent.loop.outbox.emit = emit
    refused, settled = "", False
    began = clock.now()
    while clock.now() - began < SETTLE_S and not (calm and settled):
        now = clock.now()
        kernel.shorten(faults, now)
        agent.tick(now)
        error = agent.loop.errors.get("store", "")
        if error and error != refused:
            say(refused=error)
        refused = error
        settled = now - began > 3.0 and at_rest(agent)
        time.sleep(0.01)
    agent.close()
    store.close()
    say(settled=settled)


def at_rest(agent: Agent) -> bool:
    """Nothing is open, and the store knows it."""
    loop = agent.loop
    return not (loop.knowledge.open or loop.executor.ledger.live) and loop.outbox.empty


@contextmanager
def running(*arguments: Any, **options: Any) -> Iterator[tuple[int, int]]:
    """(process, descriptor of its standard output) of a child; it is killed and waited for at the end."""
    reading, writing = os.pipe()
    process = os.fork()  # not a fresh interpreter: its start would be most of the time, and no kill of ours
    if process == 0:
        code = 1
        try:
            os.close(reading)
            os.dup2(writing, 1)
            child(*arguments, **options)
            code = 0
        except BaseException:  # noqa: BLE001  # the outer edge of this process: the parent reads the trace
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    try:
        yield process, reading
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(reading)


# -- the parent -------------------------------------------------------------------------------------------------------


@dataclass
class Heard:
    """What the children said; a line that a kill cut short was not said."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    _rest: bytes = b""

    def read(self, descriptor: int, seconds: float, enough: int = 0) -> bool:
        """Listen for a while, until `enough` events came, or the child ended; False where it ended."""
        end = time.monotonic() + seconds
        before = len(self.lines)
        while (left := end - time.monotonic()) > 0:
            if select.select([descriptor], [], [], left)[0]:
                data = os.read(descriptor, 1 << 16)
                if not data:
                    return False
                *whole, self._rest = (self._rest + data).split(b"\n")
                self.lines += map(json.loads, whole)
                if enough and len(self.lines) - before >= enough:
                    break
        return True

    def drain(self, descriptor: int) -> None:
        """What the child said before it was killed."""
        while self.read(descriptor, 1.0):
            pass
        self._rest = b""


def suffer(folder: Path, kills: int, seed: int) -> tuple[Heard, dict[str, float]]:
    """Start, kill, start again; then let the last one settle in peace."""
    dice, heard, start = random.Random(seed), Heard(), time.monotonic()
    ended = 0
    for number in range(kills):
        fuse = dice.randint(1, 4) if number % 4 == 2 else 0
        with running(folder, start, seed + number, fuse=fuse) as (process, output):
            alive = heard.read(output, 6.0 if fuse else dice.uniform(0.2, 4.0))
            if alive and number % 2:
                alive = heard.read(output, 3.0, enough=dice.randint(1, 3)) and heard.read(output, dice.uniform(0, 0.03))
            if not alive:
                by = os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
                ended += by is None or by.si_code != os.CLD_KILLED
            os.kill(process, signal.SIGKILL)
            heard.drain(output)
        if sys.stdout.isatty():
            print(f"\r{number + 1} of {kills} kills, {len(heard.lines)} events", end="", flush=True)
    began = time.monotonic()
    with running(folder, start, seed + kills, calm=True) as (_, output):
        while heard.read(output, SETTLE_S):
            pass
    settled = any(line.get("settled") for line in heard.lines)
    return heard, {"ended_by_itself": ended, "settle_s": time.monotonic() - began, "unsettled": int(not settled)}


def judge(folder: Path, heard: Heard) -> dict[str, float]:
    """Compare what was said and done with what is on disk."""
    events = [line for line in heard.lines if "seq" in line]
    with SqlStore(
        f"sqlite:///{folder / 'agent.db'}", ME, clock=SystemClock(), random=random.Random(0), reader=True
    ) as s:
        kept = {(e.seq, e.type, e.incident) for e in s.events(limit=1_000_000)}
        files = {i: s.incident(i) for i in {e["incident"] for e in events if e["incident"]}}
        unfinished = len(s.open_actions())
    steps = {
        (entry.data["id"], entry.what.removeprefix("action ").replace(" ", "_"))
        for file in files.values() if file is not None
        for entry in file.timeline if entry.what.startswith("action ")
    }  # fmt: skip
    keys = {a.id: a.key for file in files.values() if file is not None for a in file.actions}
    lost = []
    outcomes = 0
    for event in events:
        file, (kind, _, what) = files.get(event["incident"]), event["type"].partition(".")
        outcome = kind == "action" and what in OUTCOMES
        outcomes += outcome
        if (event["seq"], event["type"], event["incident"]) not in kept:
            lost.append(("event", event))
        elif kind == "incident" and (
            file is None or (what == "closed") > (file.incident.state is IncidentState.CLOSED)
        ):
            lost.append(("incident", event))
        elif outcome and (event["id"], what) not in steps:
            lost.append(("outcome", event))
    return {
        "acknowledged_incidents": sum(e["type"] == "incident.opened" for e in events),
        "acknowledged_outcomes": outcomes,
        "lost": len(lost),
        "issued_twice": twice(folder, keys),
        "left_unproven": left(folder) + unfinished,
        "commits_refused": sum("refused" in line for line in heard.lines),
        "numbers_used_twice": sum(n - 1 for n in Counter(e["seq"] for e in events).values()),
    }


def twice(folder: Path, keys: Mapping[str, object]) -> int:
    """Orders carried out more than once, by their id or by (incident, kind, target, attempt); unknown ones count."""
    done = [e["order"] for e in Log(folder / "kernel.log").entries() if e.get("did") == Did.DONE and not e["again"]]
    known = Counter(keys[identity] for identity in set(done) if identity in keys)
    unknown = sum(identity not in keys for identity in done)
    return len(done) - len(set(done)) + sum(n - 1 for n in known.values()) + unknown


def left(folder: Path) -> int:
    """Settings that are not as declared, and orders in the journal that nobody confirmed."""
    now = settings_of(Log(folder / "kernel.log").entries())
    strayed = [(w, o, v) for w, options in now.items() for o, v in options.items() if v != DECLARED[w].get(o, 0)]
    journal = folder / "orders.json"
    orders = json.loads(journal.read_text()) if journal.exists() else []
    for where, option, value in strayed:
        print(f"left: {option} of {where} is {value}, declared {DECLARED[where].get(option, 0)}")
    return len(strayed) + sum(not order["confirmed"] for order in orders)


def speed(folder: Path, commits: int = 100) -> dict[str, float]:
    """Commits a second: the store's smallest against bare SQLite's, both written through to disk."""
    with SqlStore(f"sqlite:///{folder / 'speed.db'}", ME, clock=SystemClock(), random=random.Random(0)) as store:
        began = time.perf_counter()
        for number in range(commits):
            store.commit(events=[Event(number, 0.0, ME, "speed", data={"text": "x" * 500})])
        ours = commits / (time.perf_counter() - began)
    with closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as bare:
        for pragma in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE t (body TEXT)"):
            bare.execute(pragma)
        began = time.perf_counter()
        for _ in range(commits):
            bare.execute("INSERT INTO t VALUES (?)", ("x" * 500,))
        peer = commits / (time.perf_counter() - began)
    return {"commits_per_s": ours, "bare_sqlite_commits_per_s": peer}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--kills", type=int, default=50, help="how often the agent is killed (default 50)")
    parser.add_argument("--seed", type=int, default=20_260_401, help="of the instants of the kills")
    parser.add_argument("--keep", type=Path, help="leave store, journal and log in this new folder")
    chosen = parser.parse_args()
    if chosen.kills < 1:
        parser.error(f"--kills: got {chosen.kills}, allowed: a number >= 1")
    folder = Path(tempfile.mkdtemp(prefix="x0t-crash-"))
    try:
        heard, run = suffer(folder, chosen.kills, chosen.seed)
        figures = {"kills": chosen.kills, **judge(folder, heard), **run, **speed(folder)}
        if chosen.keep:
            shutil.copytree(folder, chosen.keep)
            (chosen.keep / "said.json").write_text("\n".join(map(json.dumps, heard.lines)))
    finally:
        shutil.rmtree(folder)
    limits = {"lost": 0, "issued_twice": 0, "left_unproven": 0, "commits_refused": 0, "numbers_used_twice": 0,
              "ended_by_itself": 0, "unsettled": 0}  # fmt: skip
    least = {
        "acknowledged_incidents": chosen.kills / 5,
        "acknowledged_outcomes": chosen.kills / 5,
    }  # else it says nothing
    met = True
    for key, value in figures.items():
        good = value <= limits.get(key, value) and value >= least.get(key, value)
        met = met and good
        told = f"limit {limits[key]}" if key in limits else f"limit >= {least[key]:g}" if key in least else ""
        print(f"{key:26} {value:10.1f}   {told}{'' if good else '   MISSED'}".rstrip())
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
