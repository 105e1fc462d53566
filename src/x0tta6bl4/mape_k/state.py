"""The mesh's state as the catalogue's functions and the guards may see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from x0tta6bl4.catalog import Catalog
from x0tta6bl4.mape_k.columns import Columns
from x0tta6bl4.mape_k.graph import Graph, Neighbours
from x0tta6bl4.mape_k.guards import Limits, Situation
from x0tta6bl4.mape_k.symptoms import Symptoms
from x0tta6bl4.model import ActionRecord, Component, Relation, Seconds

_STEPS = {text + r.value: (r, bool(text)) for r in Relation for text in ("", "~")}


class StateView:
    """`catalog.View` over the columns at one instant."""

    def __init__(self, columns: Columns, graph: Graph, symptoms: Symptoms, now: Seconds) -> None:
        self._columns, self._graph, self._symptoms, self.now = columns, graph, symptoms, now

    def value(self, component: Component, metric: str) -> float | None:
        """The last value that is not stale."""
        return self._columns.value(component, metric, self.now)

    def related(self, component: Component, path: Sequence[str]) -> Sequence[Component]:
        """Components reached along relations, `~` backwards."""
        return self._graph.walk(component, [_STEPS[step] for step in path])

    def fact(self, component: Component, name: str) -> object:
        """A fact, None where nothing is known."""
        return self._columns.fact(component, name)

    def components(self, kind: str) -> Sequence[Component]:
        """All known components of one kind."""
        return self._columns.components(kind)

    def active(self, code: str, component: Component) -> bool:
        """Is this symptom raised?"""
        return self._symptoms.active(code, component)

    def live(self) -> Neighbours:
        """Undirected neighbours over links that carry something."""
        return self._graph.adjacency(list(self._graph.links))


class State:
    """Makes views and situations; the live graph is computed when a pass asks for it."""

    def __init__(self, catalog: Catalog, columns: Columns, graph: Graph, symptoms: Symptoms) -> None:
        self.catalog, self.columns, self.graph, self.symptoms = catalog, columns, graph, symptoms
        self._live_at: tuple[Seconds, Neighbours] = (-np.inf, {})

    def view(self, now: Seconds) -> StateView:
        """What catalogue functions may read."""
        return StateView(self.columns, self.graph, self.symptoms, now)

    def live(self, now: Seconds) -> Neighbours:
        """Undirected neighbours over links that carry something now (both directions must not be known dead)."""
        if self._live_at[0] != now:
            view = self.view(now)
            carries = self.catalog.carries
            dead = {
                frozenset(ends)
                for code in self.catalog.cuts
                if not (rule := self.symptoms.rules[code]).quiet
                for slot in np.flatnonzero(rule.active)
                if (ends := self.graph.ends(rule.table.components[slot])) is not None
            }
            links = [
                link
                for link in self.graph.links
                if frozenset(self.graph.ends(link) or ()) not in dead and (carries is None or carries(link, view))
            ]
            self._live_at = (now, self.graph.adjacency(links))
        return self._live_at[1]

    def age_s(self, component: Component, now: Seconds) -> Seconds:
        """How old the newest reading of a component is; infinite where there is none."""
        table = self.columns.tables.get(component.kind)
        slot = None if table is None else table.slot.get(component)
        return np.inf if table is None or slot is None else float(now - table.at[:, slot].max())

    def situation(
        self,
        now: Seconds,
        limits: Limits,
        *,
        recent: Sequence[ActionRecord],
        avoided: Iterable[Component],
        seat: Component | None,
    ) -> Situation:
        """What guards look at; `avoided` links are already taken out of service by an action under way."""
        gone = {frozenset(ends) for link in avoided if (ends := self.graph.ends(link)) is not None}
        live = self.live(now)
        if gone:
            live = {v: {n for n in near if frozenset((v, n)) not in gone} for v, near in live.items()}
        return Situation(
            now=now,
            limits=limits,
            live=live,
            ends=self.graph.ends,
            recent=recent,
            age_s=lambda component: self.age_s(component, now),
            seat=seat,
            value=lambda component, metric: self.columns.value(component, metric, now),
        )
