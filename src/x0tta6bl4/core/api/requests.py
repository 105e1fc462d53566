"""What writes share: bodies that take nothing unknown, and asking the loop without touching it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Final, TypeVar

from fastapi import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from starlette.concurrency import run_in_threadpool

from x0tta6bl4.core.api.shapes import answer
from x0tta6bl4.core.problems import Problem
from x0tta6bl4.core.state import State
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.mape_k.commands import Command, Conflict, Unknown

T = TypeVar("T")
ANSWER_S: Final = 2.0  # how long a request waits for the loop


def _printable(text: str) -> str:
    if not all(char.isprintable() for char in text):
        raise ValueError("printable characters only")
    return text


Text = Annotated[str, StringConstraints(max_length=500), AfterValidator(_printable)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_printable)]
ComponentText = Annotated[
    str, Field(max_length=512, pattern=r"^[a-z][a-z0-9_-]*/[!-~]+$", description="KIND/NAME.", examples=["node/n3"])
]


class Body(BaseModel):
    """Base of request bodies: an unknown member is an error, a number is no text."""

    model_config = ConfigDict(extra="forbid", strict=True)


async def asked(
    state: State,
    command: Command[T],
    document: Callable[[T], object],
    *,
    over: str = "",
    status: int = HTTPStatus.OK,
) -> Response:
    """Post a command, wait for its answer, and make a document of it.

    over: id of an incident which, where the loop does not have it open, may lie in the archive: 409, not 404.
    Raises problems: 404, 409, 422 as the command refuses, 503 where the loop does not answer in time.
    """
    future = state.commands.post(command)
    try:
        value = await asyncio.wait_for(asyncio.wrap_future(future), ANSWER_S)
    except TimeoutError:
        begun = not future.cancel()
        what = "it was begun and may still take effect" if begun else "nothing was changed"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"the loop did not answer in {ANSWER_S:g} s; {what}") from None
    except Unknown as error:
        if over and await run_in_threadpool(state.archive.incident, over) is not None:
            raise Problem(HTTPStatus.CONFLICT, f"incident {over!r} is closed") from None
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from None
    except Conflict as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None
    return answer(await run_in_threadpool(document, value), status)


def refused(error: ConfigError) -> Problem:
    """A value that is not allowed, as a problem."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), field=error.field)
