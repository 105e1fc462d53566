"""In the guest: the `host` backend, on the one kernel here that has batman-adv."""

from x0tta6bl4.core import runners
from x0tta6bl4.errors import X0tError
from x0tta6bl4.lab import host, real, scenarios
from x0tta6bl4.lab.judge import judge
from x0tta6bl4.network import netns


def run(session, text):
    """One run of a scenario with the product's own participants, judged."""
    record = real.run(
        scenarios.parse(text),
        backend="host",
        seed=1,
        factory=runners.factory(),
        factory_name=runners.FACTORY,
        tail_s=3.0,
    )
    return {"faults": judge(record).faults, "left": netns.names()}


def twice(session):
    """Two labs on one machine at the same time, and one after the other."""
    with host.start():
        try:
            host.start().close()
            refused = ""
        except X0tError as error:
            refused = str(error)
    with host.start() as second:
        return {"refused": refused, "answers": second.call("clock") > 0}
