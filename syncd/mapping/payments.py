"""How it was paid, in SAF-T's words."""

from decimal import Decimal
from functools import lru_cache

from syncd.domain.money import ZERO
from syncd.domain.order import Order, Payment
from syncd.mapping.policy import GiftCards, Policy
from syncd.mapping.refusal import Undecidable
from syncd.mapping.tables import payment_patterns
from syncd.mapping.texts import clean, fold


def payment_mechanism(order: Order, policy: Policy, accepted: frozenset[str]) -> str:
    """The mechanism of the largest payment, the first of equal ones: a document takes one."""
    if not order.payments:
        return policy.unknown_payment if policy.unknown_payment != "hold" else "OU"
    return mechanism_of(_largest(order.payments), policy, accepted)


def mechanism_of(payment: Payment, policy: Policy, accepted: frozenset[str]) -> str:
    """The merchant's map first, then the table of gateways, then the setting for unknown ones."""
    gateway = payment.gateway
    if gateway in policy.payments:
        return policy.payments[gateway]
    known = _by_pattern(_normal(gateway))
    if known:
        return known
    if policy.unknown_payment != "hold" or "unknown_payment" in accepted:
        return policy.unknown_payment if policy.unknown_payment != "hold" else "OU"
    raise Undecidable(
        "unknown_payment",
        f"no SAF-T mechanism is known for the payment method {gateway!r}",
        fix="map it under payments in the shop's settings, or release the order to issue it as OU",
    )


def spent_vouchers(order: Order, policy: Policy) -> tuple[Decimal, tuple[Payment, ...]]:
    """What was paid with single-purpose vouchers, whose sale was the sale, and the other payments."""
    if policy.gift_cards is not GiftCards.SINGLE_PURPOSE:
        return ZERO, order.payments
    spent = [payment for payment in order.payments if _is_voucher(payment, policy)]
    others = tuple(payment for payment in order.payments if payment not in spent)
    return sum((payment.amount.amount for payment in spent), ZERO), others


def _is_voucher(payment: Payment, policy: Policy) -> bool:
    """Store credit is a means of payment as money is: its return was credited."""
    code = policy.payments.get(payment.gateway) or _by_pattern(_normal(payment.gateway))
    return code == "CO" and "credit" not in _normal(payment.gateway)


def unknown_gateway(order: Order, policy: Policy) -> str:
    """The name of the order's means of payment where neither the merchant's map nor the table knows it, else ''."""
    if not order.payments:
        return ""
    gateway = _largest(order.payments).gateway
    return "" if gateway in policy.payments or _by_pattern(_normal(gateway)) else gateway


def _largest(payments: tuple[Payment, ...]) -> Payment:
    return max(payments, key=lambda payment: payment.amount.amount)


@lru_cache(maxsize=1024)
def _by_pattern(gateway: str) -> str:
    return next((code for part, code in payment_patterns() if part in gateway), "")


@lru_cache(maxsize=1024)
def _normal(gateway: str) -> str:
    return fold(clean(gateway)).lower()
