"""Why a line is as it is, in words: the codes that the planner left on it, resolved for people.

A draft keeps codes only ("shop transport:PT:2011-01-01 sku"), so that planning stays fast; words are made when asked.
"""

from datetime import date

from syncd.domain.document import DraftLine
from syncd.mapping import tables

RATES = {
    "shop": "charged by the shop",
    "law": "the law's rate, taken out of what was paid, where the shop charged another",
    "accepted": "charged by the shop, not a rate of the place of supply: a person or the settings follow the shop",
    "goods": "follows the goods that it comes with",
    "voucher": "a voucher for a single purpose is the sale itself, at its rate (gift_card_vat)",
    "gift": "given away, so that any rate makes nothing of nothing",
    "non_supply": "nothing is supplied for it",
    "place": "nothing may bear VAT",
}
PLACES = {
    "transport": "goods start in {region} (fiscal rule: transport)",
    "seller": "services of a seller in {region} (fiscal rule: seller's place)",
    "customer": "services to a taxable person in {region} (fiscal rule: customer's place)",
    "oss": "consumer in {region} (fiscal rule: One Stop Shop)",
    "export": "goods leave the EU VAT territory (fiscal rule: export)",
    "intra_eu": "goods go to a taxable person in another member state (fiscal rule: intra-Community supply)",
    "reverse_charge": "service to a company abroad, which pays the tax itself (fiscal rule: customer's place)",
    "art53": "seller under the small-business exemption (fiscal rule: regime)",
}
ARTICLES = {
    "map": "article by the shop's settings",
    "sku": "article by its SKU",
    "kind": "article by its kind",
    "name": "article by its name, since it has no SKU",
}


def why(line: DraftLine) -> str:
    """The reasons of a line's rate or exemption, place and article, in one sentence; "" for a line without codes."""
    try:
        rate, (place, region, since), article = _codes(line.why)
    except ValueError:
        return ""
    parts = [f"{_figure(line)}: {_rate(rate)}"]
    if since and not line.exemption and rate not in {"accepted", "gift"}:
        parts.append(f"in force in {region} since {date.fromisoformat(since)}")
    if line.exemption:
        parts.append(f"“{tables.exemption_mention(line.exemption)}”, codes of {tables.exemption_table_version()}")
    said = f"{', '.join(parts)}; {PLACES.get(place, place).format(region=region)}; {ARTICLES.get(article, article)}"
    return said if line.original is None else f"as on the document that it corrects: {said}"


def _codes(text: str) -> tuple[str, tuple[str, str, str], str]:
    # The key of a table of the settings may hold blanks, so the codes are read from the end.
    rate, place, article = text.rsplit(" ", 2)
    name, region, since = place.split(":")
    return rate, (name, region, since), article


def _figure(line: DraftLine) -> str:
    return line.exemption or f"{line.vat_rate.normalize():f} %"


def _rate(code: str) -> str:
    if code.startswith("map:"):
        return f"the shop's settings say so of {code.removeprefix('map:')!r}"
    return RATES.get(code, code)
