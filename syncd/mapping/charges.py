"""An order's lines as what a document must charge: rate, exemption and gross of each, discounts worked in."""

from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal

from syncd.domain.document import Nature
from syncd.domain.money import ZERO
from syncd.domain.order import LineKind, Order, OrderLine
from syncd.mapping import tables
from syncd.mapping.amounts import HUNDRED, ONE, Charge, Listed, share
from syncd.mapping.articles import matching, nature
from syncd.mapping.policy import GiftCards, NonSupply, Policy
from syncd.mapping.refusal import Undecidable
from syncd.mapping.supply import Sale
from syncd.mapping.taxes import Place, charged_rates, check_tax, lawful_rate, show, tax_inside
from syncd.mapping.texts import folded

NOT_SUBJECT = "M99"
GIFT_PRICE = Decimal("0.0001")
# Codes that speak of where the buyer is: in a table of articles they count only for buyers abroad.
ABROAD = frozenset({"M05", "M06", "M16", "M40", "M41", "M42", "M43", "M44", "M45", "M46"})


@dataclass(frozen=True, slots=True)
class Position:
    """A charge and the order line that it comes from; a line with several rates makes several positions.

    `why` are the codes of the rule that gave rate or exemption and of the place of supply.
    """

    line: OrderLine
    charge: Charge
    why: str


@dataclass(frozen=True, slots=True)
class Places:
    """Where the goods and the services of one order are taxed; None where it has none of them."""

    goods: Place | None
    services: Place | None

    @property
    def leading(self) -> Place:
        """The place that shipping and fees follow."""
        place = self.goods or self.services
        assert place is not None
        return place

    def of(self, what: Nature) -> Place:
        place = self.services if what is Nature.SERVICE else self.goods
        assert place is not None
        return place


def supplies_of(order: Order, policy: Policy) -> tuple[OrderLine, ...]:
    """The lines that sell something and stand on a document; shipping, fees, tips and discounts are not among them."""
    kinds = {LineKind.ARTICLE}
    if policy.gift_cards is GiftCards.SINGLE_PURPOSE:
        kinds.add(LineKind.GIFT_CARD)
    return tuple(
        line
        for line in order.lines
        if line.kind in kinds and line.gross >= 0 and (line.gross or line.list_gross) and not _outside_vat(line, policy)
    )


def charges_of(sale: Sale, places: Places, supplies: tuple[OrderLine, ...]) -> tuple[Position, ...]:
    """Positions whose gross amounts add up to what the order's document must show.

    Gift cards and tips may be left out by policy. Undecidable where the tax of a line cannot be decided.
    """
    order, policy = sale.order, sale.policy
    reader = _Reader(sale, places)
    positions = [position for line in supplies for position in reader.article(line)]
    goods = reader.weights(positions)
    for line in order.lines:
        if left_out(line, policy) or not (line.gross or line.list_gross):
            continue  # a line that costs nothing and never did (free shipping) says nothing
        if line.gross < 0:
            positions = reader.discount(line, positions)
        elif _outside_vat(line, policy):
            charge = Charge(line.quantity, line.gross, ZERO, NOT_SUBJECT)
            positions.append(Position(line, charge, f"non_supply {places.leading.code}"))
        elif line.kind in {LineKind.SHIPPING, LineKind.FEE}:
            positions.extend(reader.accessory(line, goods))
    _check_sum(order, positions, left_out_of(order, policy))
    return tuple(positions)


def left_out_of(order: Order, policy: Policy) -> Decimal:
    """What of the order's total is deliberately on no document: gift cards sold, tips."""
    return sum((line.gross for line in order.lines if left_out(line, policy)), ZERO)


def left_out(line: OrderLine, policy: Policy) -> bool:
    """Whether policy keeps a line off the document."""
    if line.kind is LineKind.GIFT_CARD:
        return policy.gift_cards is GiftCards.MULTI_PURPOSE
    return policy.non_supply is NonSupply.LEAVE_OUT and _outside_vat(line, policy)


