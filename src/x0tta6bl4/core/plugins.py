"""Every extension point, in one place.

A plugin is an installed package with entry points in these groups:

    x0tta6bl4.sensors      (Site) -> ports.Sensor, or None where it has nothing to read    sensor_laws
    x0tta6bl4.detectors    (Site) -> ports.Detector, for each kind with learnable metrics  detector_laws
    x0tta6bl4.rankers      (Site) -> ports.Ranker, instead of the built-in one             ranker_laws
    x0tta6bl4.retrievers   (Site) -> ml.retriever.Retriever, asked beside the built-in one retriever_laws
    x0tta6bl4.actuators    (Site) -> ports.Actuator, or None where it has nothing to do    actuator_laws
    x0tta6bl4.guards       a tuple of mape_k.guards.Rule, added to the built-in ones       guard_laws
    x0tta6bl4.catalogues   (Site) -> catalog.Catalog, added to the built-in one            catalogue_laws
    x0tta6bl4.notifiers    () -> monitoring.notify.Notifier                                notifier_laws

What stands on the right is its law suite in `x0tta6bl4.testing`. The built-in guards, catalogue and ranker come in by
the same door. A plugin takes part when `plugins.enabled` names its package; all or nothing: one that cannot be
loaded, lacks a part of its protocol or takes a name that is taken stops the start, and the error names the package,
the entry point and the reason. Once it runs a
plugin cannot stop the loop: see `core.containment`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import Distribution, EntryPoint
from typing import Any, Final

from x0tta6bl4.catalog import Catalog, Scope
from x0tta6bl4.core import containment
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.mape_k.guards import RULES, Rule
from x0tta6bl4.mape_k.planner import SuccessRanker
from x0tta6bl4.ml.retriever import Retriever
from x0tta6bl4.monitoring.notify import Notifier
from x0tta6bl4.network.catalog import mesh_catalog
from x0tta6bl4.ports import Actuator, Clock, Detector, Ranker, Sensor

FIELD: Final = "plugins.enabled"
OWN: Final = "x0tta6bl4"
PREFIX: Final = f"{OWN}."
PROTOCOL: Final[Mapping[str, tuple[str, ...]]] = {  # what an object of each group must have
    "sensors": ("name", "read"),
    "detectors": ("name", "score", "learn"),
    "rankers": ("rank",),
    "retrievers": ("retrieve_context",),
    "actuators": ("kinds", "apply", "confirm", "undo", "resolve"),
    "guards": (),
    "catalogues": (),
    "notifiers": ("name", "send"),
}
MAY_BE_NONE: Final = ("sensors", "actuators")
BUILT_IN: Final = ("guards", "catalogues", "rankers")
ATTRIBUTES: Final = {"name": str, "kinds": frozenset}


@dataclass(frozen=True, slots=True)
class Site:
    """The loop that a part is made for. name: the node's, or "controller"; scope: the node's or the mesh's loop.

    A detector is made for one kind of component: its learnable metrics are the rows that it is shown, in this order.
    """

    name: str
    scope: Scope
    clock: Clock
    kind: str = ""
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plugged:
    """What one loop is built from besides its own sensors and actuators."""

    catalog: Catalog
    rules: tuple[Rule, ...] = RULES
    ranker: Ranker | None = None
    sensors: tuple[Sensor, ...] = ()
    actuators: tuple[Actuator, ...] = ()
    detectors: Mapping[str, tuple[Detector, ...]] = field(default_factory=dict)
    retrievers: Mapping[str, Retriever] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One entry point and what it led to."""

    plugin: str
    point: EntryPoint
    value: Any

    @property
    def group(self) -> str:
        return self.point.group.removeprefix(PREFIX)

    def refused(self, why: str) -> ConfigError:
        """The error that stops the start."""
        return ConfigError(FIELD, f"{self.plugin}: {self.point.name} = {self.point.value}", why)

    def make(self, *arguments: object) -> Any:
        """What its factory makes, checked against the group's protocol; None from one that may have nothing to do."""
        try:
            made = self.value(*arguments)
        except Exception as error:  # foreign code at its outer edge: the start is told
            raise self.refused(f"a factory that works ({type(error).__name__}: {error})") from error
        if made is None and self.group in MAY_BE_NONE:
            return None
        for name in PROTOCOL[self.group]:
            kind = ATTRIBUTES.get(name)
            found = getattr(made, name, None)
            if not (callable(found) if kind is None else isinstance(found, kind) and found):
                what = "a method" if kind is None else f"a {kind.__name__} that is not empty"
                raise self.refused(f"an object for {self.point.group} with {what} {name!r}")
        return made


