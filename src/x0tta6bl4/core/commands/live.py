"""The live view: nodes, links, clients, faults and incidents of one mesh in a terminal, out of snapshots only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from x0tta6bl4.core.commands.output import number, percent
from x0tta6bl4.core.readers import IncidentFile, Snapshot
from x0tta6bl4.core.view import ClientView, LinkView
from x0tta6bl4.model import ActionRecord, Component, IncidentState, Seconds
from x0tta6bl4.monitoring.logs import sentence

# Never colour alone: each state has a sign of its own.
SIGNS = {"well": ("●", "green"), "suspect": ("◐", "yellow"), "avoided": ("◇", "cyan"), "down": ("✗", "red")}
UNKNOWN = ("?", "dim")
HISTORY = 48
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


class LiveView:
    """Draws one screen from a snapshot and remembers what clients saw lately."""

    def __init__(self, title: str, footer: str = "") -> None:
        self._title, self._footer = title, footer
        self._seen: dict[tuple[str, str], deque[ClientView]] = {}
        self._last_at: Seconds | None = None

    def screen(self, snapshot: Snapshot, files: list[IncidentFile]) -> RenderableType:
        """Everything, top to bottom; fits 80 columns and 24 rows for six nodes."""
        self._remember(snapshot)
        parts: list[RenderableType] = [self._head(snapshot, files), self._mesh(snapshot)]
        if snapshot.view.clients:
            parts += [Rule("clients", align="left", style="dim"), self._clients(snapshot.view.clients)]
        if snapshot.view.faults:
            parts += [Rule("broken on purpose", align="left", style="dim"), self._faults(snapshot)]
        parts += [Rule("incidents", align="left", style="dim"), self._incidents(snapshot, files)]
        parts += [Rule("events", align="left", style="dim"), self._events(snapshot, files)]
        if snapshot.risks:
            first = snapshot.risks[0]
            more = f" (and {len(snapshot.risks) - 1} more)" if len(snapshot.risks) > 1 else ""
            what = f"latent risk: {short(str(first.component))}: {first.title}; remedy: {first.remedy}{more}"
            parts.append(Text(what, style="yellow"))
        if self._footer:
            parts += [Text(), Text(self._footer, style="dim")]
        return Padding(Group(*parts), (0, 1))

    def _remember(self, snapshot: Snapshot) -> None:
        if snapshot.view.at == self._last_at:
            return
        self._last_at = snapshot.view.at
        for client in snapshot.view.clients:
            self._seen.setdefault((client.source, client.target), deque(maxlen=HISTORY)).append(client)

    def _head(self, snapshot: Snapshot, files: list[IncidentFile]) -> RenderableType:
        now_open = sum(file.incident.state is not IncidentState.CLOSED for file in files)
        text = Text.assemble((self._title, "bold"), "  ", snapshot.view.algorithm, f"  {snapshot.view.at:.0f} s  ")
        text.append("well" if not now_open else f"{now_open} open", style="green" if not now_open else "bold red")
        text.append(f"  {len(files) - now_open} healed and closed", style="dim")
        return text

    def _mesh(self, snapshot: Snapshot) -> RenderableType:
        made = Table.grid(padding=(0, 2))
        for node in snapshot.view.nodes:
            mine = [link for link in snapshot.view.links if link.source == node.name]
            row = Text(no_wrap=True)
            for link in mine:
                row.append_text(self._link(link))
                row.append("   ")
            name = Text(node.name, style="bold" if node.name == snapshot.view.seat else "")
            made.add_row(sign(node.state), name, Text(node.state, style="dim"), row)
        return made

    def _link(self, link: LinkView) -> Text:
        text = Text("→ ")
        text.append(link.target)
        text.append(" ")
        text.append_text(sign(link.state))
        if link.loss_ratio is not None and link.loss_ratio >= 0.005:
            text.append(f" {percent(link.loss_ratio)}", style="red" if link.loss_ratio > 0.05 else "dim")
        if link.rtt_ms is not None:
            text.append(f" {link.rtt_ms:.0f} ms", style="dim")
        return text

    def _clients(self, clients: Iterable[ClientView]) -> RenderableType:
        made = Table.grid(padding=(0, 2))
        for client in clients:
            state = {True: "well", False: "down", None: "unknown"}[client.well]
            past = Text(no_wrap=True)
            for one in self._seen.get((client.source, client.target), ()):
                past.append(*{True: ("▁", "green"), False: ("█", "red"), None: (" ", "")}[one.well])
            made.add_row(
                sign(state),
                f"{client.source} → {client.target}",
                {"well": "well", "down": "HURT", "unknown": "-"}[state],
                f"{percent(client.loss_ratio)} lost",
                number(client.rtt_ms, "ms", 0),
                past,
            )
        return made

    def _faults(self, snapshot: Snapshot) -> RenderableType:
        made = Table.grid(padding=(0, 2))
        for fault in snapshot.view.faults:
            left = "" if fault.remaining_s is None else f"ends in {fault.remaining_s:.0f} s"
            made.add_row("⚡", fault.kind, short(fault.component), f"for {fault.since_s:.0f} s", left)
        return made

    def _incidents(self, snapshot: Snapshot, files: list[IncidentFile]) -> RenderableType:
        if not files:
            return Text("none", style="dim")
        made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0), expand=True)
        for column, options in (("", {}), ("cause", {}), ("where", {}), ("found", {}), ("did", {"ratio": 1})):
            made.add_column(column, no_wrap=column != "did", **options)  # type: ignore[arg-type]
        for file in files[:INCIDENTS_SHOWN]:
            incident = file.incident
            found_s = max(0.0, incident.opened_at - incident.since)
            mark = {
                IncidentState.OPEN: Text("✗", "red"),
                IncidentState.MITIGATED: Text("◇", "cyan"),
                IncidentState.CLOSED: Text("✓", "green"),
            }[incident.state]
            where = short(str(incident.cause.component))
            made.add_row(mark, incident.cause.code, where, f"{found_s:.2f} s", _did(file, snapshot.iteration.at))
        return made

    def _events(self, snapshot: Snapshot, files: list[IncidentFile]) -> RenderableType:
        numbered = sorted((n for file in files for n in file.events), key=lambda n: n.number)[-EVENTS_SHOWN:]
        text = Text(no_wrap=True, overflow="ellipsis")
        for one in numbered:
            at = snapshot.view.at - (snapshot.iteration.at - one.event.at)  # the loop's clock may be another
            text.append(f"{at:7.1f} s  {words(one.event.origin, sentence(one.event))}\n", style="dim")
        return text


def words(origin: str, text: str) -> str:
    """An event's sentence with its origin and short component names."""
    head, _, component = text.rpartition(" ")
    if "/" in component:
        text = f"{head} {short(component)}"
    return f"{origin}: {text}" if origin else text


def _did(file: IncidentFile, now: Seconds) -> str:
    """Action and proof of one incident in a few words."""
    incident = file.incident
    kinds: dict[str, list[ActionRecord]] = {}
    for action in file.actions:
        kinds.setdefault(action.action.kind, []).append(action)
    parts = []
    for kind, alike in list(kinds.items())[:2]:
        first = alike[0]
        where = _target(first.action.target) if len(alike) == 1 else f"x{len(alike)}"
        parts.append(f"{kind} {where} {first.state.value}" + (f" ({first.detail})" if first.detail else ""))
    if incident.closed_at is not None:
        parts.append(f"over after {incident.closed_at - incident.opened_at:.1f} s")
    elif not parts:
        parts.append(f"watching for {now - incident.opened_at:.1f} s")
    return "; ".join(parts)


def _target(target: Component) -> str:
    return short(str(target)) if target.kind in ("adjacency", "link") else target.name
