"""The mesh's catalogue hangs together, and a catalogue that does not is refused."""

from dataclasses import replace

import pytest

from x0tta6bl4.catalog import Autonomy, Expect, Mode, Scope
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.network.catalog import CAUSES, SYMPTOMS, mesh_catalog
from x0tta6bl4.network.changes import IRREVERSIBLE, TARGETS


def test_a_symptom_of_an_undeclared_metric_is_refused():
    with pytest.raises(ConfigError) as refused:
        replace(mesh_catalog(), symptoms=(*SYMPTOMS, replace(SYMPTOMS[0], code="odd", metric="colour")))
    assert (refused.value.field, refused.value.value) == ("catalog.mesh.symptoms.odd", "colour")


def test_a_metric_of_another_kind_does_not_count():
    with pytest.raises(ConfigError, match="declared metric"):
        replace(mesh_catalog(), symptoms=(replace(SYMPTOMS[0], kind="node"),))


def test_a_cause_of_an_undeclared_symptom_is_refused():
    cause = replace(CAUSES[0], code="odd", expects=(Expect("unheard-of", Mode.MUST),))
    with pytest.raises(ConfigError) as refused:
        replace(mesh_catalog(), causes=(*CAUSES, cause))
    assert (refused.value.field, refused.value.value) == ("catalog.mesh.causes.odd", "unheard-of")


@pytest.mark.parametrize("own", [None, "n1"])
def test_everything_that_is_named_is_declared(own):
    catalog = mesh_catalog(own)
    codes = {c.code for c in catalog.causes}
    assert catalog.cuts <= set(catalog.symptom)
    assert {catalog.unheard} <= set(catalog.symptom)
    if own is not None:
        assert set(catalog.remedies) <= codes | {c.code for c in CAUSES}
        assert all(c.scope is Scope.NODE for c in catalog.causes)
    for rule in catalog.causes:
        assert any(e.mode in (Mode.MUST, Mode.ALL) for e in rule.expects), rule.code
        assert 0 < rule.prior < 1
    for symptom in catalog.symptoms:
        assert (symptom.raise_at >= symptom.clear_at) == symptom.above or symptom.raise_at == symptom.clear_at


def test_every_action_has_its_actuator_and_says_whether_it_can_be_undone():
    actions = mesh_catalog("n1").action
    assert {kind: a.target for kind, a in actions.items()} == TARGETS
    assert {kind for kind, a in actions.items() if a.irreversible} == IRREVERSIBLE
    assert all(0 < a.risk < 1 for a in actions.values())
    assert {a.autonomy for a in actions.values()} == {Autonomy.ADVISE}  # on a real mesh nothing acts unasked
