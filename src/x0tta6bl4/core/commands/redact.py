"""Takes secrets out of what leaves this machine: known values wherever they stand, and whatever looks like one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from x0tta6bl4.core.commands import contexts
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.errors import ConfigError

GONE = "***"
NAMES = re.compile(
    r"(?i)(pass(word|wd|phrase)?|secret|token|(api|private|access|secret|session|signing)_?key|credentials?"
    r"|authorization|cookie|pwd|psk)$"
)
LENGTH_MIN = 6  # a shorter "secret" would take half of the text with it
PATTERNS = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL), GONE),
    (re.compile(r"(?<=://)([^\s:/@\"']*):[^\s/\"']*@"), rf"\1:{GONE}@"),
    (re.compile(r"(?i)\b((?:set-)?cookie\"?'?\s*:\s*)[^\r\n]+"), rf"\1{GONE}"),
    (re.compile(r"(?i)\b(authorization\"?'?\s*:\s*\"?'?)(\w+)\s+[A-Za-z0-9._~+/=-]+"), rf"\1\2 {GONE}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {GONE}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), GONE),  # a JSON Web Token
    (
        re.compile(
            r"(?i)([A-Za-z0-9_.-]*(?:password|passwd|passphrase|secret|token|pwd|psk|api[_-]?key|private[_-]?key)\"?'?\s*[:=]\s*)"
            r"(\"[^\"]*\"|'[^']*'|[^\s,;&}\]]+)"
        ),
        rf"\1{GONE}",
    ),
)


def known_secrets(settings: Settings | None, environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Every secret value that this machine could leak here: tokens, passwords of URLs, secrets of the environment."""
    found: set[str] = set()
    files = []
    if settings is not None:
        files.append(settings.token_file)
        found |= _of_url(settings.store.database) | _of_hook(settings.alerts.url)
        if settings.explanation.key_file:
            files.append(Path(settings.explanation.key_file).expanduser())
    with suppress(ConfigError):  # a file of contexts that cannot be read gives nothing away either
        files += [Path(context.token_file) for context in contexts.read().known.values()]
    for file in files:
        found |= _of_file(file)
    for name, value in environ.items():
        found |= _of_url(value) | ({value} if NAMES.search(name) else set())
    return frozenset(one for one in found if len(one) >= LENGTH_MIN)


def _of_file(path: Path) -> set[str]:
    try:
        return {path.read_text(encoding="utf-8", errors="replace").strip()}
    except OSError:
        return set()


def _of_url(text: str) -> set[str]:
    if "://" not in text:
        return set()
    try:
        password = urlsplit(text).password or ""
    except ValueError:
        return set()
    return {password, unquote(password)}


def _of_hook(url: str) -> set[str]:
    """The parts of a webhook's URL by which it lets in whoever knows them."""
    parts = urlsplit(url)
    return _of_url(url) | {parts.query, *(value for _, value in parse_qsl(parts.query)), parts.path.strip("/")}


def clean(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of `secrets` and without what looks like one.

    >>> clean("postgresql://me:hush@db/x, X-Token: abcdef", ())
    'postgresql://me:***@db/x, X-Token: ***'
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, GONE)
    for pattern, instead in PATTERNS:
        text = pattern.sub(instead, text)
    return text


def cleaned(document: Any, secrets: Iterable[str]) -> Any:
    """The same for a JSON document: also every value whose name says that it is a secret."""
    if isinstance(document, Mapping):
        return {
            clean(str(key), secrets): GONE if NAMES.search(str(key)) and value else cleaned(value, secrets)
            for key, value in document.items()
        }
    if isinstance(document, list | tuple):
        return [cleaned(item, secrets) for item in document]
    return clean(document, secrets) if isinstance(document, str) else document
