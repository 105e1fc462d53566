"""Documents on the wire."""

from __future__ import annotations

import json


def encoded(document: object) -> bytes:
    """Compact JSON, plain ASCII whatever strings it holds; raises ValueError for a NaN that nobody took out."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")
