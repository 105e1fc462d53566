"""Prometheus itself reads the real application over the demo mesh, evaluates the rules and answers every dashboard."""

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest
import uvicorn
import yaml

from x0tta6bl4.core.app import create_app
from x0tta6bl4.core.demo import demo
from x0tta6bl4.core.settings import Settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules" / "x0tta6bl4.yml"
BOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
WAIT_S = 45.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("promtool") is None or shutil.which("prometheus") is None,
        reason="Prometheus is not installed (apt-get install --no-install-recommends prometheus)",
    ),
]


def tool(*arguments):
    ran = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def until(what, condition):
    """What `condition` returns once that is true; it may raise httpx errors until then."""
    end = time.monotonic() + WAIT_S
    last = None
    while time.monotonic() < end:
        try:
            last = condition()
        except httpx.HTTPError as error:
            last = error
        else:
            if last:
                return last
        time.sleep(0.25)
    raise AssertionError(f"{what}: not within {WAIT_S:g} s, last: {last!r}")


def test_the_rules_are_well_formed_and_fire_when_they_should():
    assert "SUCCESS" in tool("check", "rules", RULES)
    assert "SUCCESS" in tool("test", "rules", DEPLOY / "prometheus" / "tests" / "x0tta6bl4.test.yml")


@pytest.fixture(scope="module")
def controller(tmp_path_factory):
    """(port, token file) of the application over a demo mesh in quick motion."""
    settings = Settings(store={"directory": str(tmp_path_factory.mktemp("store"))})
    app = create_app(settings=settings, source=lambda s: demo(s, speed=4.0, fault_every_s=12.0))
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until("the application", lambda: httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200)
        yield port, settings.token_file
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def ask(controller, tmp_path_factory):
    """Asks a Prometheus that runs deploy/prometheus/prometheus.yml, in seconds and at this test's addresses."""
    port, token_file = controller
    home = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "prometheus" / path) for path in config["rule_files"]]
    job = config["scrape_configs"][0]
    job["authorization"]["credentials_file"] = str(token_file)
    job["static_configs"][0]["targets"] = [f"127.0.0.1:{port}"]
    (home / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    tool("check", "config", home / "prometheus.yml")
    own = free_port()
    command = ["prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{own}", "--log.level=warn"], stdout=log, stderr=log
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{own}") as client:
                until("Prometheus", lambda: client.get("/-/ready").status_code == 200)

                def query(expression):
                    answer = client.get("/api/v1/query", params={"query": expression}).json()
                    assert answer["status"] == "success", (expression, answer)
                    return answer["data"]["result"]

                query.client = client
                yield query
        finally:
            process.terminate()
            process.wait(10)


def value(rows):
    return float(rows[0]["value"][1]) if rows else float("nan")


def test_the_scrape_works_and_tells_of_a_healed_fault(ask):
    until("the scrape", lambda: value(ask('up{job="x0tta6bl4"}')) == 1)
    until("an incident", lambda: value(ask("sum(x0tta6bl4_incidents_opened_total)")) >= 1)
    until("an action", lambda: value(ask('sum(x0tta6bl4_actions_total{state="applied"})')) >= 1)
    assert value(ask("sum(x0tta6bl4_nodes)")) == 6
    assert value(ask("sum(x0tta6bl4_links)")) >= 12
    until("the recorded rate", lambda: value(ask("x0tta6bl4:iterations:rate1m")) > 1)
    assert value(ask("process_resident_memory_bytes")) > 1e7
    target = ask.client.get("/api/v1/targets").json()["data"]["activeTargets"][0]
    assert (target["health"], target["lastError"]) == ("up", "")


def test_every_rule_is_evaluated_without_an_error_and_a_well_controller_raises_no_alarm(ask):
    until("the rules", lambda: ask("x0tta6bl4:pass_seconds:mean1m"))
    groups = ask.client.get("/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == 18
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    well = {
        "X0tControllerGone",
        "X0tLoopStopped",
        "X0tNoFreshReadings",
        "X0tStoreFailing",
        "X0tKillSwitchOn",
        "X0tPaused",
    }
    assert well & {row["metric"]["alertname"] for row in ask('ALERTS{alertstate="firing"}')} == set()


def expressions(board):
    return [
        (panel["title"], target["expr"])
        for panel in json.loads(board.read_text(encoding="utf-8"))["panels"]
        for target in panel["targets"]
    ]


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.stem)
def test_every_panel_has_data(ask, board):
    until("two scrapes", lambda: ask("x0tta6bl4:readings:rate1m"))
    for title, expression in expressions(board):
        asked = expression.replace("$instance", ".+").replace("$__range", "30m")
        assert not re.search(r"\$", asked), title
        until(f"{title}: {asked}", lambda asked=asked: ask(asked))
