"""Finding the passage that fits: how well, how fast, with how much memory, and what a kill leaves.

    python benchmarks/retrieval.py [--part PART,...] [--data DIR] [--split SPLIT] [--json FILE]

quality: nDCG@10 and hit@1 of BM25 alone, of a keyword-overlap toy, of wordllama as it is, of word vectors in context,
of BM25 with MiniLM, and of both profiles, in one run. DIR holds collections (NAME.json.gz: docs, queries, qrels,
split); without one the project's
own runbooks are asked: "What it looks like" must find the rest of its page.
speed: 1,000 documents; the peer is SQLite's FTS5 on the same documents and queries.
scale: 100,000 vectors against looking at every one with numpy, also where a filter lets a tenth through; and the whole
search over 100,000 passages. kill, incidents: see retrieval_kill.py and retrieval_incidents.py. Exit code 1 where a
limit is missed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import re
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from retrieval_incidents import Asked, asked, pages, share
from retrieval_kill import kill

from x0tta6bl4.knowledge import runbooks
from x0tta6bl4.ml.retrieval.fusion import ACCURATE, FAST, Weights
from x0tta6bl4.ml.retrieval.index import Index
from x0tta6bl4.ml.retrieval.minilm import sentence_vectors
from x0tta6bl4.ml.retrieval.semantic import dots, unit
from x0tta6bl4.ml.retrieval.text import TOKEN
from x0tta6bl4.ml.retrieval.values import Document
from x0tta6bl4.ml.retrieval.vectors import EXACT_MAX, Nearest, top
from x0tta6bl4.ml.retrieval.wordvectors import word_vectors
from x0tta6bl4.model import Floats

SEEDS = (1, 2, 3)  # of the lab's incidents
LEAST = {
    (name, system, what): least
    for name, what, both in (
        ("ops_noname", "nDCG@10", (0.91, 0.93)), ("ops_symptom", "nDCG@10", (0.68, 0.70)),
        ("mesh_heading", "nDCG@10", (0.43, 0.48)), ("ops_alert", "hit@1", (0.98, 0.98)),
        ("cranfield", "nDCG@10", (0.405, 0.405)), ("cisi", "nDCG@10", (0.422, 0.422)),
        ("cacm", "nDCG@10", (0.493, 0.493)),
    )
    for system, least in zip(("fast", "accurate"), both, strict=True)
}  # fmt: skip
PARTS = ("quality", "speed", "scale", "kill", "incidents")
Search = Callable[[str], Sequence[str]]


@dataclass
class Collection:
    """Documents, queries and which document is how relevant to which query."""

    name: str
    documents: list[tuple[str, str]]
    queries: list[tuple[str, str]]
    relevant: Mapping[str, Mapping[str, float]]


@dataclass
class Report:
    """What was measured, and what of it has a limit."""

    figures: dict[str, float] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def tell(self, name: str, value: float, limit: str = "") -> None:
        """Print one figure; `limit` is an operator and a number."""
        self.figures[name] = value
        bad = ""
        if limit:
            operator, bound = limit.split()
            if not {"<=": value <= float(bound), ">=": value >= float(bound)}[operator]:
                self.missed.append(name)
                bad = "   MISSED"
        print(f"{name:58} {value:10.3f}   {limit}{bad}".rstrip(), flush=True)


# -- quality ----------------------------------------------------------------------------------------------------------


def collections(folder: Path | None, split: str) -> Iterator[Collection]:
    if folder is None:
        yield own()
        return
    for file in sorted(folder.glob("*.json.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as stream:
            data = json.load(stream)
        queries = [(key, query) for key, query in data["queries"] if split == "all" or data["split"][key] == split]
        if queries:
            yield Collection(data["name"], data["docs"], queries, data["qrels"])


def own() -> Collection:
    """The runbooks: what a fault looks like, without the words of its name, must find the rest of its page."""
    documents, queries = [], []
    for page in runbooks("en"):
        _, _, rest = page.text.partition("## ")
        looks, _, cure = rest.partition("\n## ")
        documents.append((page.code, f"## {cure}"))
        queries.append((page.code, looks.partition("\n")[2].strip()))
    return Collection("runbooks", documents, queries, {code: {code: 1.0} for code, _ in documents})


def toy(documents: Sequence[tuple[str, str]]) -> Search:
    """The share of the query's words that a document has: what "RAG" is in many a prototype."""
    words = {key: set(re.findall(r"\w+", text.lower())) for key, text in documents}

    def search(query: str) -> Sequence[str]:
        asked = set(re.findall(r"\w+", query.lower()))
        return sorted(words, key=lambda key: (-len(asked & words[key]) / (len(asked) or 1), key))[:10]

    return search


def plain(documents: Sequence[tuple[str, str]]) -> Search:
    """The mean of the word vectors as the package gives them, and nothing else."""
    vectors = word_vectors()

    def mean(text: str) -> Floats:
        return vectors([text]).sum(axis=0)

    table = unit(np.array([mean(text) for _, text in documents]))

    def search(query: str) -> Sequence[str]:
        return [documents[at][0] for at in top(dots(table, unit(mean(query))), 10)]

    return search


