"""Settings by name: environment variables and secret files share one way of naming keys.

`SYNCD_ACCOUNTS__MAIN__TOKEN` is `token` under `[accounts.main]`. Sections, names and keys may be written in any case;
a key of a table (`SYNCD_SHOPS__LOJA__PAYMENTS__stripe`) is the merchant's own and keeps its case.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from syncd.domain.findings import Finding
from syncd.settings.keys import ANY, PREFIX, Key, Kind, all_keys, spelled
from syncd.settings.kinds import nearest
from syncd.settings.tree import Place

NOT_SETTINGS = re.compile(r"SYNCD_(CONFIG|TEST_.*)", re.IGNORECASE)
# Kubernetes and Docker's links describe a Service named syncd in the environment of its neighbours.
SERVICE_LINK = re.compile(r"SYNCD_([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_.+)?)|PORT_\d+_(TCP|UDP|SCTP)(_.+)?)")
JSON_LIST_OF_TEXT = re.compile(r'\s*\[\s*"')

Known = Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A variable or a secret file: its name, how messages call it, and its text."""

    name: str
    source: str
    text: str


@dataclass(slots=True)
class Named:
    """What names gave: nested `data`, where each place came from, and what could not be understood."""

    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[Place, str] = field(default_factory=dict)
    problems: list[Finding] = field(default_factory=list)


def from_environ(environ: Mapping[str, str]) -> Iterator[Entry]:
    for name, text in environ.items():
        if _is_setting(name):
            yield Entry(name, name, text)


def from_files(folder: Path, problems: list[Finding]) -> Iterator[Entry]:
    """Files of the folder whose names begin like settings; what cannot be read joins `problems`."""
    try:
        files = sorted(path for path in folder.iterdir() if _is_setting(path.name) and path.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        problems.append(_unreadable(folder, error))
        return
    for path in files:
        try:
            yield Entry(path.name, str(path), path.read_text("utf-8").rstrip("\r\n"))
        except (OSError, UnicodeDecodeError) as error:
            problems.append(_unreadable(path, error))


def read(entries: Iterator[Entry], known: Known) -> Named:
    """Put entries at their places; `known` are the names of accounts and shops in the file, by section."""
    named = Named()
    for entry in entries:
        words = entry.name[len(PREFIX) :].split("__")
        found = _locate(words, known)
        if found is None:
            named.problems.append(_unknown(entry, words, known))
            continue
        place, key = found
        if place in named.origins:
            named.problems.append(
                Finding(
                    subject=entry.source,
                    message=f"names the same setting as {named.origins[place]}",
                    fix="keep one of the two",
                )
            )
            continue
        try:
            value = _value(entry.text, key, whole=len(place) == len(_pattern(place)))
        except ValueError:
            shape = "an object" if key.kind is Kind.TABLE else "a list"
            fix = 'write {"key": "value"}' if key.kind is Kind.TABLE else 'write ["one", "two"]'
            named.problems.append(Finding(subject=entry.source, message=f"is not {shape} in JSON", fix=fix))
            continue
        named.origins[place] = entry.source
        _put(named.data, place, value)
    return named


def _is_setting(name: str) -> bool:
    return name.upper().startswith(PREFIX) and not NOT_SETTINGS.fullmatch(name)


def _locate(words: list[str], known: Known) -> tuple[Place, Key] | None:
    for pattern, key in all_keys().items():
        longer = len(words) > len(pattern) and key.kind is Kind.TABLE
        if len(words) != len(pattern) and not longer:
            continue
        if all(part in {ANY, word.lower()} for part, word in zip(pattern, words, strict=False)):
            place = tuple(
                _name(word, known[pattern[0]]) if part == ANY else part
                for part, word in zip(pattern, words, strict=False)
            )
            return (*place, "__".join(words[len(pattern) :])) if longer else place, key
    return None


def _name(word: str, known: Collection[str]) -> str:
    """Variables cannot have a hyphen, so that an underscore may stand for it."""
    word = word.lower()
    return word if word in known else next((name for name in known if name.replace("-", "_") == word), word)


def _pattern(place: Place) -> Place:
    return next(pattern for pattern in all_keys() if all(a in {ANY, b} for a, b in zip(pattern, place, strict=False)))


def _value(text: str, key: Key, *, whole: bool) -> Any:  # noqa: ANN401 - the model decides what it may be
    """Text as the key takes it; ValueError where it had to be JSON and is not."""
    if key.kind is Kind.TABLE and whole:
        table = json.loads(text)
        if not isinstance(table, dict):
            raise ValueError
        return table
    if key.kind is Kind.LIST:
        # A secret may begin with a bracket, so that only a list of texts is taken for a list.
        if JSON_LIST_OF_TEXT.match(text):
            return json.loads(text)
        return [text] if key.secret else [word for part in text.split(",") if (word := part.strip())]
    return text


def _put(data: dict[str, Any], place: Place, value: object) -> None:
    for part in place[:-1]:
        data = data.setdefault(part, {})
    data[place[-1]] = value


def _unknown(entry: Entry, words: list[str], known: Known) -> Finding:
    name = entry.name.upper()
    close = nearest(name, _spellings(words, known))
    if SERVICE_LINK.fullmatch(name) or entry.text.startswith("tcp://"):
        fix = "Kubernetes adds it for a Service named syncd: set enableServiceLinks: false in the pod"
    elif close:
        fix = f"did you mean {close}?"
    else:
        fix = "remove it; config/syncd.reference.toml lists all settings"
    return Finding(subject=entry.source, message="is not a setting", fix=fix)


def _spellings(words: list[str], known: Known) -> Iterator[str]:
    given = words[1:2]
    for place in all_keys():
        for name in (*known[place[0]], *given) if ANY in place else ("",):
            yield spelled(tuple(name if part == ANY else part for part in place))


def _unreadable(path: Path, error: Exception) -> Finding:
    why = error.strerror if isinstance(error, OSError) and error.strerror else "not UTF-8 text"
    return Finding(subject=str(path), message=f"cannot be read ({why})", fix="let the daemon's user read it")
