"""The Admin GraphQL API: what is asked, and how its answers become the shape that webhooks have.

An answer is kept as GraphQL gave it, merged from several queries: lines come 50 at a time, and refunds one by one,
because nested lists multiply a query's cost beyond what one query may have.
"""

from collections.abc import Mapping

from syncd.shops.shopify.fields import Record, identity, money, record, records, text

_MONEY = "fragment M on MoneyBag { shopMoney { amount currencyCode } }"
_TAX = "fragment T on TaxLine { title rate priceSet { ...M } channelLiable }"
_LINE = """fragment L on LineItem {
  id name sku quantity currentQuantity isGiftCard
  originalUnitPriceSet { ...M } discountAllocations { allocatedAmountSet { ...M } } taxLines { ...T }
}"""

CHANGED = """query Changed($first: Int!, $after: String, $filter: String!) {
  orders(first: $first, after: $after, sortKey: UPDATED_AT, query: $filter) {
    pageInfo { hasNextPage endCursor }
    nodes { id updatedAt }
  }
}"""

PLACED = """query Placed($first: Int!, $after: String, $filter: String!) {
  orders(first: $first, after: $after, sortKey: CREATED_AT, query: $filter) {
    pageInfo { hasNextPage endCursor }
    nodes { id createdAt }
  }
}"""

ORDER = f"""query One($id: ID!, $lines: Int!) {{ order(id: $id) {{ ...O }} }}
{_MONEY}
{_TAX}
{_LINE}
fragment A on MailingAddress {{ name company address1 address2 zip city province provinceCode countryCodeV2 phone }}
fragment O on Order {{
  id name createdAt updatedAt processedAt cancelledAt test
  currencyCode taxesIncluded taxExempt dutiesIncluded displayFinancialStatus paymentGatewayNames
  totalPriceSet {{ ...M presentmentMoney {{ amount currencyCode }} }} currentTotalPriceSet {{ ...M }} totalTaxSet {{ ...M }} totalTipReceivedSet {{ ...M }}
  totalOutstandingSet {{ ...M }} originalTotalDutiesSet {{ ...M }}
  email phone note tags discountCodes customAttributes {{ key value }}
  localizedFields(first: 10) {{ nodes {{ key value }} }}
  customer {{ firstName lastName taxExempt note defaultEmailAddress {{ emailAddress }} }}
  purchasingEntity {{ ... on PurchasingCompany {{ location {{ taxSettings {{ taxRegistrationId }} }} }} }}
  billingAddress {{ ...A }} shippingAddress {{ ...A }}
  lineItems(first: $lines) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ ...L }} }}
  shippingLines(first: 20, includeRemovals: true) {{ nodes {{
    id title isRemoved originalPriceSet {{ ...M }} discountedPriceSet {{ ...M }} taxLines {{ ...T }} }} }}
  transactions(first: 50) {{ id kind status gateway processedAt amountSet {{ ...M }} }}
  refunds(first: 100) {{ id }}
}}"""

LINES = f"""query Lines($id: ID!, $lines: Int!, $after: String) {{ order(id: $id) {{
  updatedAt lineItems(first: $lines, after: $after) {{ pageInfo {{ hasNextPage endCursor }} nodes {{ ...L }} }}
}} }}
{_MONEY}
{_TAX}
{_LINE}"""

REFUND = f"""query Refunded($id: ID!, $lines: Int!, $after: String) {{ refund(id: $id) {{
  id createdAt note
  refundLineItems(first: $lines, after: $after) {{ pageInfo {{ hasNextPage endCursor }} nodes {{
    quantity restockType lineItem {{ id }} subtotalSet {{ ...M }} totalTaxSet {{ ...M }} }} }}
  refundShippingLines(first: 20) {{ nodes {{
    shippingLine {{ id }} subtotalAmountSet {{ ...M }} taxAmountSet {{ ...M }} }} }}
  orderAdjustments(first: 20) {{ nodes {{ reason amountSet {{ ...M }} taxAmountSet {{ ...M }} }} }}
  transactions(first: 20) {{ nodes {{ id kind status gateway processedAt amountSet {{ ...M }} }} }}
}} }}
{_MONEY}"""

