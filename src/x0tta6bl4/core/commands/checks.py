"""What `x0t doctor` looks at in the installation: each check is a function that returns what it found."""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import os
import random
import re
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from x0tta6bl4 import __version__
from x0tta6bl4.core import access, plugins
from x0tta6bl4.core.settings import Settings, find_file
from x0tta6bl4.errors import ConfigError, NotSupported, StoreError
from x0tta6bl4.monitoring import tracing

PYTHON_MIN = (3, 11)
SHOWN_PACKAGES = ("numpy", "sqlalchemy", "fastapi", "uvicorn", "pydantic", "typer", "httpx")
DISK_LOW = 1 << 30
DISK_FULL = 100 << 20
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?:>=\s*([0-9.]+))?")


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and how to mend it where that is needed."""

    check: str
    level: Level
    what: str
    mend: str = ""


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Is this Python new enough?"""
    text = ".".join(map(str, version))
    if version < PYTHON_MIN:
        return Finding("python", Level.FAIL, text, "use Python 3.11 or newer")
    return Finding("python", Level.OK, f"{text}, x0tta6bl4 {__version__}")


def packages(requirements: list[str] | None = None) -> Finding:
    """Is every package that ours requires installed, and new enough? requirements: ours by default."""
    try:
        wanted = importlib.metadata.requires("x0tta6bl4") if requirements is None else requirements
    except importlib.metadata.PackageNotFoundError:
        return Finding("packages", Level.WARN, "this runs from its sources, not installed", "pip install x0tta6bl4")
    lacking = [problem for text in wanted or [] if "extra ==" not in text and (problem := _lacking(text))]
    if lacking:
        return Finding("packages", Level.FAIL, "; ".join(lacking), "pip install --upgrade x0tta6bl4")
    shown = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in SHOWN_PACKAGES)
    return Finding("packages", Level.OK, shown)


def _lacking(requirement: str) -> str:
    """What is wrong with one requirement, "" where nothing is."""
    parsed = REQUIREMENT.match(requirement)
    if parsed is None:
        return ""
    name, least = parsed[1], parsed[2] or "0"
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"{name} is not installed"
    return "" if _parts(found) >= _parts(least) else f"{name} {found} is older than {least}"


def _parts(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", version)]


def clock(synchronised: bool | None = None, now: float | None = None) -> Finding:
    """Is the wall clock set? Healing does not need it; ids, logs and tokens of others do."""
    now = time.time() if now is None else now
    installed = Path(__file__).stat().st_mtime
    if now < installed - 86_400:
        return Finding("clock", Level.FAIL, "it is set before this program was installed", "set it: timedatectl, date")
    if synchronised is None:
        synchronised = _synchronised()
    if synchronised is False:
        mend = "run an NTP client, e.g. systemd-timesyncd or chrony"
        return Finding("clock", Level.WARN, "the kernel says that it is not synchronised", mend)
    return Finding("clock", Level.OK, "synchronised" if synchronised else "set")


def _synchronised() -> bool | None:
    """What the kernel says; None where it cannot be asked."""
    if sys.platform != "linux":
        return None
    answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))  # all zero: only reads
    return None if answer < 0 else answer != TIME_ERROR


def settings_file(environ: Mapping[str, str] = os.environ) -> Finding:
    """Which file is in force; call it when the settings are known to be right."""
    found = find_file(environ)
    return Finding("settings", Level.OK, str(found) if found else "defaults (no settings file)")


def token(settings: Settings) -> Finding:
    """Can the API's token be read by its owner only?"""
    path = settings.token_file
    if not path.exists() and not path.is_symlink():
        return Finding("token", Level.WARN, f"none in {path}", "it is made when a controller first starts: x0t run")
    try:
        access.read(path)
    except ConfigError as error:
        return Finding(
            "token", Level.FAIL, str(error), f"as its owner: chmod 600 {path}; or delete it, a new one is made"
        )
    return Finding("token", Level.OK, f"{path}, mode 0600")


def plugged(settings: Settings) -> Finding:
    """Do the enabled plugins load? All or nothing: one that does not stops the start."""
    try:
        found = plugins.load(settings.plugins.enabled)
    except (ConfigError, NotSupported) as error:
        mend = "install that package where this runs (pip install NAME), or take it out of plugins.enabled"
        return Finding("plugins", Level.FAIL, str(error), mend)
    return Finding("plugins", Level.OK, ", ".join(found.names))


