"""A self-healing controller for batman-adv mesh networks."""

from importlib.metadata import version

__version__ = version("x0tta6bl4")
