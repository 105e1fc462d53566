"""What a plugin must obey, as law suites that it runs in its own tests: `sensor_laws(make)` and its like.

Each suite is a plain function: it returns when every law holds, and raises AssertionError naming the law that does
not. `make` builds a fresh instance each time it is called. Nothing here needs a test runner.

>>> from x0tta6bl4.mape_k.planner import SuccessRanker
>>> ranker_laws(SuccessRanker)
"""

from x0tta6bl4.testing.decides import detector_laws, guard_laws, ranker_laws
from x0tta6bl4.testing.knows import catalogue_laws, retriever_laws
from x0tta6bl4.testing.samples import candidates, events, proposal, situation
from x0tta6bl4.testing.touches import actuator_laws, notifier_laws, sensor_laws

__all__ = [
    "actuator_laws",
    "candidates",
    "catalogue_laws",
    "detector_laws",
    "events",
    "guard_laws",
    "notifier_laws",
    "proposal",
    "ranker_laws",
    "retriever_laws",
    "sensor_laws",
    "situation",
]
