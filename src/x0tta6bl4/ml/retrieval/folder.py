"""Markdown folders and git checkouts as documents: read without following links out, with a reason for each file left.

Front matter (YAML between two lines of `---`) becomes metadata: `code`, `title`, `aliases`, `alerts`, `tags`, ...
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from x0tta6bl4.errors import ConfigError
from x0tta6bl4.ml.retrieval.values import BYTES_MAX, NAMED, Document

SUFFIXES: Final = frozenset({".md", ".markdown", ".rst", ".txt"})
FILES_MAX: Final = 100_000
_FENCE: Final = "---\n"
_FIELDS: Final = (*NAMED, "title", "kind", "language", "tags")
_CYRILLIC: Final = re.compile("[\u0400-\u04ff]")
_LATIN: Final = re.compile("[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Folder:
    """What a folder holds. skipped: the path of each file that was left out (relative to the folder), and why."""

    documents: tuple[Document, ...]
    skipped: Mapping[str, str]


def read_folder(root: Path, name: str = "") -> Folder:
    """All documents below a folder. name: what they are filed under (`source`), by default the folder's own name.

    A file that cannot be used is skipped with the reason and costs nothing else. Hidden folders are not entered.
    Raises ConfigError where there is no such folder, or one with more than 100,000 documents.
    """
    if not root.is_dir():
        raise ConfigError("knowledge.folder", str(root), "a folder that exists and may be read")
    source = name or root.resolve().name
    documents: list[Document] = []
    skipped: dict[str, str] = {}
    for path in _files(root, skipped):
        relative = path.relative_to(root).as_posix()
        try:
            documents.append(page(source, relative, read_text(path)))
        except (OSError, ValueError, ConfigError) as error:
            shown = relative if relative.isprintable() else ascii(relative)[1:-1]
            skipped[shown] = str(error) or type(error).__name__
        if len(documents) > FILES_MAX:
            raise ConfigError("knowledge.folder", str(root), f"at most {FILES_MAX} documents")
    return Folder(tuple(documents), skipped)


def _files(root: Path, skipped: dict[str, str]) -> Iterator[Path]:
    """Files that look like documents, in order. Links are not followed: they may lead in circles, or out."""

    def unreadable(error: OSError) -> None:
        skipped[os.path.relpath(error.filename, root)] = error.strerror or "cannot be read"

    for folder, folders, files in os.walk(root, onerror=unreadable):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for one in sorted(files):
            path = Path(folder, one)
            if path.suffix.lower() in SUFFIXES and not one.startswith("."):
                if path.is_symlink():
                    skipped[path.relative_to(root).as_posix()] = "a symbolic link: give the folder that it leads to"
                else:
                    yield path


def read_text(path: Path) -> str:
    """A file's text; raises ValueError for what is no text, too large, or changed while it was read, and OSError.

    A symbolic link is an OSError.
    """
    # O_NONBLOCK: a named pipe that is called README.md must not stop everything.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise ValueError("not a regular file")
        if before.st_size > BYTES_MAX:
            raise ValueError(f"{before.st_size} bytes: more than {BYTES_MAX}")
        data = file.read(BYTES_MAX + 1)
        after = os.fstat(file.fileno())
    if len(data) != before.st_size or (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        raise ValueError("changed while it was read: add the folder again")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8 text") from error


def page(source: str, relative: str, text: str) -> Document:
    """One file as a document. source: what it is filed under; relative: its path there.

    Raises ConfigError for a path that cannot be printed (an id must be typed), and like `Document`.
    """
    if not relative or not relative.isprintable():
        raise ConfigError("knowledge.page", relative[:64], "a path in printable characters")
    digest = hashlib.sha256(text.encode()).hexdigest()
    metadata = {"kind": "page", "language": language_of(text), **_front(text), "source": source, "digest": digest}
    return Document(f"{source}/{relative}", text, metadata)


def language_of(text: str) -> str:
    """The code ru where a third of the letters are Cyrillic (commands and names are Latin), else en; front matter
    may say another.

    >>> language_of("Перезапустить `batctl` на узле"), language_of("Restart the node")
    ('ru', 'en')
    """
    cyrillic = len(_CYRILLIC.findall(text))
    return "ru" if cyrillic > (cyrillic + len(_LATIN.findall(text))) / 3 else "en"


def _front(text: str) -> dict[str, object]:
    """The front matter's known fields; nothing where there is none or it is no YAML mapping: then it is just text."""
    front, fence, _ = text.removeprefix(_FENCE).partition(f"\n{_FENCE}")
    if not (text.startswith(_FENCE) and fence):
        return {}
    try:
        fields = yaml.safe_load(front)
    except yaml.YAMLError:
        return {}
    if not isinstance(fields, dict):
        return {}
    return {key: _plain(fields[key]) for key in _FIELDS if fields.get(key) is not None}


def _plain(value: object) -> object:
    return [str(one) for one in value] if isinstance(value, list) else str(value)
