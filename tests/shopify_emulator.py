"""A Shopify shop on loopback: serves webhook-shaped orders as GraphQL answers, with costs, throttling and tokens."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

DATA = Path(__file__).parent / "data" / "shopify"
ORDERS = sorted(path.name for path in DATA.glob("order-*.json") if "only-id" not in path.name)

Json = dict[str, Any]


def payload(name: str) -> Json:
    found: Json = json.loads((DATA / name).read_bytes(), parse_float=Decimal)
    return found


def raw(value: object) -> bytes:
    return json.dumps(value, default=float).encode()


def money(amount: object, currency: str) -> Json | None:
    if amount is None:
        return None
    # GraphQL writes amounts without fixed places: "55.0" for 55.00.
    short = str(Decimal(str(amount)).normalize() + 0)
    return {"shopMoney": {"amount": short if "." in short else f"{short}.0", "currencyCode": currency}}


def as_graphql(order: Json) -> Json:
    """The same order as the Admin GraphQL API would answer it."""
    currency = order["currency"]

    def bag(amount: object) -> Json | None:
        return money(amount, currency)

    def in_both(source: Json) -> Json | None:
        told = (source.get("total_price_set") or {}).get("presentment_money")
        both = bag(source["total_price"])
        if both is None or told is None:
            return both
        theirs = money(told["amount"], told["currency_code"])
        assert theirs is not None
        return {**both, "presentmentMoney": theirs["shopMoney"]}

    def taxes(source: Json) -> list[Json]:
        return [
            {"title": t["title"], "rate": t["rate"], "priceSet": bag(t["price"]), "channelLiable": False}
            for t in source.get("tax_lines", [])
        ]

    def allocations(source: Json) -> list[Json]:
        return [{"allocatedAmountSet": bag(a["amount"])} for a in source.get("discount_allocations", [])]

    customer = order.get("customer")
    return {
        "id": f"gid://shopify/Order/{order['id']}",
        "name": order["name"],
        "createdAt": order["created_at"],
        "updatedAt": order["updated_at"],
        "processedAt": order["processed_at"],
        "cancelledAt": order["cancelled_at"],
        "test": order["test"],
        "currencyCode": currency,
        "taxesIncluded": order["taxes_included"],
        "taxExempt": order.get("tax_exempt", False),
        "dutiesIncluded": False,
        "displayFinancialStatus": (order["financial_status"] or "").upper() or None,
        "paymentGatewayNames": order["payment_gateway_names"],
        "totalPriceSet": in_both(order),
        "currentTotalPriceSet": bag(order.get("current_total_price")),
        "totalTaxSet": bag(order["total_tax"]),
        "totalTipReceivedSet": bag(order.get("total_tip_received")),
        "totalOutstandingSet": bag(order.get("total_outstanding")),
        "originalTotalDutiesSet": None,
        "email": order["email"] or order.get("contact_email"),
        "phone": order.get("phone"),
        "note": order["note"],
        "tags": [tag.strip() for tag in order["tags"].split(",") if tag.strip()],
        "discountCodes": [code["code"] for code in order["discount_codes"]],
        "customAttributes": [{"key": a["name"], "value": a["value"]} for a in order["note_attributes"]],
        "localizedFields": {"nodes": order.get("localized_fields", [])},
        "customer": customer
        and {
            "firstName": customer["first_name"],
            "lastName": customer["last_name"],
            "taxExempt": customer.get("tax_exempt"),
            "note": customer.get("note"),
            "defaultEmailAddress": {"emailAddress": customer.get("email")},
        },
        "purchasingEntity": {},
        "billingAddress": _address(order.get("billing_address")),
        "shippingAddress": _address(order.get("shipping_address")),
        "lineItems": {
            "pageInfo": {"hasNextPage": False, "endCursor": None},
            "nodes": [
                {
                    "id": f"gid://shopify/LineItem/{line['id']}",
                    "name": line["name"],
                    "sku": line["sku"],
                    "quantity": line["quantity"],
                    "currentQuantity": line.get("current_quantity", line["quantity"]),
                    "isGiftCard": line["gift_card"],
                    "originalUnitPriceSet": bag(line["price"]),
                    "discountAllocations": allocations(line),
                    "taxLines": taxes(line),
                }
                for line in order["line_items"]
            ],
        },
        "shippingLines": {
            "nodes": [
                {
                    "id": f"gid://shopify/ShippingLine/{line['id']}?source=x",
                    "title": line["title"],
                    "isRemoved": line.get("is_removed", False),
                    "originalPriceSet": bag(line["price"]),
                    "discountedPriceSet": bag(line["discounted_price"]),
                    "taxLines": taxes(line),
                }
                for line in order["shipping_lines"]
            ]
        },
        "transactions": [],
        "refunds": [refund_as_graphql(refund, currency) for refund in order.get("refunds", [])],
    }


def refund_as_graphql(refund: Json, currency: str) -> Json:
    def bag(amount: object) -> Json | None:
        return money(amount, currency)

    return {
        "id": f"gid://shopify/Refund/{refund['id']}",
        "createdAt": refund["created_at"],
        "note": refund["note"],
        "refundLineItems": {
            "pageInfo": {"hasNextPage": False, "endCursor": None},
            "nodes": [
                {
                    "quantity": item["quantity"],
                    "restockType": (item.get("restock_type") or "").upper(),
                    "lineItem": {"id": f"gid://shopify/LineItem/{item['line_item_id']}"},
                    "subtotalSet": bag(item["subtotal"]),
                    "totalTaxSet": bag(item["total_tax"]),
                }
                for item in refund["refund_line_items"]
            ],
        },
        "refundShippingLines": {
            "nodes": [
                {
                    "shippingLine": {"id": f"gid://shopify/ShippingLine/{item['shipping_line']['id']}"},
                    "subtotalAmountSet": bag(item["subtotal_amount_set"]["shop_money"]["amount"]),
                    "taxAmountSet": bag(((item.get("tax_amount_set") or {}).get("shop_money") or {}).get("amount")),
                }
                for item in refund.get("refund_shipping_lines", [])
            ]
        },
        "orderAdjustments": {
            "nodes": [
                {
                    "reason": "REFUND_DISCREPANCY",
                    "amountSet": bag(item["amount"]),
                    "taxAmountSet": bag(item["tax_amount"]),
                }
                for item in refund["order_adjustments"]
                if item["kind"] == "refund_discrepancy"
            ]
        },
        "transactions": {
            "nodes": [
                {
                    "id": f"gid://shopify/OrderTransaction/{move['id']}",
                    "kind": move["kind"].upper(),
                    "status": move["status"].upper(),
                    "gateway": move["gateway"],
                    "processedAt": move.get("processed_at"),
                    "amountSet": bag(move["amount"]),
                }
                for move in refund["transactions"]
            ]
        },
    }


def _address(address: Json | None) -> Json | None:
    if not address:
        return None
    kept = {key: address.get(key) for key in ("name", "company", "address1", "address2", "zip", "city", "phone")}
    return {
        **kept,
        "province": address.get("province"),
        "provinceCode": address.get("province_code"),
        "countryCodeV2": address.get("country_code"),
    }


@dataclass
class Emulator:
    """Answers by operation name. `faults` are handed out before real answers, one a request."""

    orders: list[Json] = field(default_factory=list)
    token: str = "shpat_good"
    scopes: list[str] = field(default_factory=lambda: ["read_orders"])
    topics: list[str] = field(default_factory=list)
    faults: list[Callable[[], web.Response]] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    ignore_filter: bool = False
    available: float = 2000.0
    listed_at_once: int = 250
    operations: list[str] = field(default_factory=list)
    variables: list[Json] = field(default_factory=list)
    grants: int = 0

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/admin/api/{version}/graphql.json", self._graphql)
        app.router.add_post("/admin/oauth/access_token", self._grant)
        return app

    async def _grant(self, request: web.Request) -> web.Response:
        form = await request.post()
        if (form["grant_type"], form["client_secret"]) != ("client_credentials", "app-secret"):
            return web.json_response({"error": "invalid_client"}, status=400)
        self.grants += 1
        self.token = f"granted-{self.grants}"
        return web.json_response({"access_token": self.token, "scope": "read_orders", "expires_in": 86399})

    async def _graphql(self, request: web.Request) -> web.Response:
        body = await request.json()
        operation = re.findall(r"query (\w+)", body["query"])[0]
        self.operations.append(operation)
        self.variables.append(body["variables"])
        self.before(operation)
        if self.faults:
            return self.faults.pop(0)()
        if request.headers.get("X-Shopify-Access-Token") != self.token:
            return web.json_response({"errors": "[API] Invalid API key or access token"}, status=401)
        answer = getattr(self, f"_{operation.lower()}")(**body["variables"])
        return web.Response(body=raw({"data": answer, "extensions": self._cost()}), content_type="application/json")

    def _cost(self) -> Json:
        status = {"maximumAvailable": 2000.0, "currentlyAvailable": self.available, "restoreRate": 100.0}
        return {"cost": {"requestedQueryCost": 500, "actualQueryCost": 40, "throttleStatus": status}}

    def _changed(self, *, first: int, after: str | None, filter: str) -> Json:  # noqa: A002 - the variable's name
        since = filter.removeprefix("updated_at:>='").removesuffix("'")
        found = [
            {"id": order["id"], "updatedAt": order["updatedAt"]}
            for order in sorted(self.orders, key=lambda order: str(order["updatedAt"]))
            if self.ignore_filter or order["updatedAt"] >= since
        ]
        return {"orders": self._page(found, min(first, self.listed_at_once), after)}

    def _placed(self, *, first: int, after: str | None, filter: str) -> Json:  # noqa: A002 - the variable's name
        since, until = re.fullmatch(r"created_at:>='(.*)' created_at:<'(.*)'", filter).groups()  # type: ignore[union-attr]
        found = [
            {"id": order["id"], "createdAt": order["createdAt"]}
            for order in sorted(self.orders, key=lambda order: datetime.fromisoformat(order["createdAt"]))
            if self.ignore_filter
            or datetime.fromisoformat(since)
            <= datetime.fromisoformat(order["createdAt"])
            < datetime.fromisoformat(until)
        ]
        return {"orders": self._page(found, min(first, self.listed_at_once), after)}

    def _one(self, *, id: str, lines: int) -> Json:  # noqa: A002 - the variable's name
        found = next((order for order in self.orders if order["id"] == id), None)
        if found is None:
            return {"order": None}
        refunds = [{"id": refund["id"]} for refund in found["refunds"]]
        items = self._page(found["lineItems"]["nodes"], lines, None)
        return {"order": {**found, "lineItems": items, "refunds": refunds}}

    def _lines(self, *, id: str, lines: int, after: str) -> Json:  # noqa: A002 - the variable's name
        found = next(order for order in self.orders if order["id"] == id)
        items = self._page(found["lineItems"]["nodes"], lines, after)
        return {"order": {"updatedAt": found["updatedAt"], "lineItems": items}}

    def _refunded(self, *, id: str, lines: int, after: str | None) -> Json:  # noqa: A002 - the variable's name
        found = next(refund for order in self.orders for refund in order["refunds"] if refund["id"] == id)
        items = self._page(found["refundLineItems"]["nodes"], lines, after)
        return {"refund": {**found, "refundLineItems": items}}

    def _check(self, *, topics: list[str]) -> Json:
        return {
            "currentAppInstallation": {"accessScopes": [{"handle": scope} for scope in self.scopes]},
            "webhookSubscriptions": {"nodes": [{"topic": topic} for topic in self.topics if topic in topics]},
        }

    @staticmethod
    def _page(nodes: list[Json], first: int, after: str | None) -> Json:
        start = int(after or 0)
        end = start + first
        return {"nodes": nodes[start:end], "pageInfo": {"hasNextPage": end < len(nodes), "endCursor": str(end)}}


@asynccontextmanager
async def serve(emulator: Emulator) -> AsyncIterator[str]:
    server = TestServer(emulator.app())
    await server.start_server()
    try:
        yield str(server.make_url("/")).rstrip("/")
    finally:
        await server.close()


def graphql_error(code: str, *, data: object = None, available: float = 100.0) -> Callable[[], web.Response]:
    def answer() -> web.Response:
        status = {"maximumAvailable": 2000.0, "currentlyAvailable": available, "restoreRate": 100.0}
        body = {
            "data": data,
            "errors": [{"message": "no", "extensions": {"code": code}}],
            "extensions": {"cost": {"requestedQueryCost": 500, "actualQueryCost": None, "throttleStatus": status}},
        }
        return web.json_response(body)

    return answer
