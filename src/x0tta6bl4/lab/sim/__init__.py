"""A deterministic simulator of a batman-adv mesh: virtual time, no root, the same seed gives the same history."""

from x0tta6bl4.lab.sim.runner import Simulation, healthy, run

__all__ = ["Simulation", "healthy", "run"]
