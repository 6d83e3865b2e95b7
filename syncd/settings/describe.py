"""The settings for people's eyes and for the log's redaction."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from syncd.settings.keys import dotted
from syncd.settings.tree import Settings

HIDDEN = "********"


def describe(settings: Settings) -> dict[str, str]:
    """Every setting that has a value, by its dotted key, with secrets hidden."""
    lines = {dotted(place): _text(value) for place, value in _leaves(settings.model_dump(), ())}
    lines["database.url"] = _without_password(settings.database.url)
    return lines


def secrets_in(settings: Settings) -> tuple[SecretStr, ...]:
    """Every secret value in the settings, the database's password among them: none may reach a log."""
    found = [value for _, value in _leaves(settings.model_dump(), ()) if isinstance(value, SecretStr)]
    password = urlsplit(settings.database.url).password
    return (*found, *({SecretStr(password), SecretStr(unquote(password))} if password else ()))


def _leaves(value: Any, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:  # noqa: ANN401 - any part of the tree
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _leaves(below, (*place, key))
    elif isinstance(value, tuple):
        for position, below in enumerate(value):
            yield from _leaves(below, (*place, position))
    elif value is not None:
        yield place, value


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return HIDDEN
    return str(value).lower() if isinstance(value, bool) else str(value)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:{HIDDEN}@{host}").geturl()
