"""Every code of the mesh's catalogue has its page, and what a page tells an operator to type exists."""

import ast
import re
import shlex
import shutil
import subprocess
from importlib.resources import files

import pytest
import typer

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.knowledge import FOLDER, KINDS, LANGUAGES, parse, runbooks
from x0tta6bl4.lab.scenarios import builtin, load
from x0tta6bl4.network import risks
from x0tta6bl4.network.catalog import mesh_catalog

CATALOG = mesh_catalog()
CAUSES = {rule.code for rule in CATALOG.causes} | {CATALOG.partition}
RISKS = {
    call.args[0].value
    for call in ast.walk(ast.parse(files("x0tta6bl4.network").joinpath("risks.py").read_text(encoding="utf-8")))
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Risk"
}
LAB_CAUSES = {record.truth.code for name in builtin() for record in load(name).fault_records()}
ENGLISH = {page.code: page for page in runbooks()}
PAGES = [page for language in LANGUAGES for page in runbooks(language)]
SECTIONS = {
    "en": (
        "What it looks like",
        "Confirm it by hand",
        "What fixes it",
        "What makes it worse",
        "What the controller does",
        "See also",
    ),
    "ru": (
        "Как это выглядит",
        "Проверка вручную",
        "Что помогает",
        "Что вредит",
        "Что делает контроллер",
        "См. также",
    ),
}
CYRILLIC = "[\u0400-\u04ff]"
SYSTEM_TOOLS = {
    *("bridge", "df", "dmesg", "ethtool", "iw", "journalctl", "pgrep", "ping", "ss", "systemctl", "tcpdump", "uptime")
}
IP_OBJECTS = {"addr", "link", "monitor", "neighbour"}
TC_OBJECTS = {"filter", "qdisc"}
BATCTL = {
    *("backbonetable", "bridge_loop_avoidance", "claimtable", "event", "fragmentation", "gateways", "gw_mode"),
    *("hop_penalty", "interface", "mesh_json", "neighbors", "orig_interval", "originators", "ping", "routing_algo"),
    *("statistics", "tcpdump", "throughput_override", "throughputmeter", "traceroute", "translate"),
}


def of(page):
    return page.path


def commands(text):
    """Every line of every block of commands, its comment removed."""
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            command = re.split(r"\s+#\s", line)[0].strip()
            if command:
                yield command


