"""Each request of the API's reference gets one of the answers that stand below it, from a controller that runs."""

import json
import re

import httpx
import jsonschema
import pytest
from pages import ROOT, blocks
from stage import Stage

from x0tta6bl4.core.app import create_app
from x0tta6bl4.core.pages import endpoints

PAGE = ROOT / "docs/reference/API_ENDPOINTS_REFERENCE.md"
DOCUMENT = create_app(source=None).openapi()
OPERATIONS = endpoints.operations(DOCUMENT)


def requests():
    """(verb, target, body) as the page prints them."""
    for one in blocks(PAGE):
        if one.language == "http":
            head, _, body = one.text.partition("\n\n")
            verb, target, _ = head.split("\n")[0].split(" ")
            yield verb, target, body.strip()


@pytest.mark.slow
def test_every_request_is_answered_as_documented(tmp_path):
    with Stage(tmp_path / "stage") as stage:
        stage.prepare("x0t status")
        headers = {"authorization": f"Bearer {stage.token.read_text(encoding='ascii')}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{stage.port}", headers=headers, trust_env=False) as client:
            for (verb, path, operation), (verb_shown, target, body) in zip(OPERATIONS, requests(), strict=True):
                assert verb == verb_shown
                assert re.fullmatch(re.sub(r"{\w+}", "[^?]+", path) + r"(\?.*)?", target)
                kind = {"content-type": "application/json"} if body else {}
                with client.stream(verb, target, content=body, headers=kind) as answer:
                    good = [int(code) for code in operation["responses"] if code < "400"]
                    missing = [404] if "{" in path else []  # the ids of the page are not those of this mesh
                    assert answer.status_code in [*good, *missing], (target, answer.status_code)


def test_the_page_has_every_operation_and_its_examples_are_valid():
    text = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^### (\w+) (\S+)$", text, re.MULTILINE) == [(verb, path) for verb, path, _ in OPERATIONS]
    shown = [json.loads(one.text) for one in blocks(PAGE) if one.language == "json"]
    for _, _, operation in OPERATIONS:
        for response in operation["responses"].values():
            content = response.get("content", {}).get("application/json", {})
            if "example" in content:
                schema = {**content["schema"], "components": DOCUMENT["components"]}
                jsonschema.validate(shown.pop(0), schema, cls=jsonschema.Draft202012Validator)
    assert shown == []


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 5}, "number, more than 0, at most 5"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "boolean"),
        ({"enum": ["a", "b"], "default": "a"}, '`a`, `b`; default `"a"`'),
        ({"type": "array", "items": {"type": "string", "maxLength": 9}}, "list of string, at most 9 characters"),
        ({"$ref": "#/components/schemas/X"}, "integer, 1 to 2"),
    ],
)
def test_what_a_schema_allows_is_said_in_words(schema, said):
    assert endpoints.allowed(schema, {"X": {"type": "integer", "minimum": 1, "maximum": 2}}) == said


def test_a_parameter_without_an_example_is_an_error():
    operation = {
        "tags": ["x"], "operationId": "x", "description": "X.", "responses": {},
        "parameters": [{"name": "unheard-of", "in": "query", "required": True, "schema": {"type": "string"}}],
    }  # fmt: skip
    with pytest.raises(LookupError, match="unheard-of"):
        endpoints.page({"paths": {"/x": {"get": operation}}, "components": {"schemas": {}}})
