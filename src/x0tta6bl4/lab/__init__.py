"""A mesh to break: simulated or real."""
