"""What every operation shares: documents as bytes, pages, problem responses, examples made from the declared shapes."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from x0tta6bl4.core import documents
from x0tta6bl4.core.archive import behind
from x0tta6bl4.core.encoding import encoded
from x0tta6bl4.core.problems import MEDIA_TYPE, Problem
from x0tta6bl4.core.readers import Snapshot
from x0tta6bl4.core.state import State
from x0tta6bl4.core.view import MeshView

T = TypeVar("T")
EXAMPLES: Final[dict[str, Any]] = {}  # operation -> example of its answer; FastAPI would drop the nulls in it
Document = dict[str, Any]

LIMIT_MAX = 1000
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="How many items at most.")]
Cursor = Annotated[str, Query(max_length=512, description="`next` of the page before; empty for the first page.")]
Ident = Annotated[str, Path(alias="id", min_length=1, max_length=255, description="Its id.")]


class Shape(BaseModel):
    """Base of the documents: what is not declared is not there."""

    model_config = ConfigDict(extra="forbid")


class Page(Shape, Generic[T]):
    """A part of a list."""

    items: list[T]
    next: str | None = Field(examples=[None], description="`cursor` of the next page; null on the last one.")


def eg(example: object, description: str = "") -> Any:
    """A field with an example, from which the operation's example is assembled."""
    return Field(examples=[example], description=description or None)


def example_of(shape: Any) -> Any:
    """The example of a shape out of its fields' examples; raises LookupError where a field has none."""
    origin, arguments = typing.get_origin(shape), typing.get_args(shape)
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        return {name: _field_example(shape.__name__, name, field) for name, field in shape.model_fields.items()}
    if origin is list:
        return [example_of(arguments[0])]
    if origin in (types.UnionType, typing.Union):
        return example_of(arguments[0])
    raise LookupError(f"no example of {shape!r}")


def _field_example(owner: str, name: str, field: FieldInfo) -> Any:
    if field.examples:
        return field.examples[0]
    try:
        return example_of(field.annotation)
    except LookupError:
        raise LookupError(f"{owner}.{name} has no example") from None


def operation(name: str, shape: Any, *problems: int, status: int = 200) -> dict[str, Any]:
    """Arguments of a route's decorator: its id, its answer's shape with an example, and the problems it may answer.

    401, 421 and 422 are declared for all by `schema`.
    """
    EXAMPLES[name] = example_of(shape)
    responses: dict[int | str, Any] = {status: {"model": shape}}
    responses.update({code: problem_response(code) for code in problems})
    return {"operation_id": name, "status_code": status, "response_model": None, "responses": responses}


def problem_response(status: int) -> Document:
    """How a problem is declared in the OpenAPI document."""
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}


def answer(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A document as a response."""
    return Response(encoded(document), status, headers, media_type="application/json")


def snapshot_of(state: State) -> Snapshot:
    """The last pass; raises a 503 problem before the first."""
    snapshot = state.readers.snapshot()
    if snapshot is None:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the loop has not finished its first pass yet")
    return snapshot


def page(
    items: Sequence[T], key: Callable[[T], str], document: Callable[[T], object], limit: int, **members: object
) -> Response:
    """A page of items that were fetched one more than `limit`, so that the end is known; and other members."""
    return answer(page_document(items, key, document, limit, **members))


def page_document(
    items: Sequence[T], key: Callable[[T], str], document: Callable[[T], object], limit: int, **members: object
) -> Document:
    """The same as a document."""
    shown = items[:limit]
    following = key(shown[-1]) if len(items) > limit else None
    return {"items": [document(item) for item in shown], "next": following, **members}


def snapshot_page(
    state: State,
    request: Request,
    name: str,
    items: Callable[[MeshView], Sequence[T]],
    *,
    key: Callable[[T], str],
    limit: int,
    cursor: str,
    document: Callable[[T], object] = documents.plain,
) -> Response:
    """A page of what the last pass saw, with an ETag. name: of the list; what `items` raises is the answer."""

    def made() -> Document:
        """The page."""
        return page_document(after(items(snapshot_of(state).view), key, cursor, limit), key, document, limit)

    return state.snapshots.answer(f"{name} {limit} {cursor}", request, made)


def after(items: Sequence[T], key: Callable[[T], str], cursor: str, limit: int) -> list[T]:
    """The items behind `cursor` by their keys, one more than `limit`; ConfigError where no item has that key."""
    return behind(sorted(items, key=key), key, cursor, limit + 1)
