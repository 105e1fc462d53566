"""What batman-adv's originator messages cost on a link, and the shortest interval that a mesh can afford.

Each station of a medium sends every originator's message once an interval, its own and those it passes on, so that a
link carries (nodes of the mesh) x (stations on the medium) of them. Left out, because they go one hop only and do not
grow with the mesh: the messages of secondary interfaces (BATMAN_IV), and ELP (BATMAN_V, 16 bytes twice a second).

Sizes are those of include/uapi/linux/batadv_packet.h: struct batadv_ogm_packet has 24 bytes, struct
batadv_ogm2_packet 20. Behind it come containers, each with a header of 4 (struct batadv_tvlv_hdr): the translation
table's (4 and 8 for each VLAN, here two), multicast's (4) and that of the distributed ARP table (0). Aggregation,
which saves Ethernet headers, is not counted on.

>>> [fastest_interval_ms(nodes, 2, v=False) for nodes in (6, 33, 34, 168, 169)]
[200, 200, 500, 1000, 2000]
"""

from __future__ import annotations

from typing import Final

ETHERNET_BYTES: Final = 14
OGM_BYTES: Final = 24
OGM2_BYTES: Final = 20
CONTAINERS_BYTES: Final = (4 + 4 + 2 * 8) + (4 + 4) + 4
LINK_BIT_S: Final = 10e6  # a slow link, the one that the probes' budget is counted on too
SHARE_MAX: Final = 0.02  # of it; the default interval of 1 s takes so much in a mesh of 168 nodes
STEPS_MS: Final = (200, 500, 1000, 2000, 5000, 10_000)
"""Intervals that are recommended. Below 200 ms nothing was measured, and little is left to gain."""


def share(nodes: int, stations: int, interval_ms: float, *, v: bool) -> float:
    """The share of a slow link that originator messages take.

    nodes: in the mesh. stations: that send on the medium, 2 on a link between two. v: BATMAN_V, else BATMAN_IV.
    """
    size = ETHERNET_BYTES + (OGM2_BYTES if v else OGM_BYTES) + CONTAINERS_BYTES
    return nodes * stations * size * 8 / (interval_ms / 1000) / LINK_BIT_S


def fastest_interval_ms(nodes: int, stations: int, *, v: bool) -> int | None:
    """The shortest of the steps that keeps under the share; None where even the longest does not."""
    return next((step for step in STEPS_MS if share(nodes, stations, step, v=v) <= SHARE_MAX), None)
