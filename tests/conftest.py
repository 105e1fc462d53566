"""Makes `tests/` importable, so that tests in every folder share `hand_made`."""
