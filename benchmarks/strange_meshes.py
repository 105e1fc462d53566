"""Meshes and faults that nobody tuned for: scenarios drawn at random, to be scored by the lab like any others.

    python benchmarks/strange_meshes.py DIR [--count N] [--seed N]
    x0t lab score --backend sim --scenario-dir DIR --json FILE

Draws rings with chords, ladders, grids, stars of rings and random graphs of 4 to 16 nodes, under BATMAN_IV or BATMAN_V,
with a dummy or the first interface as primary, some links on radio segments; the seat is anywhere. One or two faults of
every kind hit links, interfaces and nodes at which somebody is hurt: a pair of clients talks across each.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

Pair = tuple[int, int]
KINDS = (
    "interface-down", "link-blackhole", "link-blackhole-one-way", "link-loss", "link-loss-one-way", "link-delay",
    "link-flap", "mtu", "node-death", "node-reboot", "partition", "agent-death",
)  # fmt: skip


def ring(n: int) -> set[Pair]:
    return {(i, i % n + 1) for i in range(1, n + 1)}


def ladder(n: int) -> set[Pair]:
    half = n // 2
    rails = {(i, i + 1) for i in range(1, half)} | {(half + i, half + i + 1) for i in range(1, half)}
    return rails | {(i, half + i) for i in range(1, half + 1)}


def grid(width: int, height: int) -> set[Pair]:
    at = {(x, y): 1 + x + y * width for x in range(width) for y in range(height)}
    right = {(at[x, y], at[x + 1, y]) for x, y in at if x + 1 < width}
    return right | {(at[x, y], at[x, y + 1]) for x, y in at if y + 1 < height}


def shape(dice: random.Random) -> tuple[int, set[Pair]]:
    """(number of nodes, links); every node has at least two."""
    kind = dice.choice(("ring", "chords", "ladder", "grid", "random"))
    if kind == "ladder":
        n = 2 * dice.randint(2, 6)
        return n, ladder(n)
    if kind == "grid":
        width, height = dice.choice(((3, 3), (4, 3), (4, 4)))
        return width * height, grid(width, height)
    n = dice.randint(4, 12)
    links = ring(n)
    for _ in range({"ring": 0, "chords": 2, "random": n // 2}[kind]):
        a, b = sorted(dice.sample(range(1, n + 1), 2))
        if (b, a) not in links:
            links.add((a, b))
    return n, links


def neighbours(links: Iterable[Pair], node: int) -> list[int]:
    return sorted({b if a == node else a for a, b in links if node in (a, b)})


def reached(n: int, links: Iterable[Pair], start: int, without: set[int] = frozenset()) -> set[int]:  # type: ignore[assignment]
    links, seen, todo = list(links), {start}, [start]
    while todo:
        for other in neighbours(links, todo.pop()):
            if other not in seen and other not in without:
                seen.add(other)
                todo.append(other)
    return seen


def name(pair: Pair) -> str:
    return f"n{pair[0]}-n{pair[1]}"


def fault(dice: random.Random, kind: str, n: int, links: set[Pair], seat: int) -> tuple[dict[str, object], list[str]]:
    """(entry of the timeline, pairs of clients across it)."""
    a, b = link = dice.choice(sorted(links))
    entry: dict[str, object] = {"fault": kind.removesuffix("-one-way")}
    pairs = [f"n{a}-n{b}"]
    if kind in ("interface-down", "mtu"):
        entry["interface"] = f"n{b}:v{b}-{a}"
        if kind == "mtu":
            entry["mtu_bytes"] = dice.choice((600, 1000, 1280))
    elif kind in ("node-death", "node-reboot", "agent-death"):
        node = dice.choice([one for one in range(1, n + 1) if one != seat])
        entry["node"] = f"n{node}"
        beside = neighbours(links, node)
        pairs = [f"n{beside[0]}-n{beside[-1]}"]
        if kind == "node-reboot":
            entry["down_s"] = dice.choice((10, 25))
    elif kind == "partition":
        size = dice.randint(2, max(2, n // 3))
        away = {dice.choice([one for one in range(1, n + 1) if one != seat])}
        while len(away) < size:
            grown = [x for one in away for x in neighbours(links, one) if x not in away and x != seat]
            if not grown:
                break
            away.add(dice.choice(grown))
        cut = [pair for pair in sorted(links) if (pair[0] in away) != (pair[1] in away)]
        entry["links"] = [name(pair) for pair in cut]
        inside = sorted(away)
        near = sorted({one for pair in cut for one in pair} - away)
        pairs = [f"n{inside[0]}-n{inside[-1]}"] + ([f"n{near[0]}-n{near[-1]}"] if len(near) > 1 else [])
    else:
        entry["link"] = name(link)
        if kind.endswith("-one-way"):
            entry["direction"] = "forward"
        if kind.startswith("link-loss"):
            entry["loss_ratio"] = dice.choice((0.3, 0.4, 0.6))
        if kind == "link-delay":
            entry["delay_ms"] = dice.choice((160, 250, 400))
        if kind == "link-flap":
            entry |= {"period_s": dice.choice((3, 4, 6)), "duty": 0.5}
    return entry, pairs


def link_of(links: set[Pair], node: int, dice: random.Random) -> str:
    return name(dice.choice(sorted(pair for pair in links if node in pair)))


def draw(dice: random.Random, number: int) -> dict[str, object]:
    """One scenario as a document."""
    while True:
        n, links = shape(dice)
        kinds = [KINDS[number % len(KINDS)]] + ([dice.choice(KINDS[:9])] if dice.random() < 0.25 else [])
        seat = dice.randint(1, n)
        timeline, pairs, at = [], [], 20
        for kind in kinds:
            entry, across = fault(dice, kind, n, links, seat)
            until = at + 40
            timeline.append({**entry, "at": at, **({} if entry["fault"] == "node-reboot" else {"until": until})})
            if kind == "agent-death":  # it hurts nobody by itself: a link of its node dies too, later or before
                link = link_of(links, int(str(entry["node"])[1:]), dice)
                timeline.append(
                    {"fault": "link-blackhole", "link": link, "at": at + dice.choice((15, -4)), "until": until}
                )
                across = [link]
            pairs += [pair for pair in across if pair not in pairs]
            at = until + 30
        cut = timeline[0].get("links", [])
        whole = len(reached(n, [pair for pair in links if name(pair) not in cut], seat)) == n
        dead = {int(str(one["node"])[1:]) for one in timeline if one["fault"] in ("node-death", "node-reboot")}
        around = all(len(reached(n, links, seat, {one})) == n - 1 for one in dead)
        ends = all(len(set(pair.split("-"))) == 2 for pair in pairs)
        if around and ends and (not cut or not whole):
            break
    return {
        "name": f"strange-{number:03d}",
        "title": f"{' and '.join(kinds)} in a mesh of {n} nodes",
        "topology": {"nodes": n, "links": [name(pair) for pair in sorted(links)]},
        "algorithm": dice.choice(("BATMAN_IV", "BATMAN_V")),
        "primary": dice.choice(("dummy", "first")),
        "seed": number,
        "seat": f"n{seat}",
        "pairs": pairs,
        "timeline": timeline,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="where the scenarios are written")
    parser.add_argument("--count", type=int, default=48, help="how many (default 48: four of each kind of fault)")
    parser.add_argument("--seed", type=int, default=1, help="another number draws others (default 1)")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    dice = random.Random(chosen.seed)
    for number in range(chosen.count):
        document = draw(dice, number)
        (chosen.folder / f"{document['name']}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    print(f"{chosen.count} scenarios in {chosen.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
