"""What a kill leaves of the knowledge base: no acknowledged document may be lost, none may be there by half.

A child process indexes batches of documents as fast as it can, replaces old ones, and says each batch once
`index_knowledge` has returned. It is killed (SIGKILL) at a random instant; the next one opens what is left.
"""

from __future__ import annotations

import asyncio
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
from contextlib import closing
from pathlib import Path

from x0tta6bl4.clock import SystemClock
from x0tta6bl4.core.store import SqlStore
from x0tta6bl4.core.store.knowledge import SqlKnowledge
from x0tta6bl4.ml.rag import Document, RAGAnalyzer

BATCH = 20


def child(folder: Path, seed: int) -> None:
    """Index until killed. A document's text says in which batch it was put last."""
    clock, dice = SystemClock(), random.Random(seed)
    with SqlStore(f"sqlite:///{folder / 'k.db'}", "killed", clock=clock, random=dice) as store:
        knowledge = RAGAnalyzer(store=SqlKnowledge(store, clock))
        for number in range(1_000_000):
            batch = f"b{seed}x{number}"
            keys = dice.sample(range(400), BATCH)
            documents = [Document(f"d{key}", f"{batch} of the document k{key}. " + "word " * 150) for key in keys]
            asyncio.run(knowledge.index_knowledge(documents))
            os.write(1, json.dumps({"batch": batch, "keys": keys}).encode() + b"\n")


def kill(kills: int) -> dict[str, float]:
    """Kill so often; then compare what was said with what is on disk and what is found."""
    folder = Path(tempfile.mkdtemp(prefix="x0t-retrieval-"))
    dice, said, damaged = random.Random(7), {}, 0
    acknowledged = 0
    try:
        for number in range(kills):
            lines = suffer(folder, number, dice.uniform(0.02, 0.6))
            acknowledged += len(lines)
            for line in lines:
                said |= {f"d{key}": line["batch"] for key in line["keys"]}
            lost, broken = judge(folder, said)
            damaged += broken
            if lost:
                return {"kills": number + 1, "acknowledged batches": acknowledged, "lost": lost, "damaged": damaged}
    finally:
        shutil.rmtree(folder)
    return {"kills": kills, "acknowledged batches": acknowledged, "lost": 0, "damaged": damaged}


def suffer(folder: Path, seed: int, seconds: float) -> list[dict[str, object]]:
    """Run a child, kill it `seconds` after its first batch, and return what it said in whole lines."""
    reading, writing = os.pipe()
    process = os.fork()  # not a fresh interpreter: its start would be most of the time, and no kill of ours
    if process == 0:
        try:
            os.close(reading)
            os.dup2(writing, 1)
            child(folder, seed)
        except BaseException:  # noqa: BLE001  # the outer edge of this process: the parent reads the trace
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writing)
    data, end = b"", time.monotonic() + 60
    try:
        while (left := end - time.monotonic()) > 0 and select.select([reading], [], [], left)[0]:
            chunk = os.read(reading, 1 << 16)
            if not chunk:
                raise SystemExit("the child ended by itself: see above")
            if not data:
                end = time.monotonic() + seconds
            data += chunk
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        while chunk := os.read(reading, 1 << 16):
            data += chunk
        os.close(reading)
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


def judge(folder: Path, said: dict[str, str]) -> tuple[int, int]:
    """(documents that are older than was acknowledged or not there, damage to the file or its index of words)."""
    clock = SystemClock()
    with SqlStore(f"sqlite:///{folder / 'k.db'}", "judge", clock=clock, random=random.Random(0)) as store:
        kept = {one.id: one.content.split()[0] for one in SqlKnowledge(store, clock).documents()}
        found = set(SqlKnowledge(store, clock).find("document", 1000))
    with closing(sqlite3.connect(folder / "k.db")) as base:
        whole = base.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        base.execute("INSERT INTO passages_words(passages_words) VALUES ('integrity-check')")
    lost = sum(age(kept.get(identity, "b-1x-1")) < age(batch) for identity, batch in said.items())
    return lost, int(not whole) + len(found ^ set(kept))


def age(batch: str) -> tuple[int, int]:
    run, _, number = batch.removeprefix("b").partition("x")
    return int(run), int(number)


if __name__ == "__main__":
    print(kill(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
