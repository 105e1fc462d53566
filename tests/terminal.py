"""This process in a terminal of its own, for tests of what is shown to people only."""

import io
import os
import pty
import sys
import threading
from contextlib import contextmanager

import pytest


@contextmanager
def terminal(typed=b""):
    """Standard streams are a terminal inside; gives a list that holds what was shown once it is left."""
    main, end = pty.openpty()
    pieces = []

    def read():
        try:
            while piece := os.read(main, 65536):
                pieces.append(piece)
        except OSError:  # Linux: the other end is closed
            pass

    reader = threading.Thread(target=read)
    with os.fdopen(end, "r+b", buffering=0) as raw:
        os.write(main, typed)
        reader.start()
        text = io.TextIOWrapper(raw, write_through=True)
        with pytest.MonkeyPatch.context() as patch:
            for name in ("stdin", "stdout", "stderr"):
                patch.setattr(sys, name, text)
            patch.setenv("TERM", "xterm-256color")
            yield pieces
        text.detach()
    reader.join(10)
    os.close(main)
