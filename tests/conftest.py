"""Makes `tests/` importable, so that tests in every folder share `hand_made`."""

import signal

from hypothesis import HealthCheck, settings

from postgresql import server, vector_server  # noqa: F401 -- fixtures for tests in every folder

# What a shell starts in the background ignores SIGINT, and so would all that tests start and end with Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes to draw or to try is the machine's matter, which others use too: no test is about it.
settings.register_profile("x0tta6bl4", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("x0tta6bl4")
