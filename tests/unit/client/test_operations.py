"""Every operation of the OpenAPI document has a method that sends what the document declares."""

import inspect
import re
from pathlib import Path

import pytest

from x0tta6bl4.client.operations import Operations
from x0tta6bl4.client.wire import Wire
from x0tta6bl4.core import commands
from x0tta6bl4.core.app import create_app


class Recorder(Operations):
    """Gives back the request instead of sending it."""

    def _send(self, request):
        return request


def operations():
    document = create_app(source=None).openapi()
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            if operation["operationId"] != "events":  # a stream: tested in test_stream.py
                yield operation["operationId"], verb.upper(), path, operation, document


def body_of(operation, document):
    """Names of the members of a request's body."""
    if "requestBody" not in operation:
        return set()
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return set(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]["properties"])


def sample(parameter):
    return {"available_actions": ["x"], "alerts": [], "monitoring_data": {"cpu": 1.0}}.get(parameter.name, "x y")


ALL = list(operations())


@pytest.mark.parametrize(("name", "verb", "path", "operation", "document"), ALL, ids=[row[0] for row in ALL])
def test_a_method_sends_what_is_declared(name, verb, path, operation, document):
    method = getattr(Recorder(), name)
    arguments = {parameter.name: sample(parameter) for parameter in inspect.signature(method).parameters.values()}
    request = method(**arguments)
    assert request.method == verb
    assert re.fullmatch(re.sub(r"\{[^}]+\}", "x%20y", path), request.path)
    declared = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
    assert set(Wire("http://127.0.0.1", "").options(request)["params"]) == declared
    assert set(request.body or ()) == body_of(operation, document)


def test_no_method_is_left_without_an_operation():
    known = {row[0] for row in ALL}
    assert {name for name in vars(Operations) | dir_of(Operations) if not name.startswith("_")} == known


def dir_of(kind):
    return dict.fromkeys(dir(kind))


def test_every_operation_is_reached_by_a_command():
    text = "".join(path.read_text(encoding="utf-8") for path in Path(commands.__file__).parent.glob("*.py"))
    assert [name for name, *_ in ALL if f"client.{name}(" not in text] == []
