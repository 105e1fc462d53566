"""Contexts: several controllers by name, in one file of mode 0600. It holds the path of a token, never a token."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path

from x0tta6bl4.client.wire import checked
from x0tta6bl4.core.commands.toml import toml
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.files import replace_file

NAME = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")
VARIABLE = "X0T_CONTEXT"


@dataclass(frozen=True, slots=True)
class Context:
    """One controller: its URL, the file of its token, and of the authorities to trust for https ("": the system's)."""

    url: str
    token_file: str
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Contexts:
    """All of them. current: "" means the controller of this machine's settings."""

    current: str = ""
    known: dict[str, Context] = field(default_factory=dict)


def place() -> Path:
    """The file, in the user's configuration directory."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "x0tta6bl4" / "contexts.toml"


def read() -> Contexts:
    """What the file says; raises ConfigError where others could have written it or it makes no sense."""
    path = place()
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            document = tomllib.load(file)
    except FileNotFoundError:
        return Contexts()
    except (OSError, ValueError) as error:
        raise ConfigError("contexts", str(path), f"a readable TOML file ({error})") from None
    if mode & 0o077:
        raise ConfigError("contexts", f"{path} with mode {mode:04o}", "mode 0600: chmod 600 it")
    return _parsed(document, path)


def _parsed(document: dict[str, object], path: Path) -> Contexts:
    known: dict[str, Context] = {}
    tables = document.get("context", {})
    current = document.get("use", {})
    if not isinstance(tables, dict) or not isinstance(current, dict) or set(document) - {"context", "use"}:
        raise ConfigError("contexts", str(path), "tables [use] and [context.NAME] only")
    for name, values in tables.items():
        try:
            known[name] = Context(**values)
            checked(known[name].url)
        except (TypeError, ConfigError):
            raise ConfigError(f"contexts.{name}", str(path), "url, token_file and, if need be, ca_file") from None
    return Contexts(str(current.get("context", "")), known)


def write(contexts: Contexts) -> None:
    """Replace the file as a whole, mode 0600; raises ConfigError where that cannot be done."""
    path = place()
    tables = {name: {k: v for k, v in asdict(one).items() if v} for name, one in sorted(contexts.known.items())}
    text = toml({"use": {"context": contexts.current}, "context": tables}) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(path, text.encode(), 0o600)
    except OSError as error:
        raise ConfigError("contexts", str(path), f"a path that can be written ({error.strerror})") from None


def chosen(asked: str) -> Context | None:
    """The context of this name, else the one in use; None is this machine's. Raises ConfigError if there is none."""
    contexts = read()
    name = asked or contexts.current
    return named(contexts, name) if name else None


def named(contexts: Contexts, name: str) -> Context:
    """One context; raises ConfigError that names the known ones."""
    if name not in contexts.known:
        known = ", ".join(sorted(contexts.known)) or "none yet; add one with `x0t context add`"
        raise ConfigError("context", name, known)
    return contexts.known[name]
