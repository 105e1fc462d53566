"""A client of the controller's API, in two forms with the same operations.

    from x0tta6bl4.client import Client

    with Client("http://127.0.0.1:8000", token) as mesh:
        for incident in mesh.items(mesh.list_incidents, state="open"):
            print(incident["cause"], incident["component"])

`AsyncClient` is the same with `await`. Method names are the operation ids of `/v1/openapi`.
"""

from x0tta6bl4.client.errors import Refused, Unreachable
from x0tta6bl4.client.transport import AsyncClient, Client
from x0tta6bl4.client.wire import Document, ServerEvent

__all__ = ["AsyncClient", "Client", "Document", "Refused", "ServerEvent", "Unreachable"]
