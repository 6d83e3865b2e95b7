"""Where a sale is taxed, which rates the law has there, and whether the shop charged one of them.

The shop's own tax is followed where it is one of the rates in force at the place of supply; a document never takes a
rate from a product's name. What the shop did not tax needs a reason in law, else the order waits for a person.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache

from syncd.domain.money import ZERO, cents
from syncd.domain.order import Address, Order, OrderLine
from syncd.mapping import tables
from syncd.mapping.amounts import HUNDRED, ONE
from syncd.mapping.businesses import CORRECT_SHOP, check_business
from syncd.mapping.policy import Policy, RatePolicy
from syncd.mapping.refusal import Undecidable
from syncd.mapping.supply import Sale

TAXED_AS = {"MC": "FR"}  # inside the EU VAT territory without being a member state


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place of supply: SAF-T region, the rates in force, and the exemption of what bears no VAT ("" if none may).

    `exempt` says that nothing may bear VAT there. `rule` names the reason in words, for people; `code` names it, the
    region and since when its rates are in force, for the trail.
    """

    region: str
    day: date
    rates: frozenset[Decimal]
    exemption: str = ""
    exempt: bool = False
    rule: str
    code: str


def destination(order: Order) -> Address:
    """Where the goods go; without an address, to the seller's own country."""
    shipping = order.buyer.shipping
    return shipping if shipping is not None and shipping.country else order.buyer.billing


def place_of_goods(sale: Sale) -> Place:
    """Where goods are taxed: where their transport starts, except under the One Stop Shop and abroad."""
    order, policy, day = sale.order, sale.policy, sale.day
    to = destination(order)
    country = TAXED_AS.get(to.country, to.country) or "PT"
    outside = _outside_territory(country, to.postcode)
    if policy.regime == "art53":
        if outside:
            raise Undecidable(
                "art53_export",
                f"a seller under the small-business exemption cannot export, but the goods go to {country}",
                fix="ask the accountant; skip the order if it is invoiced elsewhere",
            )
        return _exempt(policy.ship_from, day, "M10", "art53", "small-business exemption")
    if country == "PT":
        return _transport(policy.ship_from, day)
    if outside:
        return _exempt(policy.ship_from, day, "M05", "export", f"export to {outside}")
    if _untaxed(order):
        check_business(sale, country)
        return _exempt(policy.ship_from, day, "M16", "intra_eu", "intra-Community supply, number confirmed")
    return _one_stop_shop(country, day) if policy.oss else _transport(policy.ship_from, day)


def place_of_services(sale: Sale, *, business: bool) -> Place:
    """Where services are taxed: at the customer's if that is a taxable person, else where the seller is.

    `business` says that the buyer gave a company's tax number.
    """
    order, policy, day = sale.order, sale.policy, sale.day
    billing = order.buyer.billing
    country = billing.country or destination(order).country or "PT"
    country = TAXED_AS.get(country, country)
    if policy.regime == "art53":
        return _exempt(policy.region, day, "M10", "art53", "small-business exemption")
    if country == "PT":
        if not business:
            return _established(policy.region, day)
        region = tables.portuguese_region(billing.postcode)
        if not region:
            raise Undecidable(
                "region_unknown",
                f"the postcode {billing.postcode!r} does not tell the region that decides the rate of a service",
                fix="correct the billing postcode in the shop",
            )
        return _customers_region(region, day)
    member = tables.is_member_state(country) and not _outside_territory(country, billing.postcode)
    if _untaxed(order):
        if member:
            check_business(sale, country)
        if member or business:
            return _exempt(policy.region, day, "M40", "reverse_charge", f"service to a company in {country}")
    if member and policy.oss and not business:
        return _one_stop_shop(country, day)
    return _established(policy.region, day)


@lru_cache(maxsize=256)
def _transport(region: str, day: date) -> Place:
    return _at_home(region, day, "transport", f"goods start in {region}")


@lru_cache(maxsize=256)
def _established(region: str, day: date) -> Place:
    return _at_home(region, day, "seller", f"services of a seller in {region}")


@lru_cache(maxsize=256)
def _customers_region(region: str, day: date) -> Place:
    return _at_home(region, day, "customer", f"services to a taxable person in {region}")


def _at_home(region: str, day: date, code: str, rule: str) -> Place:
    since = tables.rates_since(region, day)
    rates = tables.portuguese_rates(region, day)
    return Place(region=region, day=day, rates=rates, rule=rule, code=f"{code}:{region}:{since}")


@lru_cache(maxsize=1024)
def _one_stop_shop(country: str, day: date) -> Place:
    return Place(
        region=country,
        day=day,
        rates=tables.eu_rates(country, day),
        rule=f"One Stop Shop, rates of {country}",
        code=f"oss:{country}:{tables.rates_since(country, day)}",
    )


