"""Runbooks: what an operator reads when something breaks, one Markdown page for each code of the mesh's catalogue.

A page is `CODE.md` (English) or `CODE.LANGUAGE.md`. It begins with front matter (YAML between two lines of `---`)
whose keys are the fields of `Runbook`, less path and text; then come its sections.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import yaml

from x0tta6bl4.errors import ConfigError

LANGUAGES: Final = ("en", "ru")
KINDS: Final = ("action", "cause", "risk", "symptom")
TEXTS: Final = ("code", "kind", "title", "language")
LISTS: Final = ("aliases", "alerts")
FOLDER: Final = "runbooks"
FENCE: Final = "---\n"


@dataclass(frozen=True, slots=True)
class Runbook:
    """One page.

    code: of the catalogue; a symptom and a cause of one name share a page of kind "cause", and all kinds of action
    share the page "actions", one section each. aliases: what else people call it. alerts: names of alerts it answers.
    path: inside the package x0tta6bl4.knowledge. text: Markdown from the first section on.
    """

    code: str
    kind: str
    title: str
    aliases: tuple[str, ...]
    alerts: tuple[str, ...]
    language: str
    path: str
    text: str


def runbooks(language: str = "en") -> tuple[Runbook, ...]:
    """Every page in one language, by code; raises ConfigError where the language is unknown or a page is malformed.

    >>> [page.title for page in runbooks() if page.code == "link-slow"]
    ['A link is far slower than usual']
    """
    if language not in LANGUAGES:
        raise ConfigError("language", language, ", ".join(LANGUAGES))
    return _pages(language)


@cache
def _pages(language: str) -> tuple[Runbook, ...]:
    found = (file for file in files(__name__).joinpath(FOLDER).iterdir() if file.name.endswith(".md"))
    pages = [parse(file.name, file.read_text(encoding="utf-8")) for file in found if _language(file.name) == language]
    return tuple(sorted(pages, key=lambda page: page.code))


def _language(name: str) -> str:
    """The language a file's name says: "ru" for CODE.ru.md, "en" for CODE.md."""
    return name.removesuffix(".md").partition(".")[2] or "en"


def parse(name: str, page: str) -> Runbook:
    """One page from its file's name and content; raises ConfigError naming the page and the field that is wrong."""
    path = f"{FOLDER}/{name}"
    front, fence, text = page.removeprefix(FENCE).partition(f"\n{FENCE}")
    if not page.startswith(FENCE) or not fence:
        raise ConfigError(path, page[:40], "front matter between two lines of ---, then the page")
    fields = _fields(path, front)
    code, _, _ = name.removesuffix(".md").partition(".")
    for key, value, allowed in (
        ("code", fields["code"], (code,)),
        ("language", fields["language"], (_language(name),)),
        ("kind", fields["kind"], KINDS),
    ):
        if value not in allowed:
            raise ConfigError(f"{path}: {key}", value, " or ".join(allowed))
    if not text.lstrip().startswith("## "):
        raise ConfigError(f"{path}: text", text.lstrip()[:40], "sections, the first of which begins with ##")
    return Runbook(**fields, path=path, text=text.strip() + "\n")


def _fields(path: str, front: str) -> dict[str, Any]:
    """The front matter's fields, checked for presence and type."""
    try:
        found = yaml.safe_load(front)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: front matter", front[:40], f"YAML ({error})") from error
    keys = {*TEXTS, *LISTS}
    if not isinstance(found, dict) or found.keys() != keys:
        raise ConfigError(f"{path}: front matter", found, f"exactly the keys {', '.join(sorted(keys))}")
    for key in TEXTS:
        if not isinstance(found[key], str) or not found[key].strip():
            raise ConfigError(f"{path}: {key}", found[key], "a text that is not empty")
    for key in LISTS:
        values = found[key]
        if not isinstance(values, list) or not all(isinstance(one, str) and one.strip() for one in values):
            raise ConfigError(f"{path}: {key}", values, "a list of texts, [] for none")
        found[key] = tuple(values)
    return found
