"""What can go wrong, by what the caller should do about it.

    X0tError
    ├── ConfigError       a person must change the named field; nothing was started or applied
    │   └── SystemFull    ... and a new system has room again
    ├── NotSupported      this kernel, machine or mesh cannot do it; use another way or skip it
    ├── ResourceError     the thing outside answered wrongly or not at all
    │   ├── Temporary     the same call may succeed later
    │   └── Permanent     the same call will fail again
    ├── ProtocolError     bytes or a document that came from outside are malformed
    └── StoreError        what was to be kept could not be kept

Expected failures inside the loop are values (`Outcome`, `Observation.error`), not exceptions.
"""

from __future__ import annotations


class X0tError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(X0tError):
    """A rejected input: names the field, the value that was given and what is allowed.

    >>> raise ConfigError("loop.pass_s", -1, "a number of seconds > 0")
    Traceback (most recent call last):
    x0tta6bl4.errors.ConfigError: loop.pass_s: got -1, allowed: a number of seconds > 0
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field}: got {value!r}, allowed: {allowed}")
        self.field = field
        self.value = value
        self.allowed = allowed


class SystemFull(ConfigError):
    """A system of the library's loop has had all the names that it may have in its life; another one begins anew."""


class NotSupported(X0tError):
    """The environment lacks something; the message says what and how to get it."""


class ResourceError(X0tError):
    """Something outside this process failed."""


class Temporary(ResourceError):
    """Trying again later is sensible."""


class Permanent(ResourceError):
    """Trying again without a change is pointless."""


class ProtocolError(X0tError):
    """Malformed bytes or documents from outside; nothing of them was used."""


class StoreError(X0tError):
    """The store could not keep or read what it was asked to."""
