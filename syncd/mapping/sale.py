"""The document of a sale: FR, FS or FT."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from syncd.domain.customer import Customer, CustomerKind
from syncd.domain.document import (
    Amounts,
    Covered,
    DocumentDraft,
    DocumentKey,
    DocumentKind,
    DraftLine,
    Nature,
    Reference,
    TaxTotal,
)
from syncd.domain.money import ZERO
from syncd.domain.order import Order, OrderLine, PaymentState
from syncd.domain.registers import Evidence
from syncd.mapping.amounts import Charge, Form, fiscal_amounts, fit, natural_prices, nearest
from syncd.mapping.articles import article_code, description, nature
from syncd.mapping.charges import Places, Position, charges_of, supplies_of
from syncd.mapping.currency import noted
from syncd.mapping.customers import customer_of, taxable_person
from syncd.mapping.deposits import Taken, advance, deducted
from syncd.mapping.discounts import as_listed
from syncd.mapping.payments import payment_mechanism, unknown_gateway
from syncd.mapping.policy import PaidDocument, Policy, ZeroTotal
from syncd.mapping.refusal import Undecidable
from syncd.mapping.supply import Sale
from syncd.mapping.taxes import Place, place_of_goods, place_of_services, show

LISBON = ZoneInfo("Europe/Lisbon")
AZORES = ZoneInfo("Atlantic/Azores")

FS_LIMIT = Decimal(100)
FS_RETAIL_LIMIT = Decimal(1000)

SALE = "sale"


def fiscal_day(order: Order, policy: Policy) -> date:
    """The day on which tax became due, where the seller is."""
    return order.sold_at.astimezone(zone_of(policy.ship_from)).date()


def zone_of(region: str) -> ZoneInfo:
    """The clock of a SAF-T region."""
    return AZORES if region == "PT-AC" else LISBON


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """Which part of an order a document is for: all that deposits have not taken, or `amount` as one more deposit."""

    part: str = SALE
    amount: Decimal | None = None
    taken: Taken = field(default_factory=dict)
    references: tuple[Reference, ...] = ()


WHOLE = Portion()


def sale_draft(
    order: Order, policy: Policy, accepted: frozenset[str], evidence: Evidence, *, portion: Portion = WHOLE
) -> DocumentDraft | None:
    """What this order becomes, or what came to it later; None where nothing of it is a supply.

    Undecidable where a person must decide.
    """
    sale = Sale(order=order, policy=policy, day=fiscal_day(order, policy), accepted=accepted, evidence=evidence)
    supplies = supplies_of(order, policy)
    places = places_of(sale, supplies)
    positions, amounts = _portioned(charges_of(sale, places, supplies), portion)
    free = order.total == 0 and policy.zero_total is ZeroTotal.ISSUE
    if not positions or not (free or any(position.charge.gross for position in positions)):
        return None
    charges = [position.charge for position in positions]
    gross = sum((charge.gross for charge in charges), ZERO)
    customer = customer_of(order, policy, gross, accepted)
    kind, why = _kind(order, policy, customer, positions, home=places.leading.region.startswith("PT"))
    if portion.amount is not None:
        # The money is there, whatever the order's own document will be.
        kind, why = DocumentKind.FR, "money in advance (deposits)"
    if not free and (unknown := unknown_gateway(order, policy)):
        why += f"; the payment method {unknown!r} is in no table (unknown_payment)"
    form = fitted(charges, gross, policy, kind)
    lines = draft_lines(positions, amounts, form, policy)
    return DocumentDraft(
        key=DocumentKey(policy.account, order.shop, order.id, kind, portion.part),
        customer=customer,
        lines=lines,
        taxes=tax_totals(lines),
        totals=totals_of(lines),
        expected_lines=form.lines,
        expected=form.totals,
        rounding=form.rounding,
        region=places.leading.region,
        payment="" if free or kind is DocumentKind.FT else payment_mechanism(order, policy, accepted),
        notes=noted(_notes(order, policy, sale.day), order.exchange, policy.capabilities.limits.notes, gross=gross),
        due_at=_due_at(order, policy),
        price_mode=policy.price_mode_of(kind),
        references=portion.references,
        series=policy.series.get(kind, ""),
        why=why,
        # A deposit is for the order, not for any of its lines: those may still change.
        covers=()
        if portion.amount is not None
        else tuple(Covered(line.id, line.gross, line.quantity) for line in order.lines),
        exchange=order.exchange,
    )


def _portioned(positions: Sequence[Position], portion: Portion) -> tuple[Sequence[Position], Sequence[Amounts]]:
    if portion.amount is not None:
        return advance(positions, portion.amount, portion.taken)
    if portion.taken:
        return deducted(positions, portion.taken)
    return positions, fiscal_amounts([position.charge for position in positions])


def _notes(order: Order, policy: Policy, day: date) -> str:
    return policy.notes.format(
        number=order.number, id=order.id, shop=order.shop, paid_on=day, discounts=", ".join(order.discount_codes)
    )


def _due_at(order: Order, policy: Policy) -> datetime:
    """When the document is wanted: after the shop's delay, but on the day on which tax became due."""
    since = order.sold_at
    if not policy.delay:
        return since
    local = since.astimezone(zone_of(policy.ship_from))
    last = local.replace(hour=23, minute=50, second=0, microsecond=0)
    return max(since, min(since + policy.delay, last.astimezone(since.tzinfo)))


