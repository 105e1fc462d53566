"""Laws of what touches the world: sensors, actuators, notifiers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

import numpy as np

from x0tta6bl4.model import Action, Component, Did, Observation, Order, Outcome
from x0tta6bl4.monitoring.notify import Notifier
from x0tta6bl4.ports import Actuator, Sensor
from x0tta6bl4.testing.samples import events

DEADMAN_S = 10.0


def sensor_laws(make: Callable[[], Sensor], broken: Callable[[], Sensor] | None = None) -> None:
    """Laws of `ports.Sensor`.

    Args:
        make: a sensor whose source answers.
        broken: one whose source does not: it must say so in `Observation.error`, not raise.
    """
    sensor = make()
    assert isinstance(sensor.name, str), "a sensor's name is text"
    assert sensor.name, "a sensor has a name"
    assert make().name == sensor.name, "a sensor's name is constant"
    first, second = sensor.read(1.0), sensor.read(2.0)
    for now, seen in ((1.0, first), (2.0, second)):
        _observation(seen, sensor.name, now)
        assert not seen.error, f"a sensor whose source answers says no error, not {seen.error!r}"
    if first.layout.components == second.layout.components and first.layout.metrics == second.layout.metrics:
        assert first.layout is second.layout, "a sensor keeps its Layout object while its components do not change"
    if broken is not None:
        seen = broken().read(1.0)
        _observation(seen, sensor.name, 1.0)
        assert seen.error, "a sensor whose source does not answer says why in `error`"
        assert np.isnan(seen.values).all(), "a sensor that failed measured nothing: NaN, never the last or a zero"


def _observation(seen: Observation, name: str, now: float) -> None:
    assert isinstance(seen, Observation), f"read() returns an Observation, not {type(seen).__name__}"
    assert seen.sensor == name, "an observation names its sensor"
    assert seen.at == now, "an observation is stamped with the time that read() was given"
    layout = seen.layout
    _once(layout.components, "component")
    _once(layout.metrics, "metric")
    assert all(isinstance(c, Component) and c.kind and c.name for c in layout.components), "components have names"
    shape = (len(layout.components), len(layout.metrics))
    assert np.shape(seen.values) == shape, f"values have the layout's shape {shape}, not {np.shape(seen.values)}"
    assert seen.values.dtype == np.float32, f"values are float32, not {seen.values.dtype}"
    assert not np.isinf(seen.values).any(), "what was not measured is NaN, not an infinity"
    ages = np.asarray(seen.age_s)
    assert ages.shape in ((), shape), "ages are one number, or one for each value"
    assert (ages >= 0).all(), "nothing was measured in the future"


def _once(things: Iterable[Hashable], what: str) -> None:
    listed = list(things)
    assert len(set(listed)) == len(listed), f"each {what} stands once in a layout"


def actuator_laws(
    make: Callable[[], Actuator],
    action: Action,
    *,
    state: Callable[[Actuator], object] | None = None,
    wait: Callable[[Actuator, float], object] | None = None,
) -> None:
    """Laws of `ports.Actuator`, of one that answers at once.

    Args:
        make: an actuator that can carry out `action`.
        action: what it is asked for.
        state: what must be as before once everything is undone.
        wait: lets so many seconds pass for an actuator; with it the dead-man timer is tried too.
    """
    actuator = make()
    assert isinstance(actuator.kinds, frozenset), "kinds is a frozenset"
    assert action.kind in actuator.kinds, f"{action.kind} is not among its kinds"
    _answers(make(), action)
    _orders_are_told_apart(make(), action)
    if state is not None:
        for ended in (("o2", "o1"), ("o1", "o2")):
            actuator = make()
            before = state(actuator)
            for ident in ("o1", "o1", "o2"):
                _did(actuator.apply(_order(ident, action)), Did.DONE, "apply")
            for ident in ended:
                _did(actuator.undo(ident), Did.UNDONE, "undo")
            assert state(actuator) == before, "undoing everything, in any order, restores what was"
    if wait is not None:
        _dead_man(make, action, wait)


def _order(ident: str, action: Action) -> Order:
    return Order(ident, "laws", 1, action, DEADMAN_S)


def _did(outcome: Outcome | None, did: Did, verb: str) -> Outcome:
    assert isinstance(outcome, Outcome), f"{verb} answers with an Outcome, not {type(outcome).__name__}"
    assert outcome.did is did, f"{verb}: {did.value} was due, it answered {outcome.did.value} ({outcome.detail})"
    return outcome


def _answers(actuator: Actuator, action: Action) -> None:
    order = _order("o1", action)
    before, *_ = [_did(actuator.apply(order), Did.DONE, "apply, three times the same order").before for _ in range(3)]
    found = _did(actuator.resolve(order), Did.DONE, "resolve of an applied order")
    assert found.before in (before, {}), "resolve finds the settings that undo restores, or none"
    assert found.order == "o1", "an outcome names its order"
    _did(actuator.undo("o1"), Did.UNDONE, "undo")
    _did(actuator.resolve(order), Did.UNDONE, "resolve of an undone order")
    for verb in (actuator.undo, actuator.confirm):
        assert _did(verb("unheard-of"), Did.REFUSED, "an unknown order").order == "unheard-of"


def _orders_are_told_apart(actuator: Actuator, action: Action) -> None:
    for ident in ("o1", "o2"):
        _did(actuator.apply(_order(ident, action)), Did.DONE, "apply")
    _did(actuator.undo("o2"), Did.UNDONE, "undo of the second")
    _did(actuator.confirm("o1"), Did.DONE, "confirm of the first")
    _did(actuator.undo("o1"), Did.UNDONE, "undo of a confirmed order")


def _dead_man(make: Callable[[], Actuator], action: Action, wait: Callable[[Actuator, float], object]) -> None:
    order = _order("o1", action)
    for confirmed, due in ((False, Did.UNDONE), (True, Did.DONE)):
        actuator = make()
        _did(actuator.apply(order), Did.DONE, "apply")
        if confirmed:
            _did(actuator.confirm("o1"), Did.DONE, "confirm")
        wait(actuator, DEADMAN_S + 1.0)
        what = "a confirmed order outlives its dead-man timer" if confirmed else "an unconfirmed order undoes itself"
        _did(actuator.resolve(order), due, what)


def notifier_laws(make: Callable[[], Notifier]) -> None:
    """Laws of `monitoring.notify.Notifier`; `make` builds one whose far end answers."""
    notifier = make()
    assert isinstance(notifier.name, str), "a notifier's name is text"
    assert notifier.name, "a notifier has a name"
    assert make().name == notifier.name, "a notifier's name is constant"
    for event in (*events(), events()[0]):  # one comes twice: that is no error
        before = repr(event)
        notifier.send(event)
        assert repr(event) == before, "a notifier changes no event"
