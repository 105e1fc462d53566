"""What is delivered: the image, the compose file, the workflows, the scripts behind them and the locked versions."""

import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = sorted([*(ROOT / "scripts").glob("*.sh"), ROOT / ".ci" / "run"])
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SCRAPE = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"][0]
SIMULATION = (ROOT / "scripts/ci-cd-simulate.sh").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def run(*command, cwd=ROOT, **more):
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False, **more)
    done.said = done.stdout + done.stderr
    return done


def tool(name):
    """A linter of the dev dependencies, or one that this machine has."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed here")
    return found


def workflow(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(document):
    return [step for job in document["jobs"].values() for step in job.get("steps", ())]


@pytest.mark.parametrize(
    "command",
    [
        ("hadolint", "Dockerfile"),
        ("shellcheck", "--external-sources", "--severity=warning", *SCRIPTS),
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"),
        ("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS),
        ("zizmor", "--offline", "--quiet", "--min-severity", "medium", ".github"),
        ("actionlint", *WORKFLOWS),
    ],
    ids=lambda command: f"{command[0]}-{len(command)}",
)
def test_linters_find_nothing(command):
    done = run(tool(command[0]), *command[1:])
    assert done.returncode == 0, done.said


def test_the_image_is_built_from_what_is_sent_to_the_builder():
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = {line[1:] for line in ignore if line.startswith("!")}
    assert "*" in ignore
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert {Path(name).name for line in copied for name in line.split()} == sent


def test_the_image_ends_as_a_user_without_rights():
    last = DOCKERFILE.rpartition("FROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+-slim-bookworm$", DOCKERFILE, re.MULTILINE)


def test_the_images_health_check_asks_the_port_that_is_set():
    words = re.search(r"HEALTHCHECK .*?CMD \[(.*?)\]\n", DOCKERFILE, re.DOTALL)[1].replace("\\\n", "")
    code = yaml.safe_load(f"[{words}]")[2]

    class Answer(http.server.BaseHTTPRequestHandler):
        status = 200

        def do_GET(self):
            self.send_response(self.status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = {**os.environ, "X0T_API__PORT": str(server.server_port)}
        assert run(sys.executable, "-c", code, env=port).returncode == 0
        Answer.status = 503
        assert run(sys.executable, "-c", code, env=port).returncode == 1
        url = f"http://127.0.0.1:{server.server_port}"
        assert run(ROOT / "scripts/health-check.sh", url).returncode == 1
        server.shutdown()
    assert run(sys.executable, "-c", code, env=port).returncode != 0


def test_health_check_says_what_it_takes():
    for wrong in (["--wait", "soon"], ["ftp://x"], ["http://a", "http://b"]):
        done = run(ROOT / "scripts/health-check.sh", *wrong)
        assert done.returncode == 2
        assert "allowed: " in done.stderr
    assert run(ROOT / "scripts/health-check.sh", "http://127.0.0.1:1").returncode == 1


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_a_composed_service_is_confined(name):
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert not service.get("privileged")
    assert "build" in service or re.search(r":v?\d+\.\d+\.\d+$", service["image"]), "a version, never latest"


def test_composed_folders_exist_and_no_password_has_a_default():
    for service in COMPOSE["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).exists(), volume
    grafana = COMPOSE["services"]["grafana"]["environment"]
    assert grafana["GF_SECURITY_ADMIN_PASSWORD"].startswith("${GRAFANA_PASSWORD:?")
    assert grafana["GF_AUTH_ANONYMOUS_ENABLED"] == "${GRAFANA_ANONYMOUS:-false}"


def test_prometheus_reads_the_token_where_compose_puts_it():
    controller, prometheus = COMPOSE["services"]["controller"], COMPOSE["services"]["prometheus"]
    scrape = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"][
        0
    ]
    written, read = (
        Path(controller["environment"]["X0T_API__TOKEN_FILE"]),
        Path(scrape["authorization"]["credentials_file"]),
    )
    assert f"token:{written.parent}" in controller["volumes"]
    assert f"token:{read.parent}:ro" in prometheus["volumes"]
    assert written.name == read.name
    assert prometheus["user"] == "10001:10001"
    host = SCRAPE["static_configs"][0]["targets"][0].partition(":")[0]
    assert host in yaml.safe_load(controller["environment"]["X0T_API__HOSTS"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_take_few_rights_and_pin_what_they_run(path):
    document = workflow(path)
    assert document["permissions"] in ({}, {"contents": "read"})
    assert "concurrency" in document
    for job in document["jobs"].values():
        assert "uses" in job or job["timeout-minutes"] <= 60
    for step in steps(document):
        assert re.search(r"@[0-9a-f]{40}$", step.get("uses", "@" + "0" * 40))


def test_one_job_may_write_each_place_and_none_keeps_a_password():
    rights = {}
    for path in WORKFLOWS:
        for name, job in workflow(path)["jobs"].items():
            if "steps" in job:
                rights |= {
                    (right, path.stem): name for right, how in job.get("permissions", {}).items() if how == "write"
                }
        assert "secrets." not in path.read_text(encoding="utf-8")
    assert rights == {
        ("packages", "docker"): "publish",
        ("id-token", "release"): "pypi",
        ("contents", "release"): "github",
    }


def test_workflows_test_every_python_that_the_package_names():
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", line)]
    matrix = workflow(ROOT / ".github/workflows/test.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert named == matrix
    assert Requirement(f"x{PROJECT['requires-python']}").specifier.contains(matrix[0])


def test_the_simulation_runs_what_the_workflows_run():
    called = {
        word
        for path in WORKFLOWS
        for step in steps(workflow(path))
        for word in re.findall(r"scripts/[a-z-]+\.sh", step.get("run", ""))
    }
    simulated = set(
        re.findall(r"scripts/[a-z-]+\.sh", (ROOT / "scripts/ci-cd-simulate.sh").read_text(encoding="utf-8"))
    )
    assert called
    assert called <= simulated
    done = run(ROOT / "scripts/ci-cd-simulate.sh", "tests")
    assert done.returncode == 2
    assert "allowed: test, package, image" in done.stderr


def checkout(folder, version, changelog):
    """The least of a checkout that release-notes.sh needs."""
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/release-notes.sh", folder / "scripts")
    (folder / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n', encoding="utf-8")
    (folder / "CHANGELOG.md").write_text(changelog, encoding="utf-8")
    return folder / "scripts/release-notes.sh"


CHANGES = "# Changelog\n\n## 1.2.0 (2026-01-02)\n\n### Added\n- New.\n\n## 1.1.0 (2025-01-02)\n\n- Old.\n"


def test_release_notes_are_the_versions_own(tmp_path):
    done = run(checkout(tmp_path, "1.2.0", CHANGES), "v1.2.0")
    assert (done.returncode, done.stdout.rstrip()) == (0, "### Added\n- New.")


@pytest.mark.parametrize(
    ("tag", "changelog", "reason"),
    [
        ("v1.2.1", CHANGES, "allowed: v1.2.0"),
        ("1.2.0", CHANGES, "allowed: v1.2.0"),
        ("", CHANGES, "allowed: v1.2.0"),
        ("v1.2.0", CHANGES.replace("(2026-01-02)", "(unreleased)"), "no heading '## 1.2.0 (YYYY-MM-DD)'"),
        ("v1.2.0", CHANGES.replace("1.2.0", "1x2.0"), "no heading"),
    ],
)
def test_a_tag_that_is_not_ready_is_refused(tmp_path, tag, changelog, reason):
    done = run(checkout(tmp_path, "1.2.0", changelog), tag)
    assert done.returncode == 1
    assert reason in done.stderr


def locked(file):
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pins = [line.split(" ")[0].split("==") for line in lines if re.match(r"[A-Za-z0-9]", line)]
    return {canonicalize_name(name): version for name, version in pins}


@pytest.mark.parametrize(
    ("file", "extras"), [("requirements-ci.lock", ("dev",)), ("requirements-image.lock", ())], ids=["ci", "image"]
)
def test_locks_satisfy_what_the_project_asks_for(file, extras):
    pins = locked(file)
    wanted = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    for requirement in map(Requirement, wanted):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in {file}: run scripts/lock.sh"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement}: run scripts/lock.sh"


def test_the_image_holds_hashed_versions_that_were_tested_and_no_more():
    image, tested = locked("requirements-image.lock"), locked("requirements-ci.lock")
    assert {name: tested.get(name) for name in image} == image
    assert not {"torch", "onnxruntime", "pytest", "pip"} & set(image)
    assert {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"} <= set(image)  # else an endpoint stops it
    text = (ROOT / "requirements-image.lock").read_text(encoding="utf-8")
    assert len(re.findall(r"==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", text)) == len(image)
    assert "://" not in text


def test_the_images_command_starts_what_is_installed():
    assert re.search(r'^CMD \["python", "-m", "x0tta6bl4\.core\.app"\]$', DOCKERFILE, re.MULTILINE)
    assert any(point.name == "x0t" for point in entry_points(group="console_scripts"))
