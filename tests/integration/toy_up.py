"""Agents that try to bring up every interface of theirs that is down."""

from contextlib import suppress

from x0tta6bl4.errors import X0tError


class Agent:
    period_s = 0.25

    def __init__(self, ports):
        self.kernel = ports.kernel

    def tick(self, now):
        with suppress(X0tError):
            for one in self.kernel.interfaces():
                if not one.up:
                    self.kernel.set_up(one.name, True)

    def expect_reboot(self, seconds):
        pass

    def at_rest(self):
        return True

    def close(self):
        pass


class Factory:
    def agent(self, ports):
        return Agent(ports)
