"""A knowledge base as one file: what is known, what was said of answers, and what was learned from that.

Vectors are not in it: they are measured again from the text, so that a file serves either profile.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from x0tta6bl4.errors import ConfigError, ProtocolError, StoreError
from x0tta6bl4.files import replace_file
from x0tta6bl4.ml.retrieval.learn import Learned
from x0tta6bl4.ml.retrieval.ports import Feedback
from x0tta6bl4.ml.retrieval.values import Document

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Saved:
    """The content of such a file. learned: see `Learned.encode`, empty where nothing was."""

    documents: Sequence[Document]
    feedback: Sequence[Feedback] = ()
    learned: bytes = b""

    def write(self, path: Path) -> None:
        """Write it, whole or not at all; raises StoreError where that fails."""
        told = {
            "version": VERSION,
            "documents": [
                {"id": one.id, "content": one.content, "metadata": dict(one.metadata), "timestamp": one.timestamp}
                for one in self.documents
            ],
            "feedback": [asdict(one) for one in self.feedback],
            "learned": base64.b64encode(self.learned).decode("ascii"),
        }
        try:
            replace_file(path, json.dumps(told, ensure_ascii=False).encode())
        except OSError as error:
            raise StoreError(f"knowledge: {path} cannot be written: {error.strerror}") from error

    @classmethod
    def read(cls, path: Path) -> Saved:
        """Inverse of `write`; raises StoreError where there is no such file, ProtocolError where it is another kind."""
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if told["version"] != VERSION:
                raise ProtocolError(f"knowledge: {path} has version {told['version']}, this reads {VERSION}")
            learned = base64.b64decode(told["learned"], validate=True)
            if learned:
                Learned.decode(learned)
            documents = [Document(**one) for one in told["documents"]]
            return cls(documents, [Feedback(**one) for one in told["feedback"]], learned)
        except OSError as error:
            raise StoreError(f"knowledge: {path} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
            raise ProtocolError(f"knowledge: {path} is no saved index: {error}") from error