def quality(report: Report, sets: Iterator[Collection], profile: str) -> None:
    # The peers know nothing of titles (lead 0): that is a part of ours.
    systems = {"bm25": Weights(1, 0, lead=0), "word vectors": Weights(0, 1, lead=0), "fast": FAST}
    if profile == "accurate":
        systems |= {"bm25 + MiniLM": Weights(0.6, 0, 0.4, lead=0), "accurate": ACCURATE}
    for one in sets:
        ways: dict[str, Search] = {"toy": toy(one.documents), "wordllama": plain(one.documents)}
        index = Index(word_vectors(), sentence_vectors() if profile == "accurate" else None)
        index.add(Document(str(key), text) for key, text in one.documents)
        for system, weights in systems.items():
            ways[system] = searching(index.variant(weights, None))
        for system, search in ways.items():
            gains = [gain(search(query), one.relevant[key]) for key, query in one.queries]
            for what, values in (("nDCG@10", [n for n, _ in gains]), ("hit@1", [hit for _, hit in gains])):
                least = LEAST.get((one.name, system, what))
                limit = "" if least is None else f">= {least}"
                report.tell(f"{one.name}, {system}: {what}", float(np.mean(values)), limit)


def searching(index: Index, where: Mapping[str, object] | None = None) -> Search:
    return lambda query: [hit.passage.document.id for hit in index.search(query, 10, where)]


def gain(found: Sequence[str], relevant: Mapping[str, float]) -> tuple[float, float]:
    """NDCG@10 with linear gain, and whether the first one is relevant."""
    got = sum(relevant.get(key, 0) / math.log2(place + 2) for place, key in enumerate(found[:10]))
    best = sorted(relevant.values(), reverse=True)[:10]
    ideal = sum(grade / math.log2(place + 2) for place, grade in enumerate(best))
    return got / ideal, float(bool(found) and relevant.get(found[0], 0) > 0)


# -- speed ------------------------------------------------------------------------------------------------------------


def texts(count: int, sentences: int, seed: int) -> list[str]:
    """Pages made of the runbooks' sentences, each with words of its own."""
    dice = random.Random(seed)
    known = [s for page in runbooks("en") for s in re.split(r"(?<=[.!?])\s+|\n+", page.text) if len(s.split()) > 4]
    return [
        f"Page {n}, node n{n % 977}, radio r{n % 613}. " + " ".join(dice.choice(known) for _ in range(sentences))
        for n in range(count)
    ]


def questions(pages: Sequence[str], count: int, seed: int) -> list[str]:
    """Runs of twelve words out of pages, as an alert's text has."""
    dice = random.Random(seed)
    found = []
    for _ in range(count):
        words = dice.choice(pages).split()
        start = dice.randrange(max(1, len(words) - 12))
        found.append(" ".join(words[start : start + 12]))
    return found


def timed(search: Search, queries: Sequence[str]) -> list[float]:
    """Milliseconds of each query."""
    for query in queries[:20]:
        search(query + " warm")
    spent = []
    for query in queries:
        began = time.perf_counter()
        search(query)
        spent.append((time.perf_counter() - began) * 1e3)
    return spent


def resident_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


def speed(report: Report) -> None:
    before = resident_mb()
    pages = texts(1000, 8, 1)
    began = time.perf_counter()
    index = Index(word_vectors())
    index.add(Document(f"p{number}", page) for number, page in enumerate(pages))
    report.tell("1,000 documents: index, seconds", time.perf_counter() - began, "<= 3")
    asked = questions(pages, 1000, 2)
    spent = timed(searching(index), asked)
    report.tell("1,000 documents: memory over the base process, MB", resident_mb() - before, "<= 40")
    report.tell("1,000 documents: query p50, ms", float(np.percentile(spent, 50)), "<= 0.3")
    report.tell("1,000 documents: query p99, ms", float(np.percentile(spent, 99)), "<= 1")
    peer = timed(fts5(pages), asked)
    report.tell("1,000 documents: FTS5 p50, ms", float(np.percentile(peer, 50)))
    report.tell("1,000 documents: times faster than FTS5", float(np.percentile(peer, 50) / np.percentile(spent, 50)))
    began = time.perf_counter()
    index.add([Document("late", "A zyzzyva ate the coaxial feeder.")])
    found = index.search("zyzzyva", 1)[0].passage.document.id == "late"
    report.tell("1,000 documents: one more, seconds until found", time.perf_counter() - began if found else math.inf)


def fts5(pages: Sequence[str]) -> Search:
    base = sqlite3.connect(":memory:")
    base.execute("CREATE VIRTUAL TABLE t USING fts5(body, tokenize='porter unicode61')")
    base.executemany("INSERT INTO t VALUES (?)", [(page,) for page in pages])

    def search(query: str) -> Sequence[str]:
        words = " OR ".join(f'"{token}"' for token in TOKEN.findall(query))
        with closing(base.execute("SELECT rowid FROM t WHERE t MATCH ? ORDER BY bm25(t) LIMIT 10", (words,))) as found:
            return [str(row[0]) for row in found]

    return search


