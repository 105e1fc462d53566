"""Talks to the running controller's API with the token of its file."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote, urlencode

from x0tta6bl4.core import access
from x0tta6bl4.core.commands.output import Unreachable
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.errors import ConfigError, Permanent, ProtocolError

TIMEOUT_S = 5.0


def call(settings: Settings, method: str, path: str, body: object = None, **query: str | int) -> Any:
    """One request; `path` begins with "/", its parts are already quoted.

    Raises:
        Unreachable: nobody listens, or the answer did not come in time.
        Permanent: the controller refused, in its own words.
        ProtocolError: the answer is not this API's.
    """
    address = f"{settings.api.host}:{settings.api.port}"
    target = path + ("?" + urlencode(query) if query else "")
    connection = http.client.HTTPConnection(settings.api.host, settings.api.port, timeout=TIMEOUT_S)
    try:
        headers = {"Authorization": f"Bearer {_token(settings, address)}", "Content-Type": "application/json"}
        connection.request(method, target, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(_nobody(address, str(error) or type(error).__name__)) from None
    finally:
        connection.close()
    try:
        document = json.loads(text)
    except ValueError:
        raise ProtocolError(f"{address} answered {response.status} with something that is not JSON") from None
    if response.status >= http.client.BAD_REQUEST:
        raise Permanent(f"{document.get('detail', 'refused')} ({response.status})")
    return document


def part(text: str) -> str:
    """One part of a path, quoted."""
    return quote(text, safe="")


def _nobody(address: str, why: str) -> str:
    return f"no controller answers at {address} ({why}); start one with `x0t run` or `x0t demo`"


def _token(settings: Settings, address: str) -> str:
    if not settings.token_file.exists():
        # It is made when a controller first starts: none has run here with these settings.
        raise Unreachable(_nobody(address, f"no token in {settings.token_file}"))
    try:
        return access.read(settings.token_file)
    except ConfigError as error:
        raise ConfigError(error.field, error.value, f"{error.allowed}; run as the controller's user") from None