class Plugins:
    """The extension points that are in force."""

    def __init__(self, loaded: Sequence[_Loaded]) -> None:
        self._loaded = tuple(loaded)

    @property
    def names(self) -> tuple[str, ...]:
        """The packages, the built-in one first."""
        return tuple(dict.fromkeys(one.plugin for one in self._loaded))

    def at(self, site: Site, *, sensors: Iterable[str] = (), kinds: Iterable[str] = ()) -> Plugged:
        """Everything that plugins add to the loop at `site`.

        sensors, kinds: names of the loop's own sensors, and of the action kinds of its own actuators.
        Raises ConfigError where a factory fails, makes something else than its group takes, or takes a name twice.
        """
        catalog = self._catalog(site)
        return Plugged(
            catalog=catalog,
            rules=tuple(rule for one in self._of("guards") for rule in self._rules(one)),
            ranker=self._ranker(site),
            sensors=self._each("sensors", site, sensors, lambda sensor: (sensor.name,)),
            actuators=self._each("actuators", site, kinds, lambda actuator: actuator.kinds),
            detectors=self._detectors(site, catalog),
            retrievers={f"{one.plugin}/{one.point.name}": one.make(site) for one in self._of("retrievers")},
        )

    def notifiers(self) -> tuple[Notifier, ...]:
        """Every notifier; raises ConfigError as `at` does."""
        return self._each("notifiers", None, (), lambda notifier: (notifier.name,))

    def _of(self, group: str) -> list[_Loaded]:
        return [one for one in self._loaded if one.group == group]

    def _each(
        self,
        group: str,
        site: Site | None,
        taken: Iterable[str],
        names: Callable[[Any], Iterable[str]],
        contained: Callable[[str, Any], Any] = lambda plugin, part: part,
    ) -> tuple[Any, ...]:
        owners, parts = dict.fromkeys(taken, OWN), []
        for one in self._of(group):
            part = one.make() if site is None else one.make(site)
            if part is None:
                continue
            for name in names(part):
                if name in owners:
                    raise one.refused(f"a name that is free: {name!r} is taken by {owners[name]}")
                owners[name] = one.plugin
            parts.append(contained(one.plugin, part))
        return tuple(parts)

    def _detectors(self, site: Site, catalog: Catalog) -> dict[str, tuple[Detector, ...]]:
        """One of each for every kind of component with something to learn; contained."""
        made: dict[str, tuple[Detector, ...]] = {}
        for kind in dict.fromkeys(metric.kind for metric in catalog.metrics if metric.learn):
            metrics = tuple(metric.name for metric in catalog.metrics if metric.kind == kind and metric.learn)
            shown = replace(site, kind=kind, metrics=metrics)
            made[kind] = self._each("detectors", shown, (), lambda one: (one.name,), containment.detector)
        return made

    @staticmethod
    def _rules(one: _Loaded) -> tuple[Rule, ...]:
        rules: tuple[Rule, ...] = one.value
        return rules if one.plugin == OWN else containment.rules(one.plugin, rules)

    def _ranker(self, site: Site) -> Ranker:
        offered = self._of("rankers")
        foreign = [one for one in offered if one.plugin != OWN]
        if len(foreign) > 1:
            raise foreign[1].refused(f"one ranker: {foreign[0].plugin} brings one too")
        one = (foreign or offered)[0]
        ranker: Ranker = one.make(site)
        if one.plugin == OWN:
            return ranker
        return containment.ranker(one.plugin, ranker)

    def _catalog(self, site: Site) -> Catalog:
        whole: Catalog | None = None
        for one in self._of("catalogues"):
            added = one.make(site)
            if not isinstance(added, Catalog):
                raise one.refused(f"a function that gives a Catalog, not {type(added).__name__}")
            try:
                whole = added if whole is None else joined(whole, containment.catalog(one.plugin, added))
            except ConfigError as error:
                raise one.refused(f"declarations that go together with the others ({error})") from error
        assert whole is not None, "the built-in catalogue was checked for by load"
        return whole


