"""Movements of money: Shopify states them in the buyer's currency, documents need the shop's."""

from decimal import Decimal

from syncd.shops.shopify.fields import Record, money, record, text


def is_refund(move: Record) -> bool:
    return text(move.get("kind")).lower() == "refund"


def amount_in(move: Record, currency: str, where: str) -> Decimal | None:
    """A transaction's amount in the shop's currency; None where only the buyer's is told."""
    shop_money = record(record(move.get("amount_set"), where).get("shop_money"), where)
    if text(shop_money.get("currency_code")) == currency:
        return money(shop_money, "amount", where)
    return money(move, "amount", where) if text(move.get("currency")) in {currency, ""} else None