def taxed_elsewhere(
    order: Order, policy: Policy, accepted: frozenset[str], evidence: Evidence
) -> tuple[OrderLine, ...]:
    """The services of an order that are taxed in another region than its goods: one document has one region."""
    services = tuple(line for line in supplies_of(order, policy) if nature(line, policy) is Nature.SERVICE)
    if not services or len(services) == len(supplies_of(order, policy)):
        return ()
    sale = Sale(order=order, policy=policy, day=fiscal_day(order, policy), accepted=accepted, evidence=evidence)
    business = taxable_person(order, policy, accepted)
    same = place_of_goods(sale).region == place_of_services(sale, business=business).region
    return () if same else services


def leading_place(order: Order, policy: Policy, accepted: frozenset[str], evidence: Evidence) -> Place:
    """Where what leads in an order is taxed: shipping, fees and discounts follow it."""
    sale = Sale(order=order, policy=policy, day=fiscal_day(order, policy), accepted=accepted, evidence=evidence)
    return places_of(sale, supplies_of(order, policy)).leading


def places_of(sale: Sale, supplies: Sequence[OrderLine]) -> Places:
    """Where goods and services are taxed; one document has one region, so two of them are two documents."""
    natures = {nature(line, sale.policy) for line in supplies}
    goods = place_of_goods(sale) if Nature.GOODS in natures or not natures else None
    if Nature.SERVICE not in natures:
        return Places(goods, None)
    business = taxable_person(sale.order, sale.policy, sale.accepted)
    services = place_of_services(sale, business=business)
    if goods is not None and goods.region != services.region:
        raise Undecidable(
            "several_regions",
            f"the goods are taxed in {goods.region} ({goods.rule}), the services in {services.region} "
            f"({services.rule}), and one document has one region",
            fix="invoice the deposit by hand, one document for each region, and skip the order",
        )
    return Places(goods, services)


def fitted(charges: Sequence[Charge], gross: Decimal, policy: Policy, kind: DocumentKind) -> Form:
    """The form in which the service arrives at `gross`; Undecidable names the nearest figure where there is none."""
    decimals, mode = policy.capabilities.limits.price_decimals, policy.price_mode_of(kind)
    prices = natural_prices(charges, decimals=decimals, mode=mode)
    form = fit(prices, gross, arithmetic=policy.arithmetic, able=policy.capabilities)
    if form is None:
        raise Undecidable(
            "no_exact_form",
            f"the service would show {nearest(prices, policy.arithmetic)} where {gross} was paid",
            fix="invoice by hand and skip the order",
        )
    if any(charge.listed for charge in charges):
        return as_listed(form, charges, arithmetic=policy.arithmetic, able=policy.capabilities)
    return form


