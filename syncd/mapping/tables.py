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
def rates_since(region: str, day: date) -> str:
    """Since when the rates of a place that are in force on a day have been so; "" where the table does not know."""
    if region in PORTUGAL:
        began = [str(period["from"]) for period in _load("pt-rates.json")["regions"][region]]
        return max((since for since in began if date.fromisoformat(since) <= day), default="")
    periods = _member_states().get(region, {}).get("periods", ())
    told = [str(period["from"]) for period in periods if period["from"]]
    return max((since for since in told if date.fromisoformat(since) <= day), default="")


@cache
def exemption_codes() -> frozenset[str]:
    """Every code that the table knows, in force or not."""
    return frozenset(_exemptions())


@cache
def exemption_in_force(code: str, day: date) -> bool:
    """Whether a code may stand on a document of this day; a table that gives only a year means its first day."""
    entry = _exemptions().get(code)
    if entry is None:
        return False
    since, until = entry["since"], entry["until"]
    begun = since is None or date.fromisoformat(since if len(since) > 4 else f"{since}-01-01") <= day
    return begun and (until is None or day <= date.fromisoformat(until))


@cache
def exemption_mention(code: str) -> str:
    """The words that the law wants beside a code, "" for an unknown one."""
    return str(_exemptions().get(code, {}).get("mention", ""))


@cache
def exemption_table_version() -> str:
    return str(_load("exemptions.json")["table_version"])


def portuguese_region(postcode: str) -> str:
    """The SAF-T region of a Portuguese postcode, "" where it cannot be read."""
    digits = "".join(c for c in postcode if c.isdigit())
    if len(digits) not in {4, 7} or digits < "1":
        return ""
    first = int(digits[:4])
    if first < 9000:
        return "PT"
    return "PT-MA" if first < 9500 else "PT-AC"


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
def _exemptions() -> dict[str, Any]:
    return {entry["code"]: entry for entry in _load("exemptions.json")["codes"]}


@cache
def _member_states() -> dict[str, Any]:
    states: dict[str, Any] = _load("eu-rates.json")["countries"]
    return states