# -- scale ------------------------------------------------------------------------------------------------------------


def scale(report: Report, count: int) -> None:
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((count // 100, 256))
    drawn = centres[rng.integers(len(centres), size=count + 300)] + 0.8 * rng.standard_normal((count + 300, 256))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    vectors, queries = drawn[:count].astype(np.float32), drawn[count:].astype(np.float32)
    began = time.perf_counter()
    nearest = Nearest(vectors)
    report.tell(f"{count} vectors: graph, seconds", time.perf_counter() - began)
    for word, mask in (("", None), (", a tenth allowed", rng.random(count) < 0.1)):
        spent: list[float] = []
        peer: list[float] = []
        right = 0
        for query in queries:
            began = time.perf_counter()
            found = nearest.rows(query, 10, mask)
            spent.append((time.perf_counter() - began) * 1e3)
            began = time.perf_counter()
            fits = vectors @ query
            exact = top(fits if mask is None else np.where(mask, fits, np.float32(-2)), 10)
            peer.append((time.perf_counter() - began) * 1e3)
            right += len(set(found.tolist()) & set(exact.tolist()))
        report.tell(f"{count} vectors{word}: p50, ms", float(np.percentile(spent, 50)), "<= 2")
        report.tell(f"{count} vectors{word}: numpy p50, ms", float(np.percentile(peer, 50)))
        report.tell(f"{count} vectors{word}: recall@10", right / 10 / len(queries), ">= 0.98")
    whole(report, EXACT_MAX)  # the most that is looked at without a graph
    whole(report, count)


def whole(report: Report, count: int) -> None:
    pages = texts(count, 3, 4)
    began = time.perf_counter()
    index = Index(word_vectors())
    index.add(Document(f"p{n}", page, {"tenth": n % 10}) for n, page in enumerate(pages))
    report.tell(f"{count} passages: index, seconds", time.perf_counter() - began)
    asked = questions(pages, 300, 5)
    spent = timed(searching(index), asked)
    report.tell(f"{count} passages: whole search p50, ms", float(np.percentile(spent, 50)), "<= 2")
    some = timed(lambda query: [str(hit) for hit in index.search(query, 10, {"tenth": 3})], asked)
    report.tell(f"{count} passages, a tenth allowed: whole search p50, ms", float(np.percentile(some, 50)), "<= 2")
    report.tell(f"{count} passages: memory of the process, MB", resident_mb())


# -- incidents --------------------------------------------------------------------------------------------------------


def lab_incidents(report: Report) -> None:
    found: list[Asked] = [one for seed in SEEDS for one in asked(seed)]
    index = Index(word_vectors())
    index.add(pages())
    causes = [(page.id, page.content) for page in pages() if page.metadata["kind"] == "cause"]
    report.tell("lab incidents: how many", len(found))
    report.tell("lab incidents: of how many causes", len({one.page for one in found}))
    ways: list[tuple[str, Search, bool, str]] = [
        ("as written", searching(index), False, ">= 0.95"),
        ("words alone, among causes", searching(index, {"kind": "cause"}), True, ">= 0.95"),
        ("words alone, among all pages", searching(index), True, ""),
        ("words alone, among causes, toy", toy(causes), True, ""),
    ]
    for what, search, plain, limit in ways:
        value, wrong = share(found, search, plain=plain)
        report.tell(f"lab incidents: runbook first, {what}", value, limit)
        for page, instead in wrong.items():
            print(f"    {page} found {', '.join(instead)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--part", default=",".join(PARTS), help="which parts, with commas between them")
    parser.add_argument("--data", type=Path, help="folder of collections (default: the project's own runbooks)")
    parser.add_argument("--split", default="dev", choices=["dev", "heldout", "all"], help="which queries of them")
    parser.add_argument("--profile", default="accurate", choices=["fast", "accurate"], help="up to which one (quality)")
    parser.add_argument("--passages", type=int, default=100_000, help="how many for scale (default 100000)")
    parser.add_argument("--kills", type=int, default=50, help="how often for kill (default 50)")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    chosen = parser.parse_args()
    parts = chosen.part.split(",")
    if wrong := set(parts) - set(PARTS):
        parser.error(f"--part: got {', '.join(sorted(wrong))}, allowed: {', '.join(PARTS)}")
    report = Report()
    if "speed" in parts:  # first: it measures memory
        speed(report)
    if "quality" in parts:
        quality(report, collections(chosen.data, chosen.split), chosen.profile)
    if "incidents" in parts:
        lab_incidents(report)
    if "scale" in parts:
        scale(report, chosen.passages)
    if "kill" in parts:
        figures: Counter[str] | dict[str, Any] = kill(chosen.kills)
        for name, value in figures.items():
            report.tell(f"kill: {name}", value, {"lost": "<= 0", "damaged": "<= 0"}.get(name, ""))
    if chosen.json:
        chosen.json.write_text(json.dumps(report.figures, indent=1))
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