def draft_lines(
    positions: Sequence[Position], amounts: Sequence[Amounts], form: Form, policy: Policy
) -> tuple[DraftLine, ...]:
    """Document lines; shipping that stands at several rates gets a code for each."""
    articles = [article_code(position.line, policy) for position in positions]
    rates: dict[tuple[str, str], set[Decimal]] = {}
    for position, (code, _) in zip(positions, articles, strict=True):
        rates.setdefault((position.line.id, code), set()).add(position.charge.rate)
    return tuple(
        DraftLine(
            line_id=position.line.id,
            code=code if len(rates[position.line.id, code]) == 1 else f"{code}-{show(position.charge.rate)}",
            description=description(position.line, policy),
            nature=nature(position.line, policy),
            quantity=price.quantity,
            unit_price=price.unit_price,
            discount=price.discounts[0] if price.discounts else ZERO,
            successive=price.discounts[1:],
            vat_rate=position.charge.rate,
            exemption=position.charge.exemption,
            net=amount.net,
            tax=amount.tax,
            gross=amount.gross,
            why=f"{position.why} {source}",
        )
        for position, (code, source), price, amount in zip(positions, articles, form.prices, amounts, strict=True)
    )


def tax_totals(lines: Iterable[DraftLine]) -> tuple[TaxTotal, ...]:
    """Base and tax per rate and exemption, in the order of their first line."""
    sums: dict[tuple[Decimal, str | None], tuple[Decimal, Decimal]] = {}
    for line in lines:
        base, tax = sums.get((line.vat_rate, line.exemption), (ZERO, ZERO))
        sums[line.vat_rate, line.exemption] = base + line.net, tax + line.tax
    return tuple(
        TaxTotal(rate=rate, exemption=exemption, base=base, tax=tax) for (rate, exemption), (base, tax) in sums.items()
    )


def totals_of(lines: Iterable[DraftLine]) -> Amounts:
    """Sums of the lines' fiscal amounts."""
    net = tax = ZERO
    for line in lines:
        net += line.net
        tax += line.tax
    return Amounts(net=net, tax=tax, gross=net + tax)


def _kind(
    order: Order, policy: Policy, customer: Customer, positions: Sequence[Position], *, home: bool
) -> tuple[DocumentKind, str]:
    """The kind of document and why it is that, in words."""
    if order.payment is not PaymentState.PAID:
        return DocumentKind.FT, "not paid yet (unpaid_document)"
    if policy.paid_document is PaidDocument.FT_RC:
        return DocumentKind.FT, "an invoice and its receipt (paid_document)"
    if policy.paid_document is not PaidDocument.FS:
        return DocumentKind.FR, "paid (paid_document)"
    if home and _simplified(policy, customer, positions):
        return DocumentKind.FS, "within the limits of CIVA art. 40 (paid_document)"
    return DocumentKind.FR, "paid, and beyond what CIVA art. 40 allows an FS (paid_document)"


def _simplified(policy: Policy, customer: Customer, positions: Sequence[Position]) -> bool:
    """Whether the law and the service allow an FS; in doubt FR, which always is."""
    if any(position.charge.exemption for position in positions) and not policy.capabilities.exempt_simplified:
        return False
    if policy.regime == "art53":
        return True
    gross = sum((position.charge.gross for position in positions), ZERO)
    if gross <= FS_LIMIT:
        return True
    # Shipping is a service by its article: above 100 EUR a service may refuse it on an FS.
    goods_only = all(nature(position.line, policy) is Nature.GOODS for position in positions)
    consumer = customer.kind is not CustomerKind.COMPANY
    return policy.retailer and consumer and goods_only and gross <= FS_RETAIL_LIMIT
