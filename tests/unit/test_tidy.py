"""The style itself is a test: sizes, names, what the core may read, and what must be documented."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "x0tta6bl4"
MODULES = sorted(SOURCE.rglob("*.py"))
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
BANNED = re.compile(r"Manager|Engine|Orchestrator|Integrator|Helper|Util|Enhanced|Smart|Hybrid|V2$")
KNOWN_NAMES = {"MLEnhancedMAPEK", "MLOpsManager"}  # documented names that users of the library know
SEEDLESS = {"time", "random", "secrets", "datetime"}


def name(path):
    return str(path.relative_to(ROOT))


def tracked():
    told = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    files = [ROOT / line for line in told.stdout.splitlines()]
    if not files:
        pytest.skip("not a git checkout: the files that belong to the repository cannot be listed")
    return [file for file in files if file.is_file()]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_sizes_and_names(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= FILE_LINES_MAX
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < FUNCTION_LINES_MAX, node.name
        if isinstance(node, ast.ClassDef) and node.name not in KNOWN_NAMES:
            assert not BANNED.search(node.name), node.name


def imported(path):
    """Top-level names of the modules that a file imports; imports for types only included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


PURE = [
    path for path in MODULES if path.relative_to(SOURCE).parts[0] == "mape_k" or "sim" in path.relative_to(SOURCE).parts
]


@pytest.mark.parametrize("path", [*PURE, SOURCE / "model.py", SOURCE / "ports.py"], ids=name)
def test_no_clock_and_no_randomness_below_the_ports(path):
    assert not SEEDLESS & set(imported(path))
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"np\.random|numpy\.random|default_rng|uuid4|os\.urandom", text)


@pytest.mark.parametrize("path", [p for p in MODULES if p.relative_to(SOURCE).parts[0] == "mape_k"], ids=name)
def test_the_core_knows_the_standard_library_and_numpy_only(path):
    assert set(imported(path)) <= {*__import__("sys").stdlib_module_names, "numpy", "x0tta6bl4"}


HOMES = {
    "fastapi": ("core",),
    "uvicorn": ("core",),
    "typer": ("core", "cli.py"),
    "sqlalchemy": ("core",),
    "pyroute2": ("network", "lab"),
    "prometheus_client": ("monitoring", "core"),
    "torch": ("ml",),
    "onnxruntime": ("ml",),
}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_third_parties_have_one_home(path):
    place = path.relative_to(SOURCE).parts[0]
    strays = [package for package in imported(path) if place not in HOMES.get(package, (place,))]
    assert strays == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_broad_excepts_are_at_the_outer_edge_only(path):
    text = path.read_text(encoding="utf-8")
    for line in text.splitlines():
        if re.search(r"except (Exception|BaseException)\b", line):
            assert "#" in line or "raise" in text.split(line, 1)[1][:200], line


def test_nothing_unfinished_and_no_path_of_a_machine():
    marks = re.compile("TO" + "DO|FIX" + "ME|X" + "XX\\b|/ho" + "me/[a-z]|/ro" + "ot/|/wo" + "rk/|/tmp/in" + "st")
    hosts = re.compile(r"(?:py" + r"pi\.org|files\.python" + r"hosted|deb\.deb" + r"ian\.org|registry\.npm" + "js)")
    found = []
    for path in tracked():
        if path.suffix not in (".py", ".md", ".sh", ".toml", ".yaml", ".yml", ".json", ".lock", ".cfg", ""):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if marks.search(line) or hosts.search(line):
                found.append(f"{name(path)}:{number}: {line.strip()[:80]}")
    assert found == []


def test_pages_printed_from_the_code_are_up_to_date():
    from x0tta6bl4.core.reference import PAGES

    for file, page in PAGES.items():
        assert (ROOT / "docs/reference" / file).read_text(encoding="utf-8") == page(), f"reprint {file}"


def test_every_setting_says_what_it_means():
    from x0tta6bl4.core.reference import keys
    from x0tta6bl4.core.settings import Settings

    for path, field in keys(Settings):
        assert field.description, path
        assert field.description.endswith("."), path


def test_every_command_and_route_is_documented():
    from x0tta6bl4.core.app import create_app

    api = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    for path in create_app(source=None).openapi()["paths"]:
        assert f" {path}" in api, path
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in ("demo", "run", "status", "incidents", "explain", "lab", "config"):
        assert command in readme


@pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target
