"""What `syncd check` says of a Bill.pt account. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from syncd.domain.document import PriceMode
from syncd.domain.findings import Finding
from syncd.providers.billpt import references
from syncd.providers.billpt.references import Entry

# Reduced rate of Madeira since 2024-10, normal rate of the Azores since 2021-07: older accounts may lack them.
ISLAND_RATES = {"PT-MA": ("Madeira", "4"), "PT-AC": ("Azores", "16")}
# Export, small business, intra-community sale, reverse charge: what a shop of goods can need.
EXEMPTIONS = ("M05", "M10", "M16", "M99")

_WITH_VAT = {PriceMode.NET: "without VAT", PriceMode.GROSS: "with VAT"}


def findings(lists: Mapping[str, Sequence[Entry]], series: Mapping[str, str]) -> tuple[Finding, ...]:
    """One line for each list; only what would stop documents carries a fix."""
    return (
        *_series(lists[references.SERIES.kind], series),
        _taxes(lists[references.TAXES.kind]),
        _payments(lists[references.PAYMENTS.kind]),
        _exemptions(lists[references.EXEMPTIONS.kind]),
    )


def _series(entries: Sequence[Entry], configured: Mapping[str, str]) -> Iterator[Finding]:
    known = ", ".join(entry["nome"] for entry in entries) or "none"
    for name in sorted(set(configured.values())) or [""]:
        found = references.series_of(name, entries)
        subject = f"series {name or '(default)'}"
        if found is None:
            fix = f"create it at Bill.pt, or name one of the account's in [series]: {known}"
            yield Finding(subject=subject, message="not in the account", fix=fix)
        else:
            yield Finding(
                subject=subject, message=f"{found['nome']}, prices {_WITH_VAT[references.price_mode_of(found)]}"
            )


def _taxes(entries: Sequence[Entry]) -> Finding:
    rates = [entry for entry in entries if entry.usable and entry.rate is not None]
    if not rates:
        return Finding(subject="taxes", message="the account has none", fix="create the VAT rates at Bill.pt")
    present = {(references.region_of(entry["nome"]), f"{entry.rate:f}") for entry in rates}
    missing = [f"{name} {rate} %" for region, (name, rate) in ISLAND_RATES.items() if (region, rate) not in present]
    note = f"; not among them: {', '.join(missing)} (needed only for sales from there)" if missing else ""
    return Finding(subject="taxes", message=f"{len(rates)} rates{note}")


def _payments(entries: Sequence[Entry]) -> Finding:
    symbols = sorted(entry["simbolo"] for entry in entries if entry["simbolo"])
    if not symbols:
        return Finding(
            subject="payment methods",
            message="the account has none",
            fix="clear it up with Bill.pt: paid sales need one",
        )
    return Finding(subject="payment methods", message=", ".join(symbols))


def _exemptions(entries: Sequence[Entry]) -> Finding:
    known = {entry["codigo"] for entry in entries}
    missing = [code for code in EXEMPTIONS if code not in known]
    note = f"; not among them: {', '.join(missing)} (sales that need one would be held)" if missing else ""
    return Finding(subject="exemption reasons", message=f"{len(known)} codes{note}")
