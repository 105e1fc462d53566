# ruff: noqa: RUF001  # letters of Russian that look like letters of English are meant to be here
"""From text to terms: stemmed words (English and Russian), parts of identifiers, and identifiers whole."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final

TOKEN: Final = re.compile(r"[^\W_]+(?:[_.\-:/@]+[^\W_]+)*")
_BREAK: Final = re.compile(
    r"[\W_]+|(?<=[^\W\d_A-ZА-Я])(?=[A-ZА-Я])|(?<=[A-ZА-Я])(?=[A-ZА-Я][^\W\d_A-ZА-Я])|(?<=\D)(?=\d)|(?<=\d)(?=\D)"
)
_CYRILLIC: Final = re.compile("[а-я]")
_TERM_MAX: Final = 64  # longer tokens are hashes and encoded data: nobody asks for them whole
# Not among them: "no" and "not". What is not ready is another page than what is.
_STOP: Final = frozenset(
    """a an and are as at be been but by can could did do does for from had has have how i if in into is it its may
    of on or s such t than that the their them then there these they this to was we were what when where which
    while who why will with would you your а бы был была были было быть в во вот все всё да для до его ее если есть
    еще же за и из или их к как когда который ли мне может мы на него но о об он она они от по при с со
    так также такой там то того тоже только у уже что чтобы это я""".replace("ё", "е").split()
)
# Control characters but for white space, and those that format: zero-width, bidi, soft hyphen.
_GONE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u08e2\u180e\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_YO: Final = str.maketrans("ёЁ", "еЕ")


def clean(text: str) -> str:
    r"""Text in one form (NFKC): without control, bidi and zero-width characters; the letter yo is written as ye.

    >>> clean("Ba\u202etman\u0000 is \ufb01ne")
    'Batman is fine'
    """
    plain = _GONE.sub("", text)
    return plain if plain.isascii() else unicodedata.normalize("NFKC", plain).translate(_YO)


@lru_cache(maxsize=32_768)
def expand(token: str) -> tuple[tuple[str, str], ...]:
    """The terms of one token, each with the plain word it came from ("" for an identifier kept whole).

    >>> expand("KubeletDown")
    (('kubeletdown', ''), ('kubelet', 'kubelet'), ('down', 'down'))
    """
    parts = [part.lower() for part in _BREAK.split(token) if part]
    whole = [(token.lower(), "")] if len(parts) > 1 and len(token) <= _TERM_MAX else []
    return (*whole, *((_stem(part), part) for part in parts if part not in _STOP and len(part) <= _TERM_MAX))


def _stem(word: str) -> str:
    import Stemmer  # noqa: PLC0415  # only the extra `ml` brings it; who cleans text does without

    # A stemmer object is not safe to share between threads, and cheap to make; the cache above makes this rare.
    return str(Stemmer.Stemmer("russian" if _CYRILLIC.search(word) else "english").stemWord(word))


_SEVERAL: Final = 6  # words of the longest text that is taken as one identifier
_QUESTION: Final = 16  # a text of more words mentions much: phrases in it name nothing


def name(text: str) -> str:
    """One spelling for the many of one name; the words of several-word names stay apart.

    >>> [name(one) for one in ("link-lossy", "Link_Lossy", "LinkLossy", "High  latency")]
    ['link-lossy', 'link-lossy', 'link-lossy', 'high latency']
    """
    return " ".join(filter(None, map(_spelled, text.split())))


@lru_cache(maxsize=32_768)
def _spelled(word: str) -> str:
    if word.isalpha() and word.islower():
        return word
    return "-".join(part.lower() for part in _BREAK.split(word) if part)


def identifiers(text: str, *phrases: Mapping[str, Collection[int]]) -> list[str]:
    """What in a text may name a document exactly, spelled as by `name`: every token, every word between spaces, the
    whole as one identifier and, in a question, phrases.

    phrases: for the first words of the phrases that are names, how many words such names have.

    >>> identifiers("the disk full", {"disk": [2]})
    ['the', 'disk', 'full', 'disk full', 'the-disk-full']
    """
    words = text.split()
    spelled = [_spelled(word) for word in words]
    found = dict.fromkeys([*map(_spelled, TOKEN.findall(text)), *spelled])
    if 1 < len(words) <= _QUESTION:
        plain = [word for word in spelled if word]
        for at, word in enumerate(plain):
            for sizes in phrases:
                for size in sizes.get(word, ()):
                    found[" ".join(plain[at : at + size])] = None
        if len(plain) <= _SEVERAL:
            found["-".join(plain)] = None
    return list(found)