@lru_cache(maxsize=1024)
def _exempt(region: str, day: date, exemption: str, code: str, rule: str) -> Place:
    return Place(
        region=region,
        day=day,
        rates=frozenset({ZERO}),
        exemption=exemption,
        exempt=True,
        rule=rule,
        code=f"{code}:{region}:",
    )


def charged_rates(line: OrderLine, place: Place) -> tuple[tuple[Decimal, Decimal], ...]:
    """The rates that the shop charged on a line with the tax of each; empty if it charged none."""
    found: list[tuple[Decimal, Decimal]] = []
    for tax in line.taxes:
        if tax.rate is None:
            if tax.amount:
                found.append((_nearest_rate(line, tax.amount, place), tax.amount))
        elif tax.rate or not tax.amount:
            found.append((tax.rate, tax.amount))
    if not line.taxes and line.gross != line.net:
        found.append((_nearest_rate(line, line.gross - line.net, place), line.gross - line.net))
    return tuple(found)


def lawful_rate(rate: Decimal, line: OrderLine, place: Place, policy: Policy, accepted: frozenset[str]) -> Decimal:
    """The rate for the document where the shop charged `rate`."""
    if rate in place.rates:
        return rate
    law = _same_class(rate, place)
    if policy.on_rate_mismatch is RatePolicy.FOLLOW_LAW and law is not None:
        return law
    if policy.on_rate_mismatch is RatePolicy.FOLLOW_SHOP or "vat_rate_mismatch" in accepted:
        return rate
    if place.exempt:
        raise Undecidable(
            "export_with_tax",
            f"{line.name!r}: the shop charged {show(rate)} % but no VAT is due ({place.rule})",
            fix=f"{CORRECT_SHOP} refund the tax to the buyer and release the order",
        )
    due = f"{show(law)} %" if law is not None else " or ".join(f"{show(r)} %" for r in sorted(place.rates))
    raise Undecidable(
        "vat_rate_mismatch",
        f"{line.name!r}: the shop charged {show(rate)} %, the law asks for {due} ({place.rule})",
        fix=f"{CORRECT_SHOP} set on_rate_mismatch, or release the order to follow the shop",
    )


def check_tax(line: OrderLine, rate: Decimal, tax: Decimal, gross: Decimal) -> None:
    """Hold where the tax that the shop charged is not what its rate gives, beyond rounding per unit."""
    due = gross * rate / (HUNDRED + rate)
    tolerance = Decimal("0.02") + Decimal("0.005") * min(abs(line.quantity), HUNDRED)
    if abs(due - tax) > tolerance:
        raise Undecidable(
            "tax_contradiction",
            f"{line.name!r}: {show(rate)} % inside {gross} would be {cents(due)}, the shop says {tax}",
            fix="look at the order in the shop; if its tax is right there, skip it and invoice by hand",
        )


def tax_inside(gross: Decimal, rate: Decimal) -> Decimal:
    """The exact tax contained in a gross amount."""
    return gross * rate / (HUNDRED + rate)


def show(rate: Decimal) -> str:
    """A rate without needless zeros: 23, 5.5."""
    return f"{rate.normalize():f}"


def _outside_territory(country: str, postcode: str) -> str:
    """The name of the place outside the EU VAT territory where the goods go, or ''."""
    if country == "GB" and postcode.strip().upper().startswith("BT"):
        raise Undecidable(
            "northern_ireland",
            "goods for Northern Ireland follow the EU's rules with the United Kingdom's rates",
            fix="invoice this order by hand and skip it",
        )
    if not tables.is_member_state(country):
        return country
    compact = postcode.replace(" ", "")
    for territory in tables.territories(country):
        if territory.outside and territory.postcode.match(compact):
            return territory.name
    return ""


def _untaxed(order: Order) -> bool:
    return not any(tax.amount for line in order.lines for tax in line.taxes) and all(
        line.gross == line.net for line in order.lines
    )


def _nearest_rate(line: OrderLine, tax: Decimal, place: Place) -> Decimal:
    """The one rate of the place that gives this tax within rounding; a shop that tells no rate leaves only this."""
    fitting = [rate for rate in place.rates if abs(cents(line.net * rate / HUNDRED) - tax) <= Decimal("0.01")]
    if len(fitting) == 1:
        return fitting[0]
    if line.net:
        return cents(tax / line.net * HUNDRED)
    return ONE


def _same_class(rate: Decimal, place: Place) -> Decimal | None:
    """The place's rate of the same class (normal, intermediate, reduced) as a rate of another Portuguese region."""
    if len(place.rates) != 3:
        return None
    for region in tables.PORTUGAL:
        ranked = sorted(tables.portuguese_rates(region, place.day))
        if rate in ranked:
            return sorted(place.rates)[ranked.index(rate)]
    return None
