"""What a single setting can be: secrets, addresses, names, codes. Each refuses with what is wrong and how to right it.

No message repeats the value it refuses unless that can hold no secret: messages end in logs.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

SAFT_CODES = ("CC", "CD", "CH", "CI", "CO", "CS", "DE", "LC", "MB", "NU", "OU", "PR", "TB", "TR")
ENGINES = {"sqlite": "sqlite+aiosqlite:///syncd.db", "postgres": "postgresql+asyncpg://user:password@host/name"}

SHORTEST_PASSWORD = 12

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def wrong(what: str, fix: str) -> PydanticCustomError:
    """An error for a validator to raise: `what` is wrong, `fix` says how to right it."""
    return PydanticCustomError("setting", "{what}", {"what": what, "fix": fix})


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A fix that names the nearest known word, else all of them."""
    known = sorted(known)
    if close := nearest(word, known):
        return f"did you mean {close}?"
    return f"known: {', '.join(known)}" if known else "leave it out"


def _secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.strip():
        raise wrong("is empty", "give the secret, or leave the key out")
    if text != text.strip() or not text.isprintable():
        raise wrong("has blanks around it or a line break inside", "copy the secret anew, without them")
    return value


def _password(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < SHORTEST_PASSWORD:
        raise wrong(
            f"has fewer than {SHORTEST_PASSWORD} characters",
            "make a longer one, for instance with: openssl rand -base64 18",
        )
    return value


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str | SecretStr) else value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value) or "__" in value:
        raise wrong(
            f"{value[:40]!r} is no name for an account or a shop",
            "use a-z, 0-9, - and single _, beginning with a letter or digit",
        )
    return value


def _code(value: str) -> str:
    if value not in SAFT_CODES:
        raise wrong(f"{value[:40]!r} is no SAF-T payment mechanism", f"use one of {', '.join(SAFT_CODES)}")
    return value


def _code_or_hold(value: str) -> str:
    return value if value == "hold" else _code(value)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _number(value: object) -> object:
    if isinstance(value, bool):  # pydantic would read true as 1
        raise wrong("must be a number, not true or false", "write the number")
    return value


def _database(value: str) -> str:
    scheme, separator, _ = value.partition("://")
    if separator and scheme in {"sqlite+aiosqlite", "postgresql+asyncpg"}:
        return value
    meant = ENGINES["postgres"] if scheme.startswith(("postgres", "pg")) else ENGINES["sqlite"]
    raise wrong("is not the address of a database that syncd can use", f"write it as {meant}")


def split_url(value: str) -> SplitResult:
    """The parts of a shop's or service's base address; refuses what is not one."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
        parts = urlsplit("")
    if not usable:
        raise wrong("is not a web address", "write it as https://host")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise wrong("carries more than host and path", "leave out user, password, query and fragment")
    return parts


def safe_url(value: str, *, allow_http: bool) -> str:
    """A base address without its last slash; https, unless it stays on this machine or plain http is allowed."""
    parts = split_url(value)
    if parts.scheme != "https" and not allow_http and not _is_loopback(parts.hostname or ""):
        raise wrong("would send secrets unencrypted", "use https://, or set allow_http = true inside a private network")
    return value.rstrip("/")


def _hook(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise wrong("is not a web address", "copy the whole address from the receiver, https:// included")
    if parts.scheme != "https" and not _is_private(parts.hostname):
        raise wrong("would be sent unencrypted", "use https://, or a receiver on this machine or network")
    return value


def _is_private(host: str) -> bool:
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".internal", ".local"))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


Secret = Annotated[SecretStr, AfterValidator(_secret)]
Password = Annotated[Secret, AfterValidator(_password)]
Hook = Annotated[Secret, AfterValidator(_hook)]  # an address that is its own key
Secrets = Annotated[tuple[Secret, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
Name = Annotated[str, AfterValidator(_name)]
Text = Annotated[str, Field(min_length=1)]
PaymentCode = Annotated[str, AfterValidator(_code)]
PaymentCodeOrHold = Annotated[str, AfterValidator(_code_or_hold)]
DatabaseUrl = Annotated[str, AfterValidator(_database)]
Level = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)]
Region = Literal["PT", "PT-20", "PT-30"]
Whole = Annotated[int, BeforeValidator(_number)]
Seconds = Annotated[float, BeforeValidator(_number), Field(gt=0, le=86_400)]
