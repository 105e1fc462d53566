"""What is said of an incident where there is room for a few sentences only: in alerts."""

from __future__ import annotations

from typing import Final

from x0tta6bl4.ml.explanation import brief, facts
from x0tta6bl4.model import Incident
from x0tta6bl4.network.catalog import mesh_catalog

CATALOG: Final = mesh_catalog()


def in_brief(incident: Incident, language: str) -> str:
    """What is wrong and how it stands; raises ConfigError where the language is unknown."""
    return brief(facts(incident, CATALOG), CATALOG, language)
