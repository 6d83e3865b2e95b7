"""`POST /webhooks/{shop}`: verify, store, answer; 2xx only for what is durable or needs no storing."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from aiohttp import web

from syncd.domain.errors import SignatureError, UnreadableError
from syncd.intake.receive import Door, OverloadedError, incoming, problem
from syncd.metrics import Metrics
from syncd.shops.port import Delivery, Shop
from syncd.store.engine import StoreUnavailableError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A shop's webhook address: its adapter and the account that its orders belong to."""

    shop: Shop
    account: str


class Webhooks:
    """The receiving end for all shops."""

    def __init__(self, counters: Mapping[str, Counter], door: Door, metrics: Metrics) -> None:
        self._counters = counters
        self._door = door
        self._metrics = metrics

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/webhooks/{shop}", self.handle)]

    async def handle(self, request: web.Request) -> web.Response:
        """The status is the whole answer; the text says it in words for people who look at a shop's log."""
        name = request.match_info["shop"]
        counter = self._counters.get(name)
        if counter is None:
            return _answer(404, "no such shop")
        try:
            body = await request.read()  # the application's size limit answers 413
        except web.HTTPRequestEntityTooLarge:
            self._metrics.events.labels(name, "webhook", "too_large").inc()
            return _answer(413, "body too large")
        headers = {key.lower(): value for key, value in request.headers.items()}
        try:
            delivery = counter.shop.receive(headers, body)
        except (SignatureError, UnreadableError) as error:
            status, result = (401, "bad_signature") if isinstance(error, SignatureError) else (400, "unreadable")
            self._metrics.events.labels(name, "webhook", result).inc()
            log.warning("webhook.refused", shop=name, result=result, error=str(error))
            return _answer(status, f"{result.replace('_', ' ')}: {error}")
        if delivery.ping or delivery.ignored:
            self._metrics.events.labels(name, "webhook", "ping" if delivery.ping else "ignored").inc()
            return _answer(200, delivery.ignored or "pong")
        try:
            return await self._store(name, counter.account, delivery, body)
        except (StoreUnavailableError, OverloadedError):
            self._metrics.events.labels(name, "webhook", "not_stored").inc()
            return _answer(503, "cannot store now", {"Retry-After": "30"})

    async def _store(self, name: str, account: str, delivery: Delivery, body: bytes) -> web.Response:
        if delivery.problem:
            log.warning("webhook.held", shop=name, topic=delivery.topic, problem=delivery.problem)
            await self._door.put(problem(name, account, delivery, body))
            return _answer(202, "kept, but not understood")
        new = await self._door.put_all([incoming(name, account, fact, source="webhook") for fact in delivery.facts])
        return _answer(202, "accepted") if new else _answer(200, "known already")


def _answer(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers=headers)
