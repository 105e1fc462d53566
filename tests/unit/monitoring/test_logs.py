"""Logs: one JSON object a line, one line for a change of state."""

import io
import json
import logging

import pytest

from hand_made import event, iteration, troubled
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.monitoring import logs


@pytest.fixture
def lines():
    stream = io.StringIO()
    before = {n: (logging.getLogger(n).handlers, logging.getLogger(n).propagate) for n in ("x0tta6bl4", "uvicorn")}
    logs.configure("DEBUG", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for name, (handlers, propagate) in before.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(logging.NOTSET)


def test_one_line_for_each_change_with_one_id_for_the_iteration(lines):
    logs.log_iteration(troubled(7))
    told = lines()
    assert [(line["event"], line["level"]) for line in told] == [
        ("incident.opened", "WARNING"),
        ("action.applied", "INFO"),
    ]
    assert {line["iteration"] for line in told} == {"controller-7"}
    assert told[0]["message"] == "incident opened: link-lossy at adjacency/n1:v1-2<>n2:v2-1"
    assert told[1]["data"]["kind"] == "set_hop_penalty"
    assert all(set(line) <= set(logs.FIELDS) for line in told)


def test_a_quiet_pass_is_one_debug_line(lines):
    logs.log_iteration(iteration(3))
    assert [line["level"] for line in lines()] == ["DEBUG"]


def test_what_was_logged_stays_one_line_and_keeps_its_exception(lines):
    try:
        int("two\nlines")
    except ValueError:
        logging.getLogger("x0tta6bl4.test").exception("first\nsecond")
    (line,) = lines()
    assert line["message"] == "first\nsecond"
    assert line["error"] == "ValueError: invalid literal for int() with base 10: 'two\\nlines'"
    assert "test_logs.py" in line["traceback"]


def test_values_that_json_does_not_know_become_text(lines):
    logs.log_iteration(iteration(1, events=(event(1, "incident.opened", names=frozenset({"n1"}), what=object),)))
    (line,) = lines()
    assert line["data"] == {"names": ["n1"], "what": "<class 'object'>"}


def test_unknown_level_is_refused():
    with pytest.raises(ConfigError, match=r"log\.level"):
        logs.configure("LOUD")
