"""The two files in `config/` against the models: one runs as it stands, one tells all and tells it right."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from syncd.sandbox.billpt import BillPt
from syncd.settings import Settings, load
from syncd.settings.keys import ANY, Key, Kind, all_keys
from syncd.settings.tree import Place
from syncd.shops.generic.verify import key_of

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config/syncd.toml"
REFERENCE = ROOT / "config/syncd.reference.toml"

HEADER = re.compile(r"\[([\w.]+)\]")
ENTRY = re.compile(r"""(?P<off>\#?)(?P<key>[a-z_]+)\ =\ (?P<value>.*?)(?P<none>\s+\#\ default:\ none)?$""", re.VERBOSE)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """No secrets of the machine that the tests run on."""
    return {"CREDENTIALS_DIRECTORY": str(tmp_path)}


def place_of(section: str, key: str | None = None) -> Place:
    first, *rest = (*section.split("."), *([key] if key else []))
    return (first, ANY, *rest[1:]) if first in {"accounts", "shops"} else (first, *rest)


def entries() -> Iterator[tuple[Place, re.Match[str] | None]]:
    """Every key of the reference with its line; a table's header stands for the table."""
    section = ""
    for line in REFERENCE.read_text().splitlines():
        if header := HEADER.fullmatch(line):
            section = header[1]
            if place_of(section) in all_keys():
                yield place_of(section), None
        elif (entry := ENTRY.fullmatch(line)) and place_of(section) not in all_keys():
            yield place_of(section, entry["key"]), entry


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def documented_default(entry: re.Match[str]) -> Any:
    return tomllib.loads(f"value = {entry['value']}")["value"]


def model_default(place: Place, key: Key) -> Any:
    # Where goods start is where the business is, unless told otherwise.
    return "PT" if place[-1] == "ship_from" else plain(key.default)


def test_the_example_runs_as_it_stands(environ: dict[str, str]) -> None:
    settings = load(EXAMPLE, environ)
    assert settings.accounts["main"].base_url == "http://127.0.0.1:8089"
    assert {shop.platform for shop in settings.shops.values()} == {"woocommerce", "shopify", "generic"}
    assert all(shop.poll_interval == 0 for shop in settings.shops.values())


def test_the_examples_secrets_are_plainly_for_the_sandbox(environ: dict[str, str]) -> None:
    settings = load(EXAMPLE, environ)
    keys = [key_of(secret) for shop in settings.shops.values() for secret in shop.webhook_secret]
    assert all(key.startswith(b"sandbox-only-") for key in keys)
    assert settings.accounts["main"].token.get_secret_value() == BillPt().token


def test_the_reference_with_everything_taken_in_is_valid(tmp_path: Path, environ: dict[str, str]) -> None:
    everything = tmp_path / "all.toml"
    everything.write_text(re.sub(r"^#(?=[a-z_]+ = )", "", REFERENCE.read_text(), flags=re.MULTILINE))
    settings = load(everything, environ)
    assert isinstance(settings, Settings)
    assert load(REFERENCE, environ).http == settings.http


def test_the_reference_tells_every_key_and_no_other() -> None:
    assert {place for place, _ in entries() if place not in all_keys()} == set()
    assert set(all_keys()) - {place for place, _ in entries()} == set()


def test_what_the_reference_calls_a_default_is_the_models() -> None:
    wrong = []
    for place, entry in entries():
        key = all_keys()[place]
        if entry is None:
            wrong += [] if key.kind is Kind.TABLE and key.default == {} else [place]
        elif not entry["off"]:
            # A shop is told three times, and what every shop needs is required each time.
            wrong += [] if key.required else [place]
        elif entry["none"]:
            wrong += [] if not key.required and not key.default else [place]
        elif key.required or documented_default(entry) != model_default(place, key):
            wrong.append(place)
    assert wrong == []


def test_a_key_is_told_once_unless_every_shop_needs_it() -> None:
    told = [place for place, entry in entries() if entry is None or entry["off"]]
    assert sorted(told) == sorted(set(told))


def test_every_key_has_a_comment_above_it() -> None:
    lines = REFERENCE.read_text().splitlines()
    bare = []
    for position, line in enumerate(lines):
        entry = ENTRY.fullmatch(line)
        if entry and entry["off"]:
            above = next(
                other for other in reversed(lines[:position]) if not ENTRY.fullmatch(other) or not other.startswith("#")
            )
            bare += [] if above.startswith("# ") else [line]
    assert bare == []
