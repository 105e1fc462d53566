"""The mesh's state as the catalogue's functions and the guards may see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from x0tta6bl4.catalog import Carries, Catalog
from x0tta6bl4.mape_k.columns import Columns, Table
from x0tta6bl4.mape_k.graph import Graph, Neighbours
from x0tta6bl4.mape_k.guards import Limits, Situation
from x0tta6bl4.mape_k.symptoms import Symptoms
from x0tta6bl4.model import ActionRecord, Component, Relation, Seconds

_STEPS = {text + r.value: (r, bool(text)) for r in Relation for text in ("", "~")}


class StateView:
    """`catalog.View` over the columns at one instant."""

    def __init__(self, state: State, now: Seconds) -> None:
        self._state, self.now = state, now
        self._columns, self._graph, self._symptoms = state.columns, state.graph, state.symptoms
        self._live: Neighbours | None = None

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
        """Undirected neighbours over links that carry something; the same whenever it is asked again."""
        if self._live is None:
            self._live = self._state.live(self.now)
        return self._live


class State:
    """Makes views and situations; the live graph is made anew when a link began or ceased to carry something."""

    def __init__(self, catalog: Catalog, columns: Columns, graph: Graph, symptoms: Symptoms) -> None:
        self.catalog, self.columns, self.graph, self.symptoms = catalog, columns, graph, symptoms
        self._asked: Seconds = -np.inf
        self._key: tuple[object, ...] = ()  # of what `_live` was made
        self._live: Neighbours = {}

    def view(self, now: Seconds) -> StateView:
        """What catalogue functions may read."""
        return StateView(self, now)

    def live(self, now: Seconds) -> Neighbours:
        """Undirected neighbours over links that carry something now (both directions must not be known dead)."""
        if self._asked != now:
            self._asked = now
            dead = self._dead()
            carrying = [self._carrying(rule, dead, now) for rule in self.catalog.carries]
            key = (self.graph.version, frozenset(dead), *(mask.tobytes() for _, mask in carrying))
            if key != self._key:
                self._key = key
                links = [t.components[slot] for t, mask in carrying for slot in np.flatnonzero(mask)]
                if not carrying:
                    links = [link for link in self.graph.links if link not in dead]
                self._live = self.graph.adjacency(links)
        return self._live

    def regained(self, seat: Component | None, avoided: Iterable[Component], now: Seconds) -> tuple[Component, ...]:
        """The vertices at the far ends of avoided links that all carry again; () while one does not.

        seat: where this loop is; from elsewhere nobody can tell what an agent reaches.
        """
        ends = {link: pair for link in avoided if (pair := self.graph.ends(link)) is not None}
        if not ends or not all(self.symptoms.carries(link, now) for link in ends):
            return ()
        far = {vertex for pair in ends.values() if seat in pair for vertex in pair if vertex != seat}
        return tuple(sorted(far))

    def _dead(self) -> set[Component]:
        """Links with a symptom that cuts, and all others between the same two vertices."""
        dead: set[Component] = set()
        for code in self.catalog.cuts:
            rule = self.symptoms.rules[code]
            for slot in () if rule.quiet else np.flatnonzero(rule.active):
                ends = self.graph.ends(rule.table.components[slot])
                for one, other in () if ends is None else (ends, ends[::-1]):
                    links = self.graph.walk(one, ((Relation.FROM, True),))
                    dead.update(link for link in links if self.graph.ends(link) == (one, other))
        return dead

    def _carrying(self, rule: Carries, dead: Iterable[Component], now: Seconds) -> tuple[Table, NDArray[np.bool_]]:
        """The links of one kind, bool [size]: which carry something."""
        table = self.columns.tables[rule.kind]
        mask = np.logical_or.reduce([table.fresh(metric, now) for metric in rule.measured])
        broken = list(dead)
        for kind, metric in rule.broken:
            parts = self.columns.tables[kind]
            zero = parts.fresh(metric, now) & (parts.values[parts.row[metric], : parts.size] == 0)
            for slot in np.flatnonzero(zero):
                broken.extend(self.graph.walk(parts.components[slot], ((Relation.PART_OF, True),)))
        mask[[table.slot[link] for link in broken if link in table.slot]] = False
        return table, mask

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
        left: frozenset[tuple[str, Component]] = frozenset(),
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
            left=left,
        )
