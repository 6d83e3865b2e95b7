"""`GET /` and its pages: the ledger for the operator's eyes, and his decisions. HTML from here, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from aiohttp import hdrs, web

from syncd.domain.states import OrderState
from syncd.store import listing
from syncd.store.engine import Database
from syncd.web.decisions import Action, Decision, UndecidedError, decide
from syncd.web.gate import HEADERS, Gate
from syncd.web.ledger import one_order, with_documents
from syncd.web.links import address
from syncd.web.overview import overview
from syncd.web.sessions import Session

log = structlog.get_logger()

ACTOR = "dashboard"  # in the trail
OFFERED = frozenset({Action.RELEASE, Action.RETRY, Action.SKIP})  # who annuls shall have read more than a page
PAGE_SIZE = 50
LONGEST_REASON = 500
LONGEST_TIMELINE = 300  # entries; `syncd order` shows all
_FILES = {"/style.css": "text/css", "/icon.svg": "image/svg+xml"}
_FOLDER = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """What the pages speak of besides the ledger: each account's requests a minute, and this process."""

    limits: Mapping[str, int]
    me: str  # as a lease names its owner


class Dashboard:
    """The pages behind the gate; `decided` is called when there is something new to plan."""

    def __init__(
        self,
        database: Database,
        gate: Gate,
        subjects: Subjects,
        *,
        decided: Callable[[], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._gate = gate
        self._subjects = subjects
        self._decided = decided
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._gate.page(self.overview)),
            web.get("/orders", self._gate.page(self.orders)),
            web.get("/order", self._gate.page(self.order)),
            web.post("/order", self._gate.form(self.decide)),
            *(web.get(path, _file) for path in _FILES),
            *self._gate.routes(),
        ]

    async def overview(self, _: web.Request, session: Session) -> web.Response:
        """What stands how, and what waits for a person."""
        seen = await overview(self._database, self._subjects.limits, me=self._subjects.me, now=self._now())
        return await self._gate.render("overview", session, seen=seen)

    async def orders(self, request: web.Request, session: Session) -> web.Response:
        """A page of orders, by state and shop, or all that are called by a name."""
        asked = {name: _plain(request.query.get(name, "")) for name in ("state", "shop", "q", "before")}
        state = OrderState(asked["state"]) if asked["state"] in set(OrderState) else None
        before = _whole(asked["before"])
        async with self._database.read() as connection:
            shops = await listing.shops(connection)
            if asked["q"]:
                rows, older = await listing.named(connection, asked["q"], limit=PAGE_SIZE), None
            else:
                page = await listing.page(
                    connection, state=state, shop=asked["shop"] or None, before=before, size=PAGE_SIZE
                )
                rows, older = page.rows, page.older
            found = [await with_documents(connection, row) for row in rows]
        return await self._gate.render(
            "orders", session, found=found, older=older, shops=shops, state=state, shop=asked["shop"], q=asked["q"]
        )

    async def order(self, request: web.Request, session: Session) -> web.Response:
        """One order with its documents and its timeline."""
        shop, order_id = (_plain(request.query.get(name, "")) for name in ("shop", "id"))
        found = await one_order(self._database, shop, order_id)
        if found is None:
            return await self._unknown(shop, order_id, session)
        timeline = found["timeline"]
        return await self._gate.render(
            "order",
            session,
            order=found,
            seen=_told(found),
            actions=_possible(found),
            timeline=timeline[-LONGEST_TIMELINE:],
            left_out=max(0, len(timeline) - LONGEST_TIMELINE),
            longest_reason=LONGEST_REASON,
        )

    async def decide(self, _: web.Request, session: Session, form: Mapping[str, str]) -> web.Response:
        """Release, retry or skip, with a reason; refused if the order is no longer what the page showed."""
        shop, order_id, reason = (_plain(form.get(name, "")).strip() for name in ("shop", "id", "reason"))
        action, seen = form.get("action", ""), _whole(form.get("seen", ""))
        back = address("/order", shop=shop, id=order_id)
        if action not in OFFERED or seen is None:
            return await self._gate.message("That was no decision", "use the page", session, status=400, back=back)
        if not reason or len(reason) > LONGEST_REASON:
            text = f"say why, in at most {LONGEST_REASON} characters: it is kept in the order's timeline"
            return await self._gate.message("A reason is needed", text, session, status=400, back=back)
        try:
            made = Decision(action=Action(action), reason=reason, actor=ACTOR, seen=seen)
            await decide(self._database, shop, order_id, made, now=self._now())
        except UndecidedError as error:
            return await self._gate.message(str(error), error.fix, session, status=409, back=back)
        self._decided()
        log.info("dashboard.decided", shop=shop, order=order_id, action=action)
        return web.Response(status=303, headers={**HEADERS, hdrs.LOCATION: back})

    async def _unknown(self, shop: str, order_id: str, session: Session) -> web.Response:
        text = f"shop {shop!r} has no order {order_id!r} in the ledger"
        return await self._gate.message("No such order", text, session, status=404, back="/orders")


async def _file(request: web.Request) -> web.StreamResponse:
    """What every page needs, the login's as well."""
    headers = {**HEADERS, hdrs.CONTENT_TYPE: _FILES[request.path], hdrs.CACHE_CONTROL: "max-age=3600"}
    return web.FileResponse(_FOLDER / request.path.removeprefix("/"), headers=headers)


def _told(order: Mapping[str, Any]) -> int:
    """The length of the trail that the page shows."""
    return max((entry["entry"] or 0 for entry in order["timeline"]), default=0)


def _possible(order: Mapping[str, Any]) -> list[Action]:
    """Which decisions make sense as the order stands, the likeliest first."""
    if order["hold"]:
        return [Action.RELEASE, Action.RETRY, Action.SKIP]
    return [Action.RETRY] if order["state"] == OrderState.SKIPPED else [Action.SKIP]


def _whole(text: str) -> int | None:
    """A number that both engines take as a parameter."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _plain(text: str) -> str:
    """Text that both engines take as a parameter."""
    return text.replace("\0", "").encode(errors="replace").decode()