CHECK = """query Check($topics: [WebhookSubscriptionTopic!]) {
  currentAppInstallation { accessScopes { handle } }
  webhookSubscriptions(first: 100, topics: $topics) { nodes { topic } }
}"""

_BAG = {"shop_money": "shopMoney", "presentment_money": "presentmentMoney"}
_TOTALS = {
    "total_price": "totalPriceSet",
    "current_total_price": "currentTotalPriceSet",
    "total_tax": "totalTaxSet",
    "total_tip_received": "totalTipReceivedSet",
    "total_outstanding": "totalOutstandingSet",
    "original_total_duties": "originalTotalDutiesSet",
}


def gid(kind: str, key: str) -> str:
    return f"gid://shopify/{kind}/{key}"


def nodes(source: Record, key: str) -> list[Record]:
    """The entries of a connection, or of a plain list."""
    value = source.get(key)
    return records(value if isinstance(value, list) else record(value, key).get("nodes"), key)


def order_to_webhook(order: Record) -> Record:
    """An `Order` as a webhook would have written it, as far as the parser reads it."""
    customer = record(order.get("customer"), "customer")
    entity = record(record(order.get("purchasingEntity"), "purchasingEntity").get("location"), "location")
    lines = [_line(line) for line in nodes(order, "lineItems")]
    return {
        "id": identity(order.get("id")),
        "name": order.get("name"),
        "created_at": order.get("createdAt"),
        "updated_at": order.get("updatedAt"),
        "processed_at": order.get("processedAt"),
        "cancelled_at": order.get("cancelledAt"),
        "test": order.get("test"),
        "currency": order.get("currencyCode"),
        "taxes_included": order.get("taxesIncluded"),
        "tax_exempt": order.get("taxExempt"),
        "duties_included": order.get("dutiesIncluded"),
        "financial_status": text(order.get("displayFinancialStatus")).lower(),
        "payment_gateway_names": order.get("paymentGatewayNames"),
        **{key: _amount(order, name) for key, name in _TOTALS.items()},
        "total_price_set": _set(order, "totalPriceSet"),
        "email": order.get("email"),
        "phone": order.get("phone"),
        "note": order.get("note"),
        "tags": order.get("tags"),
        "discount_codes": [{"code": code} for code in _texts(order.get("discountCodes"))],
        "note_attributes": [
            {"name": item.get("key"), "value": item.get("value")} for item in nodes(order, "customAttributes")
        ],
        "localized_fields": nodes(order, "localizedFields"),
        "tax_registration_id": record(entity.get("taxSettings"), "taxSettings").get("taxRegistrationId"),
        "customer": {
            "first_name": customer.get("firstName"),
            "last_name": customer.get("lastName"),
            "tax_exempt": customer.get("taxExempt"),
            "note": customer.get("note"),
            "email": record(customer.get("defaultEmailAddress"), "defaultEmailAddress").get("emailAddress"),
        },
        "billing_address": _address(record(order.get("billingAddress"), "billingAddress")),
        "shipping_address": _address(record(order.get("shippingAddress"), "shippingAddress")),
        "line_items": _with_tip_marked(order, lines),
        "shipping_lines": [_shipping(line) for line in nodes(order, "shippingLines")],
        "transactions": [_transaction(move) for move in nodes(order, "transactions")],
        "refunds": [refund_to_webhook(refund) for refund in nodes(order, "refunds")],
    }


