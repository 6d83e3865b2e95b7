"""`/_sandbox/…`: faults, state and log over HTTP. No part of the emulated API, and no token is needed."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from syncd.sandbox.billpt.faults import Fault
from syncd.sandbox.billpt.records import Document
from syncd.sandbox.billpt.settings import Arithmetic, RateMode

if TYPE_CHECKING:
    from syncd.sandbox.billpt.app import BillPt


def routes(sandbox: "BillPt") -> list[web.RouteDef]:
    handlers = Control(sandbox)
    return [
        web.get("/_sandbox/state", handlers.state),
        web.get("/_sandbox/log", handlers.log),
        web.get("/_sandbox/faults", handlers.faults),
        web.post("/_sandbox/faults", handlers.add_faults),
        web.delete("/_sandbox/faults", handlers.clear_faults),
        web.post("/_sandbox/limit", handlers.limit),
        web.post("/_sandbox/account", handlers.account),
    ]


class Control:
    """The handlers, bound to one sandbox."""

    def __init__(self, sandbox: "BillPt") -> None:
        self._sandbox = sandbox

    async def state(self, _: web.Request) -> web.Response:
        """What has arrived and what has come into being, of all accounts together; limiter of the first."""
        sandbox = self._sandbox
        limiter = sandbox.limiter
        found = [document for account in sandbox.world.accounts.values() for document in account.books.all.values()]
        markers: dict[str, list[dict[str, Any]]] = {}
        for document in found:
            if marker := document.note or document.observations:
                markers.setdefault(marker, []).append(_brief(document))
        return _json(
            {
                "requests": sum(sandbox.counts.values()),
                "by_route": dict(sandbox.counts),
                "by_status": {str(status): count for status, count in sandbox.statuses.items()},
                "limiter": {
                    "limit": limiter.limit,
                    "mode": limiter.mode,
                    "arrived": len(limiter.arrivals),
                    "refused": limiter.refused,
                    "worst_window": limiter.worst_window(),
                },
                "documents": {
                    "final": sum(document.final for document in found),
                    "drafts": sum(not document.final for document in found),
                    "annulled": sum(document.annulled for document in found),
                },
                "markers": markers,
                "faults_hit": {str(kind): count for kind, count in sandbox.faults.hits.items()},
            }
        )

    async def log(self, _: web.Request) -> web.Response:
        return _json([asdict(logged) for logged in self._sandbox.log])

    async def faults(self, _: web.Request) -> web.Response:
        return _json([asdict(fault) for fault in self._sandbox.faults])

    async def add_faults(self, request: web.Request) -> web.Response:
        """One fault or a list of them."""
        try:
            given = orjson.loads(await request.read())
            faults = [Fault.read(values) for values in (given if isinstance(given, list) else [given])]
        except (ValueError, TypeError) as error:
            return _json({"error": [str(error)]}, 400)
        self._sandbox.faults.add(*faults)
        return _json([asdict(fault) for fault in self._sandbox.faults])

    async def clear_faults(self, _: web.Request) -> web.Response:
        self._sandbox.faults.clear()
        return _json([])

    async def limit(self, request: web.Request) -> web.Response:
        """`{"limit": 100 or null, "mode": "sliding"}` for the first account."""
        limiter = self._sandbox.limiter
        try:
            given = orjson.loads(await request.read())
            limit = None if given["limit"] is None else int(given["limit"])
            limiter.set(limit, RateMode(given.get("mode", limiter.mode)))
        except (ValueError, TypeError, KeyError) as error:
            return _json({"error": [str(error)]}, 400)
        return _json({"limit": limiter.limit, "mode": limiter.mode})

    async def account(self, request: web.Request) -> web.Response:
        """`{"arithmetic": "rate", "default_series": "IVA2026"}`: how all accounts add up, the first one's own series."""
        sandbox = self._sandbox
        try:
            given = orjson.loads(await request.read())
            arithmetic = Arithmetic(given.get("arithmetic", sandbox.settings.arithmetic))
            series = sandbox.account.series.find("nome", given.get("default_series", ""))
        except (ValueError, TypeError, AttributeError) as error:
            return _json({"error": [str(error)]}, 400)
        if series is None and "default_series" in given:
            return _json({"error": [f"no series {given['default_series']}"]}, 400)
        sandbox.settings = sandbox.world.settings = replace(sandbox.settings, arithmetic=arithmetic)
        for row in sandbox.account.series if series else ():
            row["principal"] = int(row is series)
        if series:
            sandbox.account.shops.principal()["serie_id"] = series["id"]
        return _json({"arithmetic": arithmetic, "default_series": sandbox.account.series.principal()["nome"]})


def _brief(document: Document) -> dict[str, Any]:
    return {
        "id": document.id,
        "tipificacao": document.kind.tag,
        "invoice_number": document.number,
        "gross_total": f"{document.sums.gross:.2f}",
        "terminado": int(document.final),
        "estado": "A" if document.annulled else "N",
    }


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
