"""Makes `tests/` importable, so that tests in every folder share `hand_made`."""

import signal

from postgresql import server, vector_server  # noqa: F401 -- fixtures for tests in every folder

# What a shell starts in the background ignores SIGINT, and so would all that tests start and end with Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
