"""The live view: nodes, links, clients, faults and incidents of one mesh in a terminal, out of the API's documents."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from x0tta6bl4.core.commands.output import age, number, percent
from x0tta6bl4.model import Event
from x0tta6bl4.monitoring.logs import sentence

Document = Mapping[str, Any]

# Never colour alone: each state has a sign of its own.
SIGNS = {"well": ("●", "green"), "suspect": ("◐", "yellow"), "avoided": ("◇", "cyan"), "down": ("✗", "red")}
UNKNOWN = ("?", "dim")
INCIDENT_SIGNS = {"open": ("✗", "red"), "mitigated": ("◇", "cyan"), "closed": ("✓", "green")}
HISTORY = 48
NODES_SHOWN = 40
INCIDENTS_SHOWN = 6
EVENTS_SHOWN = 5


def sign(state: str) -> Text:
    """The sign of a state, coloured."""
    mark, style = SIGNS.get(state, UNKNOWN)
    return Text(mark, style=style)


def short(component: str) -> str:
    """A component for a narrow column.

    >>> short("adjacency/n1:v1-2<>n2:v2-1"), short("node/n3"), short("interface/n1:v1-2")
    ('link n1 = n2', 'node n3', 'interface n1:v1-2')
    """
    kind, _, name = component.partition("/")
    for arrow, between in (("<>", " = "), (">", " > ")):
        if kind in ("adjacency", "link") and arrow in name:
            return "link " + between.join(end.split(":")[0] for end in name.split(arrow))
    return f"{kind} {name}".strip()


def told(event: Document) -> str:
    """An event of the API in words: who says what, of which component."""
    what, data = str(event["type"]), event["data"]
    made = Event(0, 0.0, str(event["origin"]), what, str(event["incident"]), str(event["component"]), data)
    return words(made.origin, sentence(made))


class LiveView:
    """Draws one screen from documents and remembers what clients saw lately."""

    def __init__(self, title: str, footer: str = "") -> None:
        self.title, self.footer = title, footer
        self._seen: dict[tuple[str, str], deque[bool | None]] = {}
        self._last_pass: object = None

    def screen(self, status: Document, incidents: Sequence[Document], events: Sequence[Document]) -> RenderableType:
        """Everything, top to bottom; fits 80 columns and 24 rows for six nodes.

        status: of the operation `mesh_status`; incidents: items of `list_incidents`, newest first; events: data of
        `events`, oldest first.
        """
        self._remember(status)
        parts: list[RenderableType] = [self._head(status, incidents), _mesh(status)]
        if status["clients"]:
            parts += [Rule("clients", align="left", style="dim"), self._clients(status["clients"])]
        if status["faults"]:
            parts += [Rule("broken on purpose", align="left", style="dim"), _faults(status["faults"])]
        parts += [Rule("incidents", align="left", style="dim"), _incidents(incidents)]
        parts += [Rule("events", align="left", style="dim"), _events(events)]
        if status["risks"]:
            first = status["risks"][0]
            more = f" (and {len(status['risks']) - 1} more)" if len(status["risks"]) > 1 else ""
            what = f"latent risk: {short(first['component'])}: {first['title']}; remedy: {first['remedy']}{more}"
            parts.append(Text(what, style="yellow"))
        parts += [Text(f"blind: {sensor}: {why}", style="red") for sensor, why in status["sensor_errors"].items()]
        if self.footer:
            parts += [Text(), Text(self.footer, style="dim")]
        return Padding(Group(*parts), (0, 1))

    def _remember(self, status: Document) -> None:
        if status["passes"] == self._last_pass:
            return
        self._last_pass = status["passes"]
        for client in status["clients"]:
            self._seen.setdefault(_pair(client), deque(maxlen=HISTORY)).append(client["well"])

    def _head(self, status: Document, incidents: Sequence[Document]) -> RenderableType:
        now_open = len(status["incidents_open"])
        text = Text.assemble((self.title, "bold"), "  ", status["algorithm"], f"  pass {status['iteration']}  ")
        text.append("well" if not now_open else f"{now_open} open", style="green" if not now_open else "bold red")
        closed = sum(incident["state"] == "closed" for incident in incidents)
        text.append(f"  {closed} healed and closed", style="dim")
        return text

    def _clients(self, clients: Sequence[Document]) -> RenderableType:
        made = Table.grid(padding=(0, 2))
        for client in clients:
            state = {True: "well", False: "down", None: "unknown"}[client["well"]]
            past = Text(no_wrap=True)
            for one in self._seen.get(_pair(client), ()):
                past.append(*{True: ("▁", "green"), False: ("█", "red"), None: (" ", "")}[one])
            made.add_row(
                sign(state),
                f"{client['source']} → {client['target']}",
                {"well": "well", "down": "HURT", "unknown": "-"}[state],
                f"{percent(client['loss_ratio'])} lost",
                number(client["rtt_ms"], "ms", 0),
                past,
            )
        return made


def _pair(client: Document) -> tuple[str, str]:
    return client["source"], client["target"]


def _mesh(status: Document) -> RenderableType:
    """One row for each node; of a large mesh those that are not well come first."""
    made = Table.grid(padding=(0, 2))
    nodes = list(status["node_list"])
    if len(nodes) > NODES_SHOWN:
        nodes.sort(key=lambda node: node["state"] == "well")
    for node in nodes[:NODES_SHOWN]:
        row = Text(no_wrap=True, overflow="ellipsis")
        for link in status["links"]:
            if link["source"] == node["name"]:
                row.append_text(_link(link))
                row.append("   ")
        name = Text(node["name"], style="bold" if node["name"] == status["seat"] else "")
        made.add_row(sign(node["state"]), name, Text(node["state"], style="dim"), row)
    if len(nodes) > NODES_SHOWN:
        made.add_row("", "", Text("..."), Text(f"and {len(nodes) - NODES_SHOWN} more nodes", style="dim"))
    return made


def _link(link: Document) -> Text:
    text = Text("→ ")
    text.append(link["target"])
    text.append(" ")
    text.append_text(sign(link["state"]))
    if link["loss_ratio"] is not None and link["loss_ratio"] >= 0.005:
        text.append(f" {percent(link['loss_ratio'])}", style="red" if link["loss_ratio"] > 0.05 else "dim")
    if link["rtt_ms"] is not None:
        text.append(f" {link['rtt_ms']:.0f} ms", style="dim")
    return text


def _faults(faults: Sequence[Document]) -> RenderableType:
    made = Table.grid(padding=(0, 2))
    for fault in faults:
        left = "" if fault["remaining_s"] is None else f"ends in {fault['remaining_s']:.0f} s"
        made.add_row("⚡", fault["kind"], short(fault["component"]), f"for {fault['since_s']:.0f} s", left)
    return made


def _incidents(incidents: Sequence[Document]) -> RenderableType:
    if not incidents:
        return Text("none", style="dim")
    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0), expand=True)
    for column in ("", "cause", "where", "found", "did"):
        made.add_column(column, no_wrap=True, ratio=1 if column == "did" else None)
    for one in incidents[:INCIDENTS_SHOWN]:
        mark, style = INCIDENT_SIGNS.get(one["state"], UNKNOWN)
        made.add_row(
            Text(mark, style), one["cause"], short(one["component"]), number(one["detect_s"], "s", 2), _did(one)
        )
    return made


def _did(incident: Document) -> str:
    """How long one incident lasts, its first action and the proof, in a few words."""
    begun = f"{'over after' if incident['state'] == 'closed' else 'for'} {age(incident['open_s'])}"
    if not incident["action"]:
        return begun
    kind, _, name = incident["action_target"].partition("/")
    where = short(incident["action_target"]) if kind in ("adjacency", "link") else name
    proof = f" ({incident['proof']})" if incident["proof"] else ""
    return f"{begun}: {incident['action']} {where} {incident['action_state']}{proof}"


def _events(events: Sequence[Document]) -> RenderableType:
    text = Text(no_wrap=True, overflow="ellipsis")
    for event in events[-EVENTS_SHOWN:]:
        text.append(f"{age(event['age_s']):>12} ago  {told(event)}\n", style="dim")
    return text


def words(origin: str, text: str) -> str:
    """An event's sentence with its origin and short component names."""
    head, _, component = text.rpartition(" ")
    if "/" in component:
        text = f"{head} {short(component)}"
    return f"{origin}: {text}" if origin else text