def parts_of_discount(line: OrderLine, place: Place) -> list[tuple[Decimal, Decimal, Decimal]] | None:
    """The rates that a negative line lowers, with its (negative) gross and net at each; None where its VAT does not tell."""
    taxed = [(rate, abs(tax)) for rate, tax in charged_rates(line, place) if rate and tax]
    # Each tax tells the part of the fee that it was charged on, as far as a rounded tax can.
    nets = [tax * HUNDRED / rate for rate, tax in taxed]
    doubt = Decimal("0.02") + sum((HUNDRED / rate * Decimal("0.005") for rate, _ in taxed), ZERO)
    if not taxed and place.exempt:
        taxed, nets = [(ZERO, ZERO)], [-line.net]
    if not taxed or abs(sum(nets, ZERO) + line.net) > doubt:
        return None
    grosses = share(line.gross, [net + tax for net, (_, tax) in zip(nets, taxed, strict=True)])
    return [(rate, gross, net) for (rate, _), gross, net in zip(taxed, grosses, share(line.net, nets), strict=True)]


def _outside_vat(line: OrderLine, policy: Policy) -> bool:
    """Tips, donations by their names and multi-purpose gift cards: nothing is supplied for that money."""
    if line.kind is LineKind.GIFT_CARD:
        return policy.gift_cards is not GiftCards.SINGLE_PURPOSE
    if line.kind is LineKind.TIP:
        return line.gross >= 0
    if not policy.non_supply_names or line.gross <= 0 or line.gross != line.net:
        return False
    return line.kind is not LineKind.SHIPPING and folded(line.name) in policy.non_supply_names


def _check_sum(order: Order, positions: list[Position], left_out: Decimal) -> None:
    charged = sum((position.charge.gross for position in positions), ZERO)
    if charged + left_out != order.total:
        raise Undecidable(
            "sum_mismatch",
            f"the lines come to {charged + left_out}, the order's total is {order.total}",
            fix="look for a gift card, deposit or surcharge that the shop keeps outside the lines; invoice by hand",
        )


