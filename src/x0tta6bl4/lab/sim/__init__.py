"""A deterministic simulator of a batman-adv mesh: virtual time, no root, the same seed gives the same history.

What it leaves out: losses shared by aggregated OGMs, routing tables for each outgoing interface, the exchange of
translation tables (a fixed time stands for it), bridge loop avoidance, bandwidth and queues. `lab fidelity` compares it
with a real mesh.
"""

from x0tta6bl4.lab.sim.runner import Simulation, healthy, run

__all__ = ["Simulation", "healthy", "run"]