def model_key(settings: Settings) -> list[Finding]:
    """Can the key of the model that words explanations be read? Nothing where none is named."""
    if not settings.explanation.key_file:
        return []
    path = Path(settings.explanation.key_file).expanduser()
    try:
        access.read(path, "explanation.key_file", shortest=1)
    except ConfigError as error:
        mend = f"write the key into it, as its owner: chmod 600 {path}; or unset explanation.key_file"
        return [Finding("model key", Level.FAIL, str(error), mend)]
    return [Finding("model key", Level.OK, f"{path}, mode 0600")]


def traces(settings: Settings) -> list[Finding]:
    """Could traces leave? Nothing where no collector is named."""
    try:
        started = tracing.start(__version__, settings.monitoring.otlp_endpoint)
    except ConfigError as error:
        return [Finding("traces", Level.FAIL, str(error), "mend monitoring.otlp_endpoint, or unset it")]
    except NotSupported as error:
        mend = "pip install 'x0tta6bl4[monitoring]', or unset monitoring.otlp_endpoint"
        return [Finding("traces", Level.FAIL, str(error), mend)]
    if started is None:
        return []
    started.close()
    return [Finding("traces", Level.OK, "OpenTelemetry is installed")]


def knowledge(settings: Settings) -> list[Finding]:
    """Are the followed folders there? What is missing is said by searches, healing does not wait for it."""
    return [_folder(name, Path(place).expanduser()) for name, place in settings.knowledge.folders.items()]


def _folder(name: str, path: Path) -> Finding:
    check = f"knowledge {name}"
    if not path.is_dir():
        return Finding(check, Level.WARN, f"{path} is no directory", f"make it, or mend knowledge.folders.{name}")
    if not os.access(path, os.R_OK | os.X_OK):
        return Finding(
            check, Level.WARN, f"{path} cannot be read", f"let the controller's user read it: chmod a+rX {path}"
        )
    return Finding(check, Level.OK, str(path))


def store(settings: Settings) -> list[Finding]:
    """Can decisions be kept: is there a place, is it whole, has it this version's schema?"""
    return [_directory(settings.store.path), _database(settings)]


def _directory(path: Path) -> Finding:
    near = nearest(path)
    if not os.access(near, os.W_OK | os.X_OK):
        mend = f"run as the controller's user, chown {near}, or set store.directory"
        return Finding("store directory", Level.FAIL, f"{near} cannot be written", mend)
    return Finding("store directory", Level.OK, str(path) + ("" if path.exists() else " (made at the first start)"))


def nearest(path: Path) -> Path:
    """The path itself, or the nearest directory above it that exists."""
    return next(one for one in (path, *path.absolute().parents) if one.exists())


def _database(settings: Settings) -> Finding:
    # Late, since they are heavy.
    machine, stores = (importlib.import_module(f"x0tta6bl4.core.{part}") for part in ("machine", "store"))
    try:
        url = machine.store_url(settings, agent=False)
        path = importlib.import_module("x0tta6bl4.core.store.engine").parse(url)
        if path.get_backend_name() == "sqlite" and not (path.database and Path(path.database).exists()):
            return Finding("store", Level.OK, "no decisions kept yet; the store is made at the first start")
        with stores.SqlStore(
            url, "doctor", clock=machine.SystemClock(), random=random.SystemRandom(), reader=True
        ) as one:
            return Finding("store", Level.OK, f"{one.place}: readable, this version's schema")
    except (ConfigError, NotSupported) as error:
        return Finding("store", Level.FAIL, str(error), "mend store.url: x0t config check")
    except StoreError as error:
        return Finding("store", Level.FAIL, str(error), "x0t store check; x0t store restore FILE where it is damaged")


def disk(path: Path, free: int | None = None) -> Finding:
    """Is there room where decisions and readings are kept? free: bytes, for tests."""
    near = nearest(path)
    free = shutil.disk_usage(near).free if free is None else free
    what = f"{free / 2**30:.1f} GiB free at {near}"
    if free < DISK_FULL:
        return Finding("disk", Level.FAIL, what, "make room: without it nothing can be kept, and nothing new is begun")
    if free < DISK_LOW:
        return Finding("disk", Level.WARN, what, "make room before it runs out")
    return Finding("disk", Level.OK, what)