def load(enabled: Sequence[str], path: Sequence[str] | None = None) -> Plugins:
    """Find and import what the packages named in `enabled`, and this one, bring.

    Args:
        enabled: names of installed packages, in any order.
        path: where to look for them; None: `sys.path`.

    Raises:
        ConfigError: one is not installed, brings nothing, cannot be imported or clashes. Nothing is loaded then.
    """
    where = list(sys.path if path is None else path)
    loaded: list[_Loaded] = []
    for name in dict.fromkeys((OWN, *enabled)):
        found = next(iter(Distribution.discover(name=name, path=where)), None)
        points = [] if found is None else [p for p in found.entry_points if p.group.startswith(PREFIX)]
        if not points:
            lacking = "is not installed" if found is None else "has no entry point of ours"
            raise ConfigError(FIELD, name, f"installed packages with x0tta6bl4.* entry points ({lacking})")
        loaded += [_import(name, point) for point in points]
    for group in BUILT_IN:
        if not any(one.plugin == OWN and one.group == group for one in loaded):
            raise ConfigError(FIELD, OWN, f"an installation with its own {group}: install the package again")
    _names_once(loaded)
    return Plugins(loaded)


def _import(plugin: str, point: EntryPoint) -> _Loaded:
    one = _Loaded(plugin, point, None)
    if one.group not in PROTOCOL:
        raise one.refused(f"entry points in {', '.join(PREFIX + group for group in PROTOCOL)}; not {point.group}")
    try:
        value = point.load()
    except Exception as error:  # foreign code at its outer edge: the start is told
        raise one.refused(f"something that can be imported ({type(error).__name__}: {error})") from error
    one = _Loaded(plugin, point, value)
    rules = one.group == "guards" and isinstance(value, tuple) and all(callable(rule) for rule in value)
    if not (rules or (one.group != "guards" and callable(value))):
        raise one.refused("a tuple of rules" if one.group == "guards" else "a function or class")
    return one


def _names_once(loaded: Iterable[_Loaded]) -> None:
    """Entry points of one group, and guards among themselves, have names of their own."""
    owners: dict[tuple[str, str], str] = {}
    for one in loaded:
        names = [rule.__name__ for rule in one.value] if one.group == "guards" else [one.point.name]
        for name in names:
            if (one.group, name) in owners:
                raise one.refused(f"a name that is free: {name!r} is taken by {owners[one.group, name]}")
            owners[one.group, name] = one.plugin


def joined(whole: Catalog, added: Catalog) -> Catalog:
    """Both catalogues as one; raises ConfigError where both declare the same thing.

    What is said of the graph as a whole (`cuts`, `carries`, `partition`, ...) is for the first one to say.
    """
    keys: Mapping[str, Callable[[Any], object]] = {
        "metrics": lambda m: f"{m.kind}.{m.name}",
        "symptoms": lambda s: s.code,
        "causes": lambda c: f"{c.code} of {c.kind}",
        "actions": lambda a: a.kind,
    }
    for part, key in keys.items():
        known = {key(thing) for thing in getattr(whole, part)}
        for thing in getattr(added, part):
            if key(thing) in known:
                raise ConfigError(f"catalog.{added.name}.{part}", key(thing), f"what {whole.name} does not declare")
    both = sorted(whole.remedies.keys() & added.remedies.keys())
    if both:
        raise ConfigError(f"catalog.{added.name}.remedies", both[0], f"what {whole.name} has no remedy for")
    graph = [f.name for f in fields(Catalog) if f.name not in (*keys, "name", "remedies", "risks")]
    said = [name for name in graph if getattr(added, name)]
    if said:
        raise ConfigError(f"catalog.{added.name}.{said[0]}", getattr(added, said[0]), "nothing: the mesh's is kept")
    return Catalog(
        name=f"{whole.name}+{added.name}",
        metrics=whole.metrics + added.metrics,
        symptoms=whole.symptoms + added.symptoms,
        causes=whole.causes + added.causes,
        actions=whole.actions + added.actions,
        remedies={**whole.remedies, **added.remedies},
        risks=whole.risks + added.risks,
        **{name: getattr(whole, name) for name in graph},
    )


# -- the built-in ones, as pyproject.toml names them ------------------------------------------------------------------


def mesh(site: Site) -> Catalog:
    """The catalogue of a batman-adv mesh."""
    return mesh_catalog(site.name if site.scope is Scope.NODE else None)


def success(site: Site) -> Ranker:
    """Measured success less declared risk."""
    return SuccessRanker()
