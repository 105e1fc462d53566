"""How fast kernel tables are decoded: the project's codec beside pyroute2's, on the same captured bytes in one run.

    python benchmarks/netlink.py [--json FILE] [--rounds N]

Printed: microseconds for each originator entry and the ratio. The agent reads its tables twice a second on small
routers, so the ratio is what the codec of our own costs or saves (docs/adr/0006-netlink.md). pyroute2 is a
development dependency.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from pyroute2.netlink import genlmsg

from x0tta6bl4.network import batman_codec as batman
from x0tta6bl4.network.netlink import messages

CAPTURE = Path(__file__).resolve().parents[1] / "tests" / "golden" / "batadv" / "iv-originators.bin"
KINDS = {
    "ORIG_ADDRESS": "l2addr",
    "NEIGH_ADDRESS": "l2addr",
    "HARD_IFINDEX": "uint32",
    "HARD_IFNAME": "asciiz",
    "LAST_SEEN_MSECS": "uint32",
    "TQ": "uint8",
    "THROUGHPUT": "uint32",
    "FLAG_BEST": "flag",
}


class BatadvMessage(genlmsg):  # type: ignore[misc]  # pyroute2 has no types
    """The family's message as pyroute2 declares one; attributes that are not named stay bytes."""

    nla_map = tuple(
        (f"BATADV_ATTR_{n}", KINDS.get(batman.Attr(n).name, "hex") if n in set(batman.Attr) else "hex")
        for n in range(64)
    )


def with_pyroute2(data: bytes) -> list[Any]:
    """Every entry, decoded by pyroute2."""
    found, at = [], 0
    while at < len(data):
        message = BatadvMessage(data[at:])
        message.decode()
        if message["header"]["type"] > 15:
            found.append(message["attrs"])
        at += (message["header"]["length"] + 3) & ~3
    return found


def with_ours(data: bytes) -> list[Any]:
    """Every entry, decoded by `network.batman`."""
    return [batman.decode_originator(body, {}) for kind, _, _, body in messages(data) if kind > 15]


def microseconds(decode: Any, data: bytes, rounds: int) -> float:
    """For each entry, the best of `rounds` rounds of ten."""
    best, entries = float("inf"), len(decode(data))
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(10):
            decode(data)
        best = min(best, (time.perf_counter() - began) / 10)
    return best / entries * 1e6


def main() -> int:
    """Print both and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--rounds", type=int, default=20)
    chosen = parser.parse_args()
    data = CAPTURE.read_bytes()
    figures = {
        "entry_us": microseconds(with_ours, data, chosen.rounds),
        "entry_us_pyroute2": microseconds(with_pyroute2, data, chosen.rounds),
    }
    figures["ratio"] = figures["entry_us_pyroute2"] / figures["entry_us"]
    for key, value in figures.items():
        print(f"{key:20} {value:10.2f}")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
