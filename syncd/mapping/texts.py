"""Texts within a service's limits, and codes that stay the same for the same thing."""

import hashlib
import re
import unicodedata
from functools import lru_cache

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u2028\u2029\ufeff]+")
_BLANKS = re.compile(r"\s+")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def clean(text: str) -> str:
    """One line without control characters; blanks collapsed."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()  # nearly all texts are like this, and the patterns below cost more than the rest of a line
    return _BLANKS.sub(" ", _CONTROL.sub(" ", text)).strip()


def shorten(text: str, limit: int) -> str:
    """Cut to `limit` characters at the last word that fits whole, or inside a word that is longer than all.

    Nothing is appended: a document shows a shorter text, never marks of ours. The full text stays in the ledger.
    """
    text = clean(text)
    if len(text) <= limit:
        return text
    cut = text[:limit]
    if text[limit] != " " and (at := cut.rfind(" ")) > limit // 2:
        cut = cut[:at]
    # A combining mark must not lose its letter.
    while cut and unicodedata.combining(text[len(cut)] if len(cut) < len(text) else " "):
        cut = cut[:-1]
    return cut.rstrip(" ,;-")


@lru_cache(maxsize=4096)
def code_of(raw: str, limit: int) -> str:
    """A code of letters, digits, dot, dash and underscore; different raw codes stay different."""
    text = clean(raw)
    safe = _UNSAFE.sub("-", fold(text)).strip("-")
    if safe == text and len(safe) <= limit:
        return safe
    tail = "-" + fingerprint(text)[:8]
    return safe[: limit - len(tail)].strip("-") + tail


def fingerprint(*parts: str) -> str:
    """Twenty hexadecimal digits that stay the same for the same parts."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:20]


def fold(text: str) -> str:
    """Without accents."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def folded(text: str) -> str:
    """As names are compared: one line, without accents, small letters."""
    return fold(clean(text)).lower()
