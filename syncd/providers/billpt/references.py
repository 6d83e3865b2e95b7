"""An account's own lists (series, taxes, payment methods, units, exemptions, document types): read once, then cached.

Ids differ from account to account, so every one of them comes from here and none stands in the code.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import TypeVar

import orjson

from syncd.domain.document import DocumentKind, PriceMode
from syncd.domain.errors import AccountBlockedError, NoEffectError, RefusedError
from syncd.mapping.texts import fold
from syncd.providers.port import Directory

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One list: its kind in the directory, its path at the service, and the fields worth keeping."""

    kind: str
    path: str
    fields: tuple[str, ...]


SERIES = Listing(kind="series", path="series", fields=("nome", "iva_incluido", "visivel", "principal"))
TAXES = Listing(kind="tax", path="impostos", fields=("nome", "valor", "visivel", "principal"))
PAYMENTS = Listing(kind="payment_method", path="metodos-pagamento", fields=("simbolo", "principal"))
UNITS = Listing(kind="unit", path="unidades-medida", fields=("simbolo", "visivel", "principal"))
EXEMPTIONS = Listing(kind="exemption", path="motivos-isencao", fields=("codigo",))
TYPES = Listing(kind="document_type", path="tipos-documento", fields=("tipificacao",))
ALL = (SERIES, TAXES, PAYMENTS, UNITS, EXEMPTIONS, TYPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of a list; flags are "1" or "0"."""

    id: str
    fields: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "")

    @property
    def usable(self) -> bool:
        return self["visivel"] != "0"

    @property
    def standard(self) -> bool:
        return self["principal"] == "1"

    @property
    def rate(self) -> Decimal | None:
        """A tax's value in per cent."""
        try:
            return Decimal(self["valor"])
        except InvalidOperation:
            return None


class References:
    """The cached lists of one account; `fetch` reads a path at the service and answers its JSON."""

    def __init__(self, directory: Directory, fetch: Callable[[str], Awaitable[object]]) -> None:
        self._directory = directory
        self._fetch = fetch

    async def entries(self, listing: Listing) -> tuple[Entry, ...]:
        """The list as last read; asked for if it never was."""
        stored = await self._directory.table(listing.kind)
        return _entries(stored) if stored else await self.refresh(listing)

    async def refresh(self, listing: Listing) -> tuple[Entry, ...]:
        """The list as it is now. Raises NoEffectError where the answer is no list."""
        rows = await self._fetch(listing.path)
        if not isinstance(rows, list):
            raise NoEffectError(f"{listing.path}: the answer is no list", code="billpt.unreadable")
        stored = {
            str(row["id"]): orjson.dumps({name: _text(row[name]) for name in listing.fields if name in row}).decode()
            for row in rows
            if isinstance(row, dict) and row.get("id") is not None
        }
        await self._directory.replace(listing.kind, stored)
        return _entries(stored)

    async def choose(self, listing: Listing, pick: Callable[[Sequence[Entry]], T | None]) -> T | None:
        """What `pick` finds in the list; what the cached one does not hold may have been added since."""
        stored = await self._directory.table(listing.kind)
        if stored and (chosen := pick(_entries(stored))) is not None:
            return chosen
        return pick(await self.refresh(listing))

    async def series(self, name: str) -> tuple[str, PriceMode]:
        """The id of a series, "" where none is named and the account's own default serves; how it takes prices."""
        found = await self.choose(SERIES, partial(series_of, name))
        if found is None and name:
            known = ", ".join(sorted(entry["nome"] for entry in await self.entries(SERIES)))
            raise AccountBlockedError(
                f"the account has no series {name!r}; it has {known or 'none'}",
                code="billpt.series_missing",
                fix=f"create series {name} at Bill.pt, or correct the account's [series] setting",
            )
        return found.id if found is not None and name else "", price_mode_of(found)

    async def payment(self, mechanism: str) -> str:
        """The id of the payment method of a SAF-T code."""
        found = await self.choose(PAYMENTS, partial(payment_for, mechanism))
        if found is None:
            raise RefusedError(
                f"the account has no payment method {mechanism}",
                code="billpt.payment_missing",
                fix="map the payment to a method that the account has, then retry",
            )
        return found.id

    async def unit(self) -> str:
        """The id of the default unit, for articles that the service does not know yet."""
        found = await self.choose(UNITS, standard_of)
        if found is None:
            raise AccountBlockedError(
                "the account has no unit of measure", code="billpt.unit_missing", fix="create unit UN at Bill.pt"
            )
        return found.id

    async def document_type(self, kind: DocumentKind) -> str:
        """The id of a kind of document."""
        found = await self.choose(TYPES, partial(type_of, kind))
        if found is None:
            raise AccountBlockedError(
                f"the account has no document type {kind}", code="billpt.type_missing", fix="clear it up with Bill.pt"
            )
        return found.id

    async def tax(self, rate: Decimal, region: str) -> str:
        """The id of the tax of this rate in a SAF-T region."""
        found = await self.choose(TAXES, partial(tax_for, rate, region))
        if found is None:
            shown = f"{rate.normalize():f} %"
            raise RefusedError(
                f"the account has no tax of {shown} for {region}",
                code="billpt.rate_missing",
                fix=f"create the tax of {shown} at Bill.pt, with the region's name in its own, then retry",
            )
        return found.id


def series_name(series: Mapping[str, str], kind: DocumentKind) -> str:
    """The series set for a kind of document, "" for the account's default."""
    return series.get(kind.value) or series.get("*", "")


def type_of(kind: DocumentKind, entries: Iterable[Entry]) -> Entry | None:
    return next((entry for entry in entries if entry["tipificacao"] == kind.value), None)


def series_of(name: str, entries: Sequence[Entry]) -> Entry | None:
    """The series of that name, or the account's default where none is named."""
    return series_named(name, entries) if name else standard_of(entries)


def price_mode_of(series: Entry | None) -> PriceMode:
    return PriceMode.GROSS if series is not None and series["iva_incluido"] == "1" else PriceMode.NET


def series_named(name: str, entries: Iterable[Entry]) -> Entry | None:
    return next((entry for entry in entries if entry["nome"] == name), None)


def standard_of(entries: Sequence[Entry]) -> Entry | None:
    """The account's default, else its first."""
    usable = [entry for entry in entries if entry.usable]
    return next((entry for entry in usable if entry.standard), usable[0] if usable else None)


def payment_for(mechanism: str, entries: Sequence[Entry]) -> Entry | None:
    """The payment method of a SAF-T code; accounts without "other" (OU) show a transfer."""
    by_symbol = {entry["simbolo"]: entry for entry in entries}
    return by_symbol.get(mechanism) or (by_symbol.get("TB") if mechanism == "OU" else None)


def tax_for(rate: Decimal, region: str, entries: Iterable[Entry]) -> Entry | None:
    """The tax of this rate for a SAF-T region.

    Names tell Madeira and the Azores apart, which share rates with each other (4) and had others before; a tax whose
    name tells no region serves the mainland, and an island where it has none of its own.
    """
    by_region: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.rate == rate:
            by_region.setdefault(region_of(entry["nome"]), []).append(entry)
    fitting = by_region.get(region) or by_region.get("PT") or []
    # A rate of the past is hidden at the service, but a credit note over an invoice of that time still needs it.
    return standard_of(fitting) or (fitting[0] if fitting else None)


_MADEIRA = re.compile(r"madeira|\bram\b|\bpt-ma\b")
_AZORES = re.compile(r"acores|azores|\braa\b|\bpt-ac\b")


def region_of(name: str) -> str:
    """The SAF-T region that a tax's name tells, the mainland if it tells none."""
    plain = fold(name).lower()
    if _MADEIRA.search(plain):
        return "PT-MA"
    return "PT-AC" if _AZORES.search(plain) else "PT"


def _entries(stored: Mapping[str, str]) -> tuple[Entry, ...]:
    """In the order of their ids, oldest first."""
    ids = sorted(stored, key=lambda known: (len(known), known))
    return tuple(Entry(id=known, fields=orjson.loads(stored[known])) for known in ids)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return "" if value is None else str(value)
