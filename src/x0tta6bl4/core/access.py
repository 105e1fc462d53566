"""Secrets in files that only their owner can read, never logged; the API's bearer token is made where there is none."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from x0tta6bl4.errors import ConfigError

TOKEN_BYTES = 32
LENGTH_MIN = 32  # characters; a shorter one was typed by somebody


def ensure(path: Path) -> str:
    """The token in `path`, made with mode 0600 where there is none yet.

    Raises:
        ConfigError: the file can be read by others, is a link, or holds no usable token.
    """
    if path.exists() or path.is_symlink():
        return read(path)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token + "\n")
        try:
            path.hardlink_to(draft)  # complete or not there: nobody reads half a token
        except FileExistsError:
            return read(path)  # another start was faster
        finally:
            draft.unlink()
    except OSError as error:
        raise ConfigError("api.token_file", str(path), f"a path that can be written ({error.strerror})") from None
    return token


def read(path: Path, field: str = "api.token_file", *, shortest: int = LENGTH_MIN) -> str:
    """The secret in the file that `field` names; raises ConfigError where it is missing, open to others or unusable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise ConfigError(field, str(path), f"a readable file of mode 0600 ({error.strerror})") from None
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        token = file.read(4096).strip()
    if mode & 0o077:
        raise ConfigError(field, f"{path} with mode {mode:04o}", "mode 0600: others must not read it")
    if len(token) < shortest or not token.isascii() or not token.isprintable() or " " in token:
        # What the file holds is not repeated: it may be half a secret.
        raise ConfigError(field, str(path), f"a file with one word of at least {shortest} characters")
    return token
