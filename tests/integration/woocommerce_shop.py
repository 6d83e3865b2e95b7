"""A small WooCommerce on loopback: orders, refunds and webhooks by REST v3, with the real one's manners.

It shares no code with the adapter: what it checks and answers was read from captured traffic.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from aiohttp import web
from aiohttp.test_utils import TestServer

KEY, SECRET = "ck_test", "cs_test/&%"


def php_json(value: Any) -> str:
    """JSON as PHP writes it."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/")


@dataclass(slots=True)
class WooCommerce:
    """The shop's state; a test changes it at will, also while pages are turned (`before_answer`)."""

    orders: dict[int, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    webhooks: list[dict[str, Any]] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)  # given instead, one for each request
    before_answer: Callable[[web.Request], None] = lambda _: None
    requests: list[str] = field(default_factory=list)  # path and query
    authorizations: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)  # single orders wait here while it is closed
    sorted_by: str = "date_created_gmt"  # or the shop's own clock
    url: str = ""

    def __post_init__(self) -> None:
        self.gate.set()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/wp-json/wc/v3/orders", self._orders)
        app.router.add_get("/wp-json/wc/v3/orders/{id}", self._order)
        app.router.add_get("/wp-json/wc/v3/orders/{id}/refunds", self._refunds)
        app.router.add_get("/wp-json/wc/v3/webhooks", self._webhooks)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(request.path_qs)
        self.authorizations.append(request.headers.get("Authorization", ""))
        self.before_answer(request)
        if self.answers:
            return self.answers.pop(0)
        if not self._is_known(request):
            return error(401, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")
        try:
            made: web.StreamResponse = await handler(request)
        except web.HTTPNotFound:
            return error(404, "rest_no_route", "No route was found matching the URL and request method.")
        return made

    def _is_known(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "")
        basic = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
        return given == f"Basic {basic}" or self._is_signed(request, given)

    def _is_signed(self, request: web.Request, given: str) -> bool:
        if not given.startswith("OAuth "):
            return False
        oauth = {name: unquote(value) for name, value in re.findall(r'(oauth_[a-z_]+)="([^"]*)"', given)}
        claimed = oauth.pop("oauth_signature", "")
        pairs = sorted({**request.query, **oauth}.items())
        joined = "%26".join(quote(f"{quote(k, safe='~')}={quote(v, safe='~')}", safe="~") for k, v in pairs)
        text = f"GET&{quote(self.url + request.path, safe='~')}&{joined}"
        made = hmac.new(f"{SECRET}&".encode(), text.encode(), hashlib.sha256).digest()
        return oauth.get("oauth_consumer_key") == KEY and base64.b64encode(made).decode() == claimed

    async def _orders(self, request: web.Request) -> web.Response:
        query = request.query
        per_page, page = int(query.get("per_page", "10")), int(query.get("page", "1"))
        if not (1 <= per_page <= 100 and page >= 1):
            return error(400, "rest_invalid_param", "Invalid parameter(s): per_page")
        # Without this the shop compares with its own zone's times.
        assert not {"modified_after", "after", "before"} & set(query) or query["dates_are_gmt"] == "true"
        found = [
            order
            for order in self.orders.values()
            if order["status"] != "trash"
            and order["date_modified_gmt"] > query.get("modified_after", "")
            and query.get("after", "") < order["date_created_gmt"] < query.get("before", "9999")
        ]
        field = {"id": "id", "date": self.sorted_by}[query.get("orderby", "date")]
        found.sort(key=lambda order: (order[field], order["id"]), reverse=query.get("order", "desc") == "desc")
        pages = -(-len(found) // per_page)
        headers = {"X-WP-Total": str(len(found)), "X-WP-TotalPages": str(pages)}
        return answer(found[(page - 1) * per_page : page * per_page], headers=headers)

    async def _order(self, request: web.Request) -> web.Response:
        await self.gate.wait()
        order = self.orders.get(int(request.match_info["id"]))
        if order is None:
            return error(404, "woocommerce_rest_shop_order_invalid_id", "Invalid ID.")
        return answer(order)

    async def _refunds(self, request: web.Request) -> web.Response:
        return answer(self.refunds.get(int(request.match_info["id"]), []))

    async def _webhooks(self, _: web.Request) -> web.Response:
        return answer(self.webhooks)


def answer(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        text=php_json(value), status=status, headers=headers, content_type="application/json", charset="utf-8"
    )


def error(status: int, code: str, message: str) -> web.Response:
    return answer({"code": code, "message": message, "data": {"status": status}}, status=status)


@asynccontextmanager
async def a_woocommerce() -> AsyncIterator[WooCommerce]:
    """A shop that listens on a free port; its `url` is set."""
    woocommerce = WooCommerce()
    async with TestServer(woocommerce.app()) as server:
        woocommerce.url = str(server.make_url("")).rstrip("/")
        yield woocommerce
