"""What a call may raise.

errors.Temporary ── Unreachable    nobody listens there, or the answer did not come in time
errors.Permanent ── Refused        the controller said no, in its own words
errors.ProtocolError               what came back is not this API's
"""

from __future__ import annotations

from collections.abc import Mapping

from x0tta6bl4.errors import Permanent, Temporary

SHOWN = 20  # names of what there is


class Unreachable(Temporary):
    """No controller answers; the message says at which address and why."""


class Refused(Permanent):
    """The controller refused, and says what there is instead where it can.

    `status` is the HTTP status, `problem` the RFC 9457 document that it sent.
    """

    def __init__(self, status: int, problem: Mapping[str, object]) -> None:
        super().__init__(f"{problem.get('detail', 'refused')}{_known(problem)} ({status})")
        self.status = status
        self.problem = problem


def _known(problem: Mapping[str, object]) -> str:
    known = problem.get("known")
    if not isinstance(known, list) or not known:
        return ""
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"; known: {', '.join(map(str, known[:SHOWN]))}{more}"
