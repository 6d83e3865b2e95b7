"""Which article a line sells: a code that is the same for the same thing, and whether it is goods or a service."""

from collections.abc import Collection

from syncd.domain.document import Nature
from syncd.domain.order import LineKind, OrderLine
from syncd.mapping.policy import Policy
from syncd.mapping.texts import clean, code_of, fingerprint, shorten

TIP_CODE = "GORJETA"
GIFT_CARD_CODE = "VALE"


def article_code(line: OrderLine, policy: Policy) -> tuple[str, str]:
    """The merchant's code for this line, else its SKU, else one made from its name; and which of them it is."""
    if code := _code_of_kind(line.kind, policy):
        return code, "kind"
    if rule := matching(line, policy.articles):
        return policy.articles[rule], "map"
    if sku := clean(line.sku):
        return code_of(sku, policy.capabilities.limits.article_code), "sku"
    if line.kind is LineKind.GIFT_CARD:
        return GIFT_CARD_CODE, "kind"
    return f"A-{fingerprint(clean(line.name))[:12].upper()}", "name"


def _code_of_kind(kind: LineKind, policy: Policy) -> str:
    if kind is LineKind.SHIPPING:
        return policy.shipping_code
    if kind is LineKind.FEE:
        return policy.fee_code
    return TIP_CODE if kind is LineKind.TIP else ""


def keys_of(line: OrderLine) -> tuple[str, ...]:
    """What the settings' tables may know an article by: its SKU, product type and tax class, as far as it has them."""
    return tuple(key for key in (clean(line.sku), line.product_type, line.tax_class) if key)


def matching(line: OrderLine, keys: Collection[str]) -> str:
    """The first of them that a table of the settings names, else ''."""
    return next((key for key in keys_of(line) if key in keys), "") if keys else ""


def description(line: OrderLine, policy: Policy) -> str:
    """What the document says; a line without a name shows its code."""
    return shorten(line.name, policy.capabilities.limits.description) or article_code(line, policy)[0]


def nature(line: OrderLine, policy: Policy) -> Nature:
    """Shipping, fees and tips are services; shops do not tell for the rest, so the settings do."""
    if line.kind is LineKind.GIFT_CARD:
        return Nature.GOODS
    if line.kind is not LineKind.ARTICLE or matching(line, policy.services):
        return Nature.SERVICE
    return Nature.GOODS if matching(line, policy.goods) else policy.default_nature
