"""The law's tables, read from data files with effective dates."""

import json
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

PORTUGAL = ("PT", "PT-MA", "PT-AC")
SAFT_REGION = {"PT": "PT", "PT-30": "PT-MA", "PT-20": "PT-AC", "PT-MA": "PT-MA", "PT-AC": "PT-AC"}


@dataclass(frozen=True, slots=True)
class Territory:
    """A part of a member state with its own treatment, told by postcode."""

    name: str
    postcode: re.Pattern[str]
    outside: bool


def _load(name: str) -> Any:  # noqa: ANN401 - the shape of each table is known to its one reader below
    return json.loads(files("syncd.mapping.data").joinpath(name).read_text("utf-8"))


@cache
def portuguese_rates(region: str, day: date) -> frozenset[Decimal]:
    """The three rates of a region (PT, PT-MA, PT-AC) on a day."""
    rates: frozenset[Decimal] = frozenset()
    for period in _load("pt-rates.json")["regions"][region]:
        if date.fromisoformat(period["from"]) <= day:
            rates = frozenset(Decimal(period[name]) for name in ("normal", "intermediate", "reduced"))
    return rates


@cache
def eu_rates(country: str, day: date) -> frozenset[Decimal]:
    """All rates of a member state on a day, for the One Stop Shop."""
    for period in _member_states()[country]["periods"]:
        begins, ends = period["from"], period["to"]
        if (begins is None or date.fromisoformat(begins) <= day) and (ends is None or day <= date.fromisoformat(ends)):
            given = [period["standard"], *period["reduced"], period["super_reduced"], period["parking"]]
            return frozenset(Decimal(rate) for rate in given if rate is not None)
    return frozenset()


def is_member_state(country: str) -> bool:
    return country in _member_states()


@cache
def territories(country: str) -> tuple[Territory, ...]:
    """Parts of a member state whose treatment differs."""
    return tuple(
        Territory(place["name"], re.compile(place["postcode_pattern"]), place["treatment"] == "outside_eu_vat")
        for place in _member_states().get(country, {}).get("territories", ())
        if place["postcode_pattern"]
    )


@cache
def vat_number_pattern(country: str) -> re.Pattern[str] | None:
    """The shape of a member state's VAT numbers, prefix included."""
    state = _member_states().get(country)
    return re.compile(state["vat_number_pattern"]) if state else None


@cache
def vat_prefix(country: str) -> str:
    """The prefix of a member state's VAT numbers; it differs from the country for Greece."""
    state = _member_states().get(country)
    return str(state["vat_prefix"]) if state else ""


@cache
def payment_patterns() -> tuple[tuple[str, str], ...]:
    """Parts of gateway names with their SAF-T mechanism; the first that fits decides."""
    return tuple((str(part), str(code)) for part, code in _load("gateways.json")["patterns"])


@cache
def _member_states() -> dict[str, Any]:
    states: dict[str, Any] = _load("eu-rates.json")["countries"]
    return states
