"""`x0t bundle FILE`: everything that a bug report needs in one archive, with secrets taken out."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import os
import platform
import random
import secrets as chance
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from x0tta6bl4 import __version__
from x0tta6bl4.client import Client
from x0tta6bl4.core.commands import doctor
from x0tta6bl4.core.commands.config import public
from x0tta6bl4.core.commands.connection import connect, connect_async
from x0tta6bl4.core.commands.feed import remembered
from x0tta6bl4.core.commands.output import JsonFlag, console, done
from x0tta6bl4.core.commands.redact import clean, cleaned, known_secrets
from x0tta6bl4.core.settings import Settings, load
from x0tta6bl4.errors import ConfigError, X0tError

ROOT = "x0tta6bl4-bundle"
INCIDENTS_MAX = 50
READS = ("version", "mesh_status", "get_topology", "get_control")
LISTS = (
    "get_inventory",
    "list_policies",
    "list_plans",
    "list_actions",
    "list_mitigations",
    "list_windows",
    "list_alerts",
    "list_iterations",
)
ITEMS_MAX = 200  # of each list


@dataclass
class Contents:
    """Members of the archive by name, and why what is not in it is not."""

    secrets: frozenset[str]
    members: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, build: Callable[[], Any]) -> None:
        """Put in what `build` gives (text, or a document), cleaned; its failure is kept as the reason why not."""
        try:
            made = build()
        except (X0tError, OSError, KeyError) as error:
            self.missing[name] = clean(str(error), self.secrets)
            return
        if isinstance(made, str):
            self.members[name] = clean(made, self.secrets)
        else:
            plain = json.loads(json.dumps(made, default=str))
            self.members[name] = json.dumps(cleaned(plain, self.secrets), indent=2, ensure_ascii=False)


def bundle(
    file: Annotated[Path, typer.Argument(help="Where it goes, a .tar.gz of mode 0600.")],
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Collect what a bug report needs: settings, doctor, status, incidents, events, metrics. Secrets are taken out."""
    if file.exists() and not (force and file.is_file()):
        raise ConfigError("file", str(file), "a file that does not exist, or one to replace with --force")
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    out = console(stderr=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("collecting")
        contents = collect(lambda what: bar.update(task, description=what))
    write(file, contents)
    size = file.stat().st_size
    told = {"file": str(file), "bytes": size, "members": sorted(contents.members), "missing": contents.missing}
    lacking = "".join(f"\nwithout {name}: {why}" for name, why in contents.missing.items())
    words = f"wrote {file} ({len(contents.members)} parts, {size} bytes); look through it before you send it{lacking}"
    done(told, words, as_json=as_json)


def collect(tell: Callable[[str], object]) -> Contents:
    """Everything, cleaned. tell: called with what is being read."""
    try:
        settings: Settings | None = load()
        wrong = ""
    except ConfigError as error:
        settings, wrong = None, str(error)
    contents = Contents(known_secrets(settings))
    tell("this installation")
    contents.add("about.json", _about)
    contents.add("settings.json", lambda: public(settings) if settings is not None else {"error": wrong})
    contents.add("doctor.json", lambda: doctor.document(doctor.examine()))
    if settings is not None:
        tell("the store")
        contents.add("store.json", lambda: _store(settings))
    tell("the controller")
    _controller(contents, tell)
    contents.add("missing.json", lambda: contents.missing)
    return contents


def _about() -> dict[str, Any]:
    return {
        "version": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "made_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "environment": sorted(name for name in os.environ if name.startswith("X0T_")),
    }


def _store(settings: Settings) -> dict[str, Any]:
    """How much is in it and whether it is whole; what is in it comes from the controller."""
    machine, stores = (importlib.import_module(f"x0tta6bl4.core.{part}") for part in ("machine", "store"))
    directory = settings.store.path
    sizes = {str(one.relative_to(directory)): one.stat().st_size for one in directory.rglob("*") if one.is_file()}
    url, clock = machine.store_url(settings, agent=False), machine.SystemClock()
    with stores.SqlStore(url, "command", clock=clock, random=random.SystemRandom(), reader=True) as store:
        return {"examined": store.examine().document(), "file_bytes": sizes}


def _controller(contents: Contents, tell: Callable[[str], object]) -> None:
    try:
        client = connect()
    except X0tError as error:
        contents.missing["controller"] = clean(str(error), contents.secrets)
        return
    with client:
        contents.add("controller/health.json", client.health)
        if "controller/health.json" in contents.missing:
            return  # the rest would fail alike, each after its own wait
        for name in READS:
            tell(name)
            contents.add(f"controller/{name}.json", getattr(client, name))
        for name in LISTS:
            tell(name)
            contents.add(f"controller/{name}.json", partial(_items, client, name))
        contents.add("metrics.txt", client.metrics)
        tell("incidents")
        contents.add("incidents.json", partial(_incidents, client))
    tell("events")
    contents.add("events.json", lambda: asyncio.run(_events()))


def _items(client: Client, operation: str, count: int = ITEMS_MAX) -> list[dict[str, Any]]:
    return list(islice(client.items(getattr(client, operation)), count))


def _incidents(client: Client) -> list[dict[str, Any]]:
    """The newest ones, each with its evidence, plans, actions and timeline."""
    rows = _items(client, "list_incidents", INCIDENTS_MAX)
    return [client.get_incident(row["id"]) for row in rows]


async def _events() -> list[dict[str, Any]]:
    async with connect_async() as client:
        return [event.data async for event in remembered(client)]


def write(file: Path, contents: Contents) -> None:
    """The archive as a whole or not at all, readable by its owner only."""
    draft = file.with_name(f".{file.name}.{chance.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
            for name, text in contents.members.items():
                content = text.encode()
                entry = tarfile.TarInfo(f"{ROOT}/{name}")
                entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
                archive.addfile(entry, io.BytesIO(content))
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
