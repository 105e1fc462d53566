"""What is said while a source begins."""

import pytest

from x0tta6bl4.core.commands import watch
from x0tta6bl4.core.state import State
from x0tta6bl4.errors import Permanent


class Slow:
    """Boots, warms up, and never makes a pass."""

    title, start_s = "slow", 0.7

    def __init__(self):
        self.asked = 0

    def start(self, publisher):
        pass

    def stop(self):
        pass

    def failure(self):
        return ""

    def progress(self):
        self.asked += 1
        return "boots" if self.asked < 3 else "warms up"


def test_a_slow_source_says_what_it_does_and_is_waited_for_as_long_as_it_may_take(capsys):
    with pytest.raises(Permanent, match="slow: no pass of the loop within 1 s"):
        watch._wait_for_first(Slow(), State(log=False))
    told = capsys.readouterr()
    assert told.err == "boots ...\nwarms up ...\n"
    assert told.out == ""