class _Reader:
    """What is the same for every line of one order."""

    def __init__(self, sale: Sale, places: Places) -> None:
        self._order = sale.order
        self._policy = sale.policy
        self._places = places
        self._leading = places.leading
        self._accepted = sale.accepted

    def article(self, line: OrderLine) -> list[Position]:
        """An article bears one rate, or an exemption that the place gives."""
        if line.quantity <= 0:
            raise Undecidable(
                "bad_quantity",
                f"{line.name!r} has the quantity {line.quantity}",
                fix="correct the order in the shop",
            )
        place = self._places.of(nature(line, self._policy))
        taxed = [(rate, tax) for rate, tax in charged_rates(line, place) if rate]
        if len(taxed) > 1:
            raise Undecidable(
                "several_taxes",
                f"{line.name!r} bears several taxes: {', '.join(show(rate) + ' %' for rate, _ in taxed)}",
                fix="a Portuguese document line has one rate; correct the shop's tax settings or invoice by hand",
            )
        if not taxed:
            return [self._untaxed(line, place)]
        rate, tax = taxed[0]
        self._check_exemption(line, rate, place)
        lawful = lawful_rate(rate, line, place, self._policy, self._accepted)
        if line.gross:
            check_tax(line, rate, tax, line.gross)
        return [self._taxed(line, lawful, rate, place)]

    def accessory(self, line: OrderLine, goods: dict[tuple[Decimal, str | None], Decimal]) -> list[Position]:
        """Shipping and fees: what the shop charged, unless that is less than the goods' own rates ask for."""
        rates = charged_rates(line, self._leading)
        charged = sum((tax for rate, tax in rates if rate), ZERO)
        by_goods = list(goods.items())
        due = sum((tax_inside(line.gross, rate) * part for (rate, _), part in by_goods), ZERO)
        enough = charged + Decimal("0.01") >= due
        if by_goods and (self._policy.shipping_follows_goods or not enough or (not charged and due == 0)):
            parts = share(line.gross, [part for _, part in by_goods])
            return [
                Position(
                    self._part(line, gross),
                    Charge(line.quantity, gross, rate, exemption),
                    f"goods {self._leading.code}",
                )
                for ((rate, exemption), _), gross in zip(by_goods, parts, strict=True)
                if gross
            ]
        return self._as_charged(line, rates)

    def discount(self, line: OrderLine, positions: list[Position]) -> list[Position]:
        """A negative fee lowers the positions of its own rates; without VAT it may be a means of payment: a person."""
        parts = parts_of_discount(line, self._leading)
        if parts is None:
            raise self._no_discount(line)
        for rate, gross, net in parts:
            positions = self._lowered(line, rate, (gross, net), positions)
        return positions

    def _lowered(
        self, line: OrderLine, rate: Decimal, amount: tuple[Decimal, Decimal], positions: list[Position]
    ) -> list[Position]:
        """Positions of one rate less a (negative) gross and net amount, in proportion to what was paid for each."""
        targets = [at for at, position in enumerate(positions) if position.charge.rate == rate]
        paid = [positions[at].charge.gross for at in targets]
        if sum(paid, ZERO) + amount[0] < 0:
            raise self._no_discount(line)
        lowered = list(positions)
        for at, gross, net in zip(targets, share(amount[0], paid), share(amount[1], paid), strict=True):
            lowered[at] = self._less(positions[at], gross, net) if gross else positions[at]
        return lowered

    def _less(self, position: Position, gross: Decimal, net: Decimal) -> Position:
        """A position with less to pay; one with nothing left is given away, since a price of zero is no price."""
        charge = position.charge
        before = charge.net if charge.net is not None else charge.gross / (ONE + charge.rate / HUNDRED)
        left = charge.gross + gross
        given = None if left else (before / charge.quantity).quantize(GIFT_PRICE)
        shown = Listed(before, charge.gross, ()) if left and self._policy.show_discounts else None
        lowered = replace(
            charge,
            gross=left,
            net=None if charge.net is None else charge.net + net,
            list_price=given,
            listed=(charge.listed or shown) if left else None,
        )
        return replace(position, charge=lowered)

    @staticmethod
    def _no_discount(line: OrderLine) -> Undecidable:
        return Undecidable(
            "negative_fee",
            f"{line.name!r} of {line.gross} is no discount on the lines of its VAT rates",
            fix="if it is a gift card or deposit, invoice by hand; else give the fee the tax of the goods it lowers",
        )

    def weights(self, positions: list[Position]) -> dict[tuple[Decimal, str | None], Decimal]:
        """The share of each rate in what was paid for the goods."""
        paid: dict[tuple[Decimal, str | None], Decimal] = defaultdict(lambda: ZERO)
        for position in positions:
            if position.charge.exemption == NOT_SUBJECT:
                continue
            paid[position.charge.rate, position.charge.exemption] += position.charge.gross
        total = sum(paid.values(), ZERO)
        return {key: gross / total for key, gross in paid.items() if gross} if total else {}

    def _as_charged(self, line: OrderLine, rates: tuple[tuple[Decimal, Decimal], ...]) -> list[Position]:
        taxed = [(rate, tax) for rate, tax in rates if rate and tax]
        if not taxed:
            return [self._untaxed(line, self._leading)]
        lawful = [lawful_rate(rate, line, self._leading, self._policy, self._accepted) for rate, _ in taxed]
        if len(taxed) == 1:
            check_tax(line, taxed[0][0], taxed[0][1], line.gross)
            return [self._taxed(line, lawful[0], taxed[0][0], self._leading)]
        # One document line has one rate: each tax tells the part of the line that it was charged on.
        parts = share(line.gross, [tax * (HUNDRED / rate + ONE) for rate, tax in taxed])
        return [
            Position(self._part(line, gross), Charge(line.quantity, gross, rate, None), f"shop {self._leading.code}")
            for rate, gross in zip(lawful, parts, strict=True)
            if gross
        ]

    def _taxed(self, line: OrderLine, lawful: Decimal, charged: Decimal, place: Place) -> Position:
        rule = "law" if lawful != charged else "shop" if lawful in place.rates else "accepted"
        net = line.net if lawful == charged and not self._order.prices_include_tax else None
        return Position(
            line,
            Charge(
                line.quantity,
                line.gross,
                lawful,
                None,
                net,
                list_price=_list_price(line, lawful),
                listed=self._listed(line, lawful, agreed=net is not None),
            ),
            f"{rule} {place.code}",
        )

    def _untaxed(self, line: OrderLine, place: Place) -> Position:
        if line.kind is LineKind.GIFT_CARD and self._policy.gift_card_rate is not None and not place.exempt:
            rate = lawful_rate(self._policy.gift_card_rate, line, place, self._policy, self._accepted)
            return Position(line, Charge(line.quantity, line.gross, rate, None), f"voucher {place.code}")
        exemption, rule = place.exemption, "place"
        mapped = matching(line, self._policy.exemptions)
        code = self._policy.exemptions.get(mapped, "")
        if code and (not exemption or code == NOT_SUBJECT):
            exemption, rule = self._mapped(line, code, place), f"map:{mapped}"
        rate = ZERO
        if not exemption:
            if line.gross:
                raise Undecidable(
                    "untaxed_line",
                    f"{line.name!r} bears no VAT, and nothing says why ({place.rule})",
                    fix="give it a tax class in the shop, name its exemption in the shop's settings, "
                    "or invoice by hand and skip the order",
                )
            # Given away without a rate: any rate makes nothing of nothing, and a rate needs no exemption.
            rate, rule = max(place.rates), "gift"
        charge = Charge(
            line.quantity,
            line.gross,
            rate,
            exemption or None,
            list_price=_list_price(line, rate),
            listed=self._listed(line, rate, agreed=False),
        )
        return Position(line, charge, f"{rule} {place.code}")

    def _mapped(self, line: OrderLine, code: str, place: Place) -> str:
        """The exemption that the settings name for this line, if it may stand on this day and for this buyer."""
        if not tables.exemption_in_force(code, place.day):
            raise Undecidable(
                "exemption_not_in_force",
                f"{line.name!r} is mapped to {code}, which is not in force on {place.day} "
                f"(table {tables.exemption_table_version()})",
                fix="correct exemptions in the shop's settings",
            )
        if code in ABROAD and (self._order.buyer.billing.country or "PT") == "PT":
            raise Undecidable(
                "untaxed_line",
                f"{line.name!r} bears no VAT; {code} is for buyers abroad, and this one is in Portugal",
                fix="give it a tax class in the shop, or invoice by hand and skip the order",
            )
        return code

    def _check_exemption(self, line: OrderLine, rate: Decimal, place: Place) -> None:
        """An article that the settings call exempt must not bear VAT: one of the two is wrong."""
        code = self._policy.exemptions.get(matching(line, self._policy.exemptions), "")
        if code and code not in ABROAD and not place.exempt and "exempt_but_taxed" not in self._accepted:
            raise Undecidable(
                "exempt_but_taxed",
                f"{line.name!r} is mapped to {code}, but the shop charged {show(rate)} %",
                fix="correct the tax class in the shop or exemptions in its settings, or release the order to follow "
                "the shop",
            )

    def _listed(self, line: OrderLine, rate: Decimal, *, agreed: bool) -> Listed | None:
        """A line as the shop prices it: with its discounts where they are to be shown, by its own unit price if told.

        None for what is given away, and where the price after discount is all that there is to show. `agreed` nets stand.
        """
        discounted, factor = line.gross < line.list_gross, ONE + rate / HUNDRED
        if line.gross <= 0 or (discounted and not self._policy.show_discounts):
            return None
        if line.unit_price is not None:
            told = line.quantity * line.unit_price
            net, gross = (told / factor, told) if self._order.prices_include_tax else (told, told * factor)
            return Listed(net, gross, line.discounts[:-1])
        if not discounted:
            return None
        return Listed(line.list_net if agreed else line.list_gross / factor, line.list_gross, line.discounts[:-1])

    @staticmethod
    def _part(line: OrderLine, gross: Decimal) -> OrderLine:
        return line if gross == line.gross else replace(line, gross=gross)


def _list_price(line: OrderLine, rate: Decimal) -> Decimal | None:
    """Net, per unit, of what is given away; None for what is paid."""
    if line.gross:
        return None
    list_price = line.list_net / line.quantity
    if not line.list_net:
        list_price = line.list_gross / (ONE + rate / HUNDRED) / line.quantity
    return list_price.quantize(GIFT_PRICE)
