"""docs/reference/API_ENDPOINTS_REFERENCE.md: every operation of the OpenAPI document, with examples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final
from urllib.parse import quote, urlencode

from x0tta6bl4.core.pages.markdown import NOTE, block, table

Document = dict[str, Any]

INTRO: Final = (
    "Each operation with its parameters, a request and the shape of its answer. What holds for all of them (token, "
    "lists,\nETags, idempotency keys, problems, events) is on the page [HTTP API](api.md). Besides the problems that "
    "are listed,\n400 (malformed request), 401 (no token) and 421 (foreign host name) may come from any operation.\n"
)
ELSEWHERE: Final = {  # headers that many operations share -> where they are explained
    "Idempotency-Key": "[Writes](api.md#writes)",
    "If-None-Match": "[Snapshots](api.md#snapshots)",
    "last-event-id": "[Events](api.md#events)",
}
ANY_OPERATION: Final = frozenset({"400", "401", "421"})


def page(document: Document) -> str:
    """The page of an OpenAPI document; raises LookupError where a required parameter has no example."""
    lines = ["# Every operation of the HTTP API", NOTE, INTRO]
    for tag, listed in groupby(operations(document), key=lambda one: one[2]["tags"][0]):
        lines += [f"## {tag.capitalize()}", ""]
        for verb, path, operation in listed:
            lines += _section(verb, path, operation, document["components"]["schemas"])
    return "\n".join(lines).rstrip() + "\n"


def operations(document: Document) -> list[tuple[str, str, Document]]:
    """(verb, path, operation) as the page lists them: by tag, in the document's order."""
    found = [(verb.upper(), path, made) for path, item in document["paths"].items() for verb, made in item.items()]
    tags = list(dict.fromkeys(operation["tags"][0] for _, _, operation in found))
    return sorted(found, key=lambda one: tags.index(one[2]["tags"][0]))


def _section(verb: str, path: str, operation: Document, schemas: Document) -> list[str]:
    parameters = operation.get("parameters", [])
    lines = [f"### {verb} {path}", "", f"{operation['description']} Operation `{operation['operationId']}`.", ""]
    lines += table(("parameter", "in", "value", "meaning"), (_parameter(one, schemas) for one in parameters))
    body = None
    if "requestBody" in operation:
        body = _resolved(operation["requestBody"]["content"]["application/json"]["schema"], schemas)
        lines += table(("member of the body", "value", "meaning"), _members(body, schemas))
    lines += block("http", _request(verb, path, parameters, _known(operation["responses"])) + _content(body, schemas))
    return lines + _answer(operation["responses"])


def _parameter(one: Document, schemas: Document) -> tuple[str, str, str, str]:
    meaning = ELSEWHERE.get(one["name"]) or str(one.get("description", ""))
    needed = "" if one["in"] == "path" or not one.get("required") else ", required"
    return f"`{one['name']}`", one["in"] + needed, allowed(one["schema"], schemas), meaning


def _members(body: Document, schemas: Document) -> Iterator[tuple[str, str, str]]:
    for name, schema in body["properties"].items():
        needed = "required; " if name in body.get("required", ()) else ""
        yield f"`{name}`", needed + allowed(schema, schemas), schema.get("description", "")


def _resolved(schema: Document, schemas: Document) -> Document:
    """A schema without its `$ref`."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return {**schemas[name], **{key: value for key, value in schema.items() if key != "$ref"}} if name else schema


def allowed(schema: Document, schemas: Document) -> str:
    """What a schema lets through, in a few words.

    >>> allowed({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, {})
    'integer, 1 to 1000; default `100`'
    """
    schema = _resolved(schema, schemas)
    said = " or ".join(_kind(_resolved(one, schemas), schemas) for one in _choices(schema))
    default = schema.get("default")
    return said if default in (None, "") else f"{said}; default `{json.dumps(default)}`"


def _choices(schema: Document) -> list[Document]:
    """What it may be besides null."""
    return [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]


def _kind(schema: Document, schemas: Document) -> str:
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema["type"] == "array":
        return f"list of {_kind(_resolved(schema['items'], schemas), schemas)}"
    if schema["type"] == "object":
        inner = next(iter(schema.get("patternProperties", {}).values()), None)
        return f"object of {_kind(_choices(inner)[0], schemas)}s" if inner else "object"
    limits = _limits(schema)
    return f"{schema['type']}, {limits}" if limits else str(schema["type"])


def _limits(schema: Document) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above = schema.get("exclusiveMinimum")
    if above is not None:
        return f"more than {above:g}" + (f", at most {high:g}" if high is not None else "")
    if low is not None:
        return f"{low:g} to {high:g}" if high is not None else f"at least {low:g}"
    if "pattern" in schema:
        return f"`{schema['pattern']}`"
    return f"at most {schema['maxLength']} characters" if "maxLength" in schema else ""


def _request(verb: str, path: str, parameters: list[Document], known: Document) -> str:
    """The first line of the request; `known` is the answer's example, so that both speak of the same thing."""
    query = {}
    for one in parameters:
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", quote(_sample(one, known)))
        elif one["in"] == "query" and one.get("required"):
            query[one["name"]] = _sample(one, {})
    return f"{verb} {path}" + (f"?{urlencode(query, safe='/', quote_via=quote)}" if query else "") + " HTTP/1.1"


def _sample(one: Document, known: Document) -> str:
    name = one["name"]
    given = [one["example"]] if "example" in one else one["schema"].get("examples", [])
    found = [*given, *([known[name]] if name in known else [])]
    if not found:
        raise LookupError(f"parameter {name!r} has no example: give it one where it is declared")
    return str(found[0])


def _known(responses: Document) -> Document:
    """The example of the answer where that is an object, else nothing."""
    for response in responses.values():
        example = response.get("content", {}).get("application/json", {}).get("example")
        if isinstance(example, dict):
            return example
    return {}


def _content(body: Document | None, schemas: Document) -> str:
    """The rest of a request that has a body."""
    return "" if body is None else f"\nContent-Type: application/json\n\n{json.dumps(_example(body, schemas))}"


def _example(schema: Document, schemas: Document) -> Any:
    """An example out of a schema's own examples; members that are null are left out."""
    schema = _resolved(schema, schemas)
    if schema.get("examples"):
        return schema["examples"][0]
    if schema.get("type") == "array":
        return [_example(schema["items"], schemas)]
    if schema.get("type") == "object":
        made = {name: _example(member, schemas) for name, member in schema.get("properties", {}).items()}
        return {name: value for name, value in made.items() if value is not None}
    if "default" in schema:
        return schema["default"]
    raise LookupError(f"no example of {schema}")


def _answer(responses: Document) -> list[str]:
    lines = []
    for status, response in responses.items():
        for media, content in response.get("content", {}).items():
            if "example" in content:
                lines += [f"Answer: {status}, `{media}`", ""]
                lines += _shown(media, content["example"])
    told = ", ".join(code for code in responses if code >= "400" and code not in ANY_OPERATION)
    return lines + ([f"[Problems](api.md#problems): {told}.", ""] if told else [])


def _shown(media: str, example: Any) -> list[str]:
    if media == "application/json":
        return block("json", json.dumps(example, indent=1, ensure_ascii=False))
    return block("text", str(example).rstrip())