def refund_to_webhook(refund: Record) -> Record:
    """A `Refund` as a webhook would have written it; one that is so already comes back as it is."""
    if not text(refund.get("id")).startswith("gid://"):
        return refund
    return {
        "id": identity(refund.get("id")),
        "created_at": refund.get("createdAt"),
        "note": refund.get("note"),
        "refund_line_items": [
            {
                "line_item_id": identity(record(item.get("lineItem"), "lineItem").get("id")),
                "quantity": item.get("quantity"),
                "restock_type": text(item.get("restockType")).lower(),
                "subtotal": _amount(item, "subtotalSet"),
                "total_tax": _amount(item, "totalTaxSet"),
            }
            for item in nodes(refund, "refundLineItems")
        ],
        "refund_shipping_lines": [
            {
                "shipping_line_id": identity(record(item.get("shippingLine"), "shippingLine").get("id")),
                "subtotal_amount": _amount(item, "subtotalAmountSet"),
                "tax_amount": _amount(item, "taxAmountSet"),
            }
            for item in nodes(refund, "refundShippingLines")
        ],
        "order_adjustments": [
            # Shipping stands in lines of its own here, so every adjustment is a difference, whatever its reason.
            {
                "kind": "refund_discrepancy",
                "amount": _amount(item, "amountSet"),
                "tax_amount": _amount(item, "taxAmountSet"),
            }
            for item in nodes(refund, "orderAdjustments")
        ],
        "transactions": [_transaction(move) for move in nodes(refund, "transactions")],
    }


def _line(line: Record) -> dict[str, object]:
    return {
        "id": identity(line.get("id")),
        "name": line.get("name"),
        "sku": line.get("sku"),
        "quantity": line.get("quantity"),
        "current_quantity": line.get("currentQuantity"),
        "gift_card": line.get("isGiftCard"),
        "price": _amount(line, "originalUnitPriceSet"),
        "discount_allocations": [
            {"amount": _amount(share, "allocatedAmountSet")} for share in nodes(line, "discountAllocations")
        ],
        "tax_lines": _taxes(line),
    }


def _with_tip_marked(order: Record, lines: list[dict[str, object]]) -> list[dict[str, object]]:
    """GraphQL does not say which line is the tip: it is the untaxed one of that amount, called Tip if several are."""
    tip = money(record(record(order.get("totalTipReceivedSet"), "tip").get("shopMoney"), "tip"), "amount", "tip")
    alike = [
        line
        for line in lines
        if not line["tax_lines"] and not text(line["sku"]) and line["quantity"] == 1
        if tip and money(line, "price", "line") == tip
    ]
    if not alike:
        return lines
    chosen = next(
        (line for line in alike if text(line["name"]).lower() == "tip"), alike[0] if len(alike) == 1 else None
    )
    return [{**line, "tip_payment_gateway": None} if line is chosen else line for line in lines]


def _shipping(line: Record) -> Record:
    return {
        "id": identity(line.get("id")),
        "title": line.get("title"),
        "is_removed": line.get("isRemoved"),
        "price": _amount(line, "originalPriceSet"),
        "discounted_price": _amount(line, "discountedPriceSet"),
        "tax_lines": _taxes(line),
    }


def _taxes(source: Record) -> list[Record]:
    return [
        {
            "title": tax.get("title"),
            "rate": tax.get("rate"),
            "price": _amount(tax, "priceSet"),
            "channel_liable": tax.get("channelLiable"),
        }
        for tax in nodes(source, "taxLines")
    ]


def _transaction(move: Record) -> Record:
    return {
        "id": identity(move.get("id")),
        "kind": text(move.get("kind")).lower(),
        "status": text(move.get("status")).lower(),
        "gateway": move.get("gateway"),
        "processed_at": move.get("processedAt"),
        "amount_set": _set(move, "amountSet"),
    }


def _address(address: Record) -> Record | None:
    if not address:
        return None
    return {
        **address,
        "province_code": address.get("provinceCode"),
        "country_code": address.get("countryCodeV2"),
    }


def _amount(source: Record, key: str) -> object:
    return record(record(source.get(key), key).get("shopMoney"), key).get("amount")


def _set(source: Record, key: str) -> Mapping[str, object]:
    bag = record(source.get(key), key)
    both = {name: record(bag.get(field), key) for name, field in _BAG.items()}
    return {
        name: {"amount": told.get("amount"), "currency_code": told.get("currencyCode")} for name, told in both.items()
    }


def _texts(value: object) -> list[str]:
    return [text(item) for item in value] if isinstance(value, list) else []
