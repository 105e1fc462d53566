"""Vectors of words from the package `wordllama` (MIT): a static table, 256 numbers for each of 32,000 pieces.

Its files are read, its code is not imported: that would set up logging for the whole process and load an HTTP client.
It knows English well; of other languages little more than the spelling.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from x0tta6bl4.errors import NotSupported
from x0tta6bl4.model import Floats

DIM: Final = 256
_WEIGHTS: Final = Path("weights", "l2_supercat_256.safetensors")
_TOKENIZER: Final = Path("tokenizers", "l2_supercat_tokenizer_config.json")


class WordVectors:
    """The table and its tokenizer; raises NotSupported where the package is missing or is another version."""

    name = "wordllama-l2-supercat-256"

    def __init__(self) -> None:
        folder = _folder()
        weights, tokenizer = folder / _WEIGHTS, folder / _TOKENIZER
        if not (weights.is_file() and tokenizer.is_file()):
            raise NotSupported(f"retrieval: {folder.name} has no {_WEIGHTS}; install wordllama 0.4")
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        with weights.open("rb") as file:
            self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # safetensors: a length in 8 bytes, so much JSON, then the numbers; this file holds one tensor.
        header = 8 + int.from_bytes(self._file[:8], "little")
        table: NDArray[np.float16] = np.frombuffer(self._file, np.float16, offset=header)
        self._table = table.reshape(-1, DIM)

    def __call__(self, words: Sequence[str]) -> Floats:
        """float32 [words, 256]: for each word the sum of its pieces' vectors; zeros for an empty one."""
        found = np.zeros((len(words), DIM), np.float32)
        for row, word in enumerate(words):
            if word:
                pieces = self._tokenizer.encode(word, add_special_tokens=False).ids
                found[row] = self._table[pieces].astype(np.float32).sum(axis=0)
        return found

    def release(self) -> None:
        """Give the pages of the table back that reading has touched: the file's cache keeps them for the next time."""
        self._file.madvise(mmap.MADV_DONTNEED)


def _folder() -> Path:
    spec = find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise NotSupported("retrieval: word vectors need a package: pip install 'x0tta6bl4[ml]'")
    return Path(spec.origin).parent


@lru_cache(maxsize=1)
def word_vectors() -> WordVectors:
    """The table, loaded once in a process."""
    return WordVectors()