def inline(text):
    """Pieces of code inside sentences that begin with a tool."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return re.findall(r"`((?:batctl|ip|tc|x0t) [^`]+)`", prose)


def anchors(text):
    return {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }


def section(page, title):
    return page.text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


# -- what there must be -------------------------------------------------------------------------------------------


def test_pages_are_those_of_the_catalogue_and_no_others():
    expected = dict.fromkeys(CATALOG.symptom, "symptom") | dict.fromkeys(RISKS, "risk")
    expected |= dict.fromkeys(CAUSES, "cause") | {"actions": "action"}
    assert {code: page.kind for code, page in ENGLISH.items()} == expected


def test_the_risks_are_found_in_their_source():
    assert len(risks.RULES) <= len(RISKS) + 1
    assert "cut-vertex" in RISKS


def test_every_kind_of_action_has_its_section_with_its_own_time_of_proof():
    page = ENGLISH["actions"]
    assert set(re.findall(r"^## ([a-z-]+)$", page.text, re.MULTILINE)) == set(CATALOG.action)
    for kind in CATALOG.action.values():
        told = " ".join(section(page, kind.kind).split())
        assert ("Cannot be undone" in told) == kind.irreversible, kind.kind
        if kind.kind in mentioned_by_causes() and not kind.irreversible:
            assert f"within {kind.prove_s:g} s" in told, kind.kind
        if kind.hold_min_s:
            assert f"at least {kind.hold_min_s:g} s" in told, kind.kind


def mentioned_by_causes():
    return {
        kind
        for page in PAGES
        if page.kind == "cause"
        for kind in re.findall(r"actions(?:\.ru)?\.md#([a-z-]+)", page.text)
    }


def test_causes_point_to_the_actions_that_the_remedies_propose():
    source = files("x0tta6bl4.network").joinpath("remedies.py").read_text(encoding="utf-8")
    assert mentioned_by_causes() == {kind for kind in CATALOG.action if f'Action("{kind}"' in source}


@pytest.mark.parametrize("rule", CATALOG.symptoms, ids=lambda rule: rule.code)
def test_a_symptoms_page_says_when_it_is_raised(rule):
    if rule.metric.endswith("_ms"):
        wanted = f"{rule.raise_at:g} ms" if rule.raise_at < 1000 else f"{rule.raise_at / 1000:g} s"
    elif rule.metric.endswith("_ratio"):
        wanted = f"{rule.raise_at * 100:g} %"
    elif rule.metric.endswith("_bytes"):
        wanted = f"{rule.raise_at:g} byte"
    else:
        wanted = f"{rule.raise_at:g} s" if rule.metric.endswith("_s") else ""  # yes or no has no threshold
    assert wanted in section(ENGLISH[rule.code], "What it looks like").replace("\n", " ")


def test_every_fault_of_the_lab_has_a_russian_page_of_its_cause():
    assert len(LAB_CAUSES) >= 8
    assert {page.code for page in runbooks("ru")} >= LAB_CAUSES


@pytest.mark.parametrize("page", runbooks("ru"), ids=of)
def test_a_link_prefers_its_own_language(page):
    here = {other.path.removeprefix(f"{FOLDER}/") for other in runbooks("ru")}
    for target in re.findall(r"\]\(([^)#]+\.md)", page.text):
        assert target in here or target.replace(".md", ".ru.md") not in here, target


# -- how a page is made -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_sections_come_in_their_order(page):
    titles = re.findall(r"^## (.+)$", page.text, re.MULTILINE)
    if page.kind == "action":
        assert set(titles[1:]) == set(CATALOG.action)
    else:
        assert tuple(titles) == SECTIONS[page.language]
    assert all(section(page, title).strip() for title in titles)
    assert max(map(len, page.text.splitlines())) <= 122


@pytest.mark.parametrize("page", [page for page in PAGES if page.kind == "cause"], ids=of)
def test_a_cause_is_confirmed_for_both_algorithms(page):
    told = section(page, SECTIONS[page.language][1]) + section(page, SECTIONS[page.language][0])
    assert re.search(r"\bIV\b|BATMAN_IV", told)
    assert re.search(r"\bV\b|BATMAN_V", told)


@pytest.mark.parametrize("page", [page for page in PAGES if page.kind != "action"], ids=of)
def test_a_code_has_an_alert_named_after_it(page):
    assert page.alerts[0] == "X0t" + page.code.title().replace("-", "")


@pytest.mark.parametrize("page", runbooks("ru"), ids=of)
def test_a_translation_has_the_same_commands_and_is_in_its_language(page):
    assert list(commands(page.text)) == list(commands(ENGLISH[page.code].text))
    assert page.alerts == ENGLISH[page.code].alerts
    assert len(re.findall(CYRILLIC, page.text)) > len(page.text) / 3
    assert re.search(CYRILLIC, page.title)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_leads_to_one_page(language):
    names = [name.lower() for page in runbooks(language) for name in (page.code, *page.aliases, *page.alerts)]
    assert sorted(names) == sorted(set(names))


def test_every_file_is_read():
    names = {file.name for file in files("x0tta6bl4.knowledge").joinpath(FOLDER).iterdir()}
    assert {f"{FOLDER}/{name}" for name in names} == {page.path for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_links_lead_to_a_page_and_a_section(page):
    known = {other.path.removeprefix(f"{FOLDER}/"): other for other in PAGES}
    for target, anchor in re.findall(r"\]\(([^)#]+)#?([^)]*)\)", page.text):
        assert target in known, target
        assert not anchor or anchor in anchors(known[target].text), f"{target}#{anchor}"
    for code in re.findall(r"\[`?([a-z-]+)`?\]\(([^)#]+)\)", page.text):
        assert code[1].startswith(code[0]), code


# -- what a page tells to type ------------------------------------------------------------------------------------


def check(command):
    words = shlex.split(command.replace("\\", ""))
    tool, rest = words[0], [word for word in words[1:] if not word.startswith("-")]
    if tool == "batctl":
        while rest and rest[0] in ("meshif", "hardif"):
            rest = rest[2:]
        assert rest, command
        assert rest[0] in BATCTL, command
    elif tool == "ip":
        assert rest[0] in IP_OBJECTS, command
    elif tool == "tc":
        assert rest[0] in TC_OBJECTS, command
    elif tool == "x0t":
        from x0tta6bl4.cli import app

        group = typer.main.get_command(app)
        for word in rest[: 2 if rest[0] == "config" else 1]:
            assert word in group.commands, command
            group = group.commands[word]
    else:
        assert tool in SYSTEM_TOOLS, command


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_commands_are_of_known_tools(page):
    found = [*commands(page.text), *inline(page.text)]
    assert found
    for command in found:
        check(command)


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_what_stands_for_something_is_explained(page):
    prose = re.sub(r"```.*?```", "", page.text, flags=re.DOTALL)
    for name in {name for command in commands(page.text) for name in re.findall(r"\$([A-Z_]+)", command)}:
        assert f"`${name}`" in prose, name


@pytest.mark.parametrize("wrong", ["batctl originator", "batctl meshif bat0", "ip links show", "x0t heal", "rm -rf x"])
def test_a_command_that_does_not_exist_is_found(wrong):
    with pytest.raises(AssertionError):
        check(wrong)


def test_batctl_knows_its_commands():
    batctl = shutil.which("batctl")
    if batctl is None:
        pytest.skip("batctl is not installed")
    told = subprocess.run([batctl, "-h"], capture_output=True, text=True, check=False)
    known = set(re.findall(r"\b([a-z_]+)\|[a-z]+\b", told.stdout + told.stderr))
    assert BATCTL - known == set()


# -- reading ------------------------------------------------------------------------------------------------------

FRONT = "code: odd\nkind: cause\ntitle: Odd\naliases: []\nalerts: [MeshOdd]\nlanguage: en\n"
GOOD = f"---\n{FRONT}---\n## What it looks like\n\nOdd.\n"


def test_a_page_is_its_front_matter_and_its_text():
    page = parse("odd.md", GOOD)
    assert (page.code, page.kind, page.title, page.language) == ("odd", "cause", "Odd", "en")
    assert (page.aliases, page.alerts) == ((), ("MeshOdd",))
    assert (page.path, page.text) == ("runbooks/odd.md", "## What it looks like\n\nOdd.\n")


@pytest.mark.parametrize(
    ("name", "page", "field"),
    [
        ("odd.md", "", "runbooks/odd.md"),
        ("odd.md", GOOD.removeprefix("---\n"), "runbooks/odd.md"),
        ("odd.md", f"---\n{FRONT}", "runbooks/odd.md"),
        ("odd.md", GOOD.replace("code: odd", "code: [odd"), "runbooks/odd.md: front matter"),
        ("odd.md", GOOD.replace("kind: cause\n", ""), "runbooks/odd.md: front matter"),
        ("odd.md", GOOD.replace("kind:", "colour: red\nkind:"), "runbooks/odd.md: front matter"),
        ("odd.md", "---\n- odd\n---\n## Odd\n", "runbooks/odd.md: front matter"),
        ("odd.md", GOOD.replace("title: Odd", "title: 7"), "runbooks/odd.md: title"),
        ("odd.md", GOOD.replace("title: Odd", "title: ' '"), "runbooks/odd.md: title"),
        ("odd.md", GOOD.replace("aliases: []", "aliases: odd"), "runbooks/odd.md: aliases"),
        ("odd.md", GOOD.replace("[MeshOdd]", "[1]"), "runbooks/odd.md: alerts"),
        ("odd.md", GOOD.replace("kind: cause", "kind: fault"), "runbooks/odd.md: kind"),
        ("other.md", GOOD, "runbooks/other.md: code"),
        ("odd.ru.md", GOOD, "runbooks/odd.ru.md: language"),
        ("odd.md", GOOD.replace("## ", ""), "runbooks/odd.md: text"),
    ],
)
def test_a_malformed_page_is_refused_with_its_field(name, page, field):
    with pytest.raises(ConfigError) as refused:
        parse(name, page)
    assert refused.value.field == field


def test_an_unknown_language_is_refused_with_what_is_allowed():
    with pytest.raises(ConfigError) as refused:
        runbooks("de")
    assert (refused.value.field, refused.value.value, refused.value.allowed) == ("language", "de", "en, ru")


def test_pages_are_sorted_and_read_once():
    assert runbooks() is runbooks("en")
    assert [page.code for page in runbooks()] == sorted(page.code for page in runbooks())
    assert {page.kind for page in runbooks()} == set(KINDS)
