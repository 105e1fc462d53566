"""The mesh as a NetJSON NetworkGraph (https://netjson.org/rfc.html#name-networkgraph)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from x0tta6bl4.core.documents import plain
from x0tta6bl4.core.routing import pairs
from x0tta6bl4.core.view import LinkView, MeshView


def graph(view: MeshView) -> dict[str, Any]:
    """One link for each pair of neighbours: its cost is that of the worse direction, both stand in `properties`."""
    declared = {node.name: node for node in view.inventory}
    nodes = []
    for node in view.nodes:
        known = declared.get(node.name)
        macs = [known.address, *(interface.mac for interface in known.interfaces)] if known else []
        nodes.append(
            {
                "id": node.name,
                "label": node.name,
                "local_addresses": [mac for mac in dict.fromkeys(macs) if mac],
                "properties": {"state": node.state, "report_age_s": plain(node.report_age_s)},
            }
        )
    return {
        "type": "NetworkGraph",
        "protocol": "batman-adv",
        "version": None,  # that of the kernel module is not among what agents report
        "metric": {"BATMAN_IV": "TQ", "BATMAN_V": "throughput"}.get(view.algorithm),
        "label": "mesh",
        "nodes": nodes,
        "links": [_link(links) for _, links in sorted(pairs(view.links).items())],
    }


def _link(links: Sequence[LinkView]) -> dict[str, Any]:
    """Cost is 1 / quality: 1 is perfect. A direction without a known quality counts as its losses say."""

    def quality(link: LinkView) -> float:
        known = link.quality if link.quality is not None else 1.0 - (link.loss_ratio or 0.0)
        return min(1.0, max(0.01, known))

    worse = min(links, key=lambda link: (link.state != "down", quality(link)))
    return {
        "source": worse.source,
        "target": worse.target,
        "cost": round(1.0 / quality(worse), 4),
        "cost_text": f"quality {quality(worse):.0%}, {worse.state}",
        "properties": {
            "state": worse.state,
            "directions": [
                {
                    "source": link.source,
                    "interface": link.interface,
                    "state": link.state,
                    "loss_ratio": plain(link.loss_ratio),
                    "rtt_ms": plain(link.rtt_ms),
                    "quality": plain(link.quality),
                }
                for link in links
            ],
        },
    }
