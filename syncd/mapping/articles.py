"""Which article a line sells: a code that is the same for the same thing, and whether it is goods or a service."""

from syncd.domain.document import Nature
from syncd.domain.order import LineKind, OrderLine
from syncd.mapping.policy import Policy
from syncd.mapping.texts import clean, code_of, fingerprint, shorten

TIP_CODE = "GORJETA"
GIFT_CARD_CODE = "VALE"


def article_code(line: OrderLine, policy: Policy) -> str:
    """The merchant's code for this line, else its SKU, else one made from its name."""
    fixed = {LineKind.SHIPPING: policy.shipping_code, LineKind.FEE: policy.fee_code, LineKind.TIP: TIP_CODE}
    if line.kind in fixed:
        return fixed[line.kind]
    sku = clean(line.sku)
    for rule in (sku, line.product_type, line.tax_class):
        if rule and rule in policy.articles:
            return policy.articles[rule]
    if sku:
        return code_of(sku, policy.capabilities.limits.article_code)
    if line.kind is LineKind.GIFT_CARD:
        return GIFT_CARD_CODE
    return f"A-{fingerprint(clean(line.name))[:12].upper()}"


def description(line: OrderLine, policy: Policy) -> str:
    """What the document says; a line without a name shows its code."""
    return shorten(line.name, policy.capabilities.limits.description) or article_code(line, policy)


def nature(line: OrderLine) -> Nature:
    """Shipping, fees and tips are services; shops do not tell for the rest, which is goods."""
    return Nature.GOODS if line.kind in {LineKind.ARTICLE, LineKind.GIFT_CARD} else Nature.SERVICE
