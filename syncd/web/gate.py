"""The door to the pages: login, logout, and what a request must bring before anything is shown or done."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import structlog
from aiohttp import hdrs, web
from pydantic import SecretStr

from syncd.store.engine import StoreUnavailableError
from syncd.web.links import address, own
from syncd.web.sessions import VISIT, Keeper, Patience, Session

if TYPE_CHECKING:
    from syncd.web.pages import Pages

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Show = Callable[[web.Request, Session], Awaitable[web.Response]]
Act = Callable[[web.Request, Session, Mapping[str, str]], Awaitable[web.Response]]

COOKIE = "syncd_session"
LARGEST_FORM = 65_536
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(slots=True, kw_only=True)
class _Opened:
    """What is made with the first request: a start shall not wait for it, nor a process without visitors keep it."""

    pages: "Pages"
    keeper: Keeper | None


class Gate:
    """Shows pages to whoever knows the password; without a password there are none."""

    def __init__(
        self, password: SecretStr | None, length: timedelta, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._password = password
        self._length = length
        self._now = now
        self._patience = Patience()
        self._opening = asyncio.Lock()
        self._opened: _Opened | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/login", self._visited(self._form)),
            web.post("/login", self._posted(self._login, known=False)),
            web.post("/logout", self._posted(self._logout)),
        ]

    def page(self, show: Show) -> Handler:
        """For a GET: the operator sees it, anybody else the login."""

        async def handle(request: web.Request, keeper: Keeper) -> web.Response:
            session = self._session(request, keeper)
            if session is None or not session.known:
                return _see(address("/login", next=request.path_qs if request.path_qs != "/" else None))
            return await show(request, session)

        return self._guarded(handle)

    def form(self, act: Act) -> Handler:
        """For a POST: done for the operator, from a form that this session was shown."""
        return self._posted(act)

    async def render(
        self, name: str, session: Session | None = None, *, status: int = 200, **values: object
    ) -> web.Response:
        """A page; `session` if the operator is there."""
        opened = await self._open()
        token = opened.keeper.token(session) if opened.keeper and session else ""
        text = opened.pages.render(name, token=token, known=bool(session and session.known), now=self._now(), **values)
        return web.Response(text=text, status=status, content_type="text/html", charset="utf-8", headers=HEADERS)

    async def message(
        self, title: str, text: str, session: Session | None = None, *, status: int, back: str = "/"
    ) -> web.Response:
        """A page that says why there is no other."""
        return await self.render("message", session, status=status, title=title, text=text, back=back)

    async def _open(self) -> _Opened:
        async with self._opening:
            if self._opened is None:
                self._opened = await asyncio.to_thread(_prepare, self._password)
        return self._opened

    def _guarded(self, handle: Callable[[web.Request, Keeper], Awaitable[web.Response]]) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            opened = await self._open()
            if opened.keeper is None:
                return await self.render("off", status=404)
            try:
                return await handle(request, opened.keeper)
            except StoreUnavailableError as error:
                return await self.message("The ledger does not answer", str(error), status=503)

        return guarded

    def _visited(self, show: Show) -> Handler:
        """For everybody; who has no session yet is given one to fill in a form with."""

        async def handle(request: web.Request, keeper: Keeper) -> web.Response:
            session = self._session(request, keeper)
            if session is not None and session.known:
                return _see("/")
            session = session or Session.begin(known=False, now=self._now(), length=VISIT)
            response = await show(request, session)
            self._keep(request, response, keeper, session)
            return response

        return self._guarded(handle)

    def _posted(self, act: Act, *, known: bool = True) -> Handler:
        async def handle(request: web.Request, keeper: Keeper) -> web.Response:
            if request.content_type != "application/x-www-form-urlencoded":
                return await self.message("That was no form", "send it from the page", status=415)
            if request.content_length is None or request.content_length > LARGEST_FORM:
                return await self.message("Too long", "shorten the text", status=413)
            session = self._session(request, keeper)
            if session is None or (known and not session.known):
                return _see("/login")
            form = dict(parse_qsl((await request.read()).decode(errors="replace"), keep_blank_values=True))
            if not keeper.has_token(session, form.get("token", "")):
                log.warning("dashboard.foreign_form", path=request.path)
                return await self.message(
                    "This form was not from here",
                    "it is too old, or another site sent it: open the page again",
                    status=403,
                )
            return await act(request, session, form)

        return self._guarded(handle)

    async def _form(self, request: web.Request, session: Session) -> web.Response:
        return await self.render("login", session, next=own(request.query.get("next", "")), problem="")

    async def _login(self, request: web.Request, session: Session, form: Mapping[str, str]) -> web.Response:
        keeper, address, now = (await self._open()).keeper, request.remote or "", self._now()
        assert keeper is not None
        target = own(form.get("next", ""))
        if wait := self._patience.wait(address, now):
            seconds = int(wait.total_seconds()) + 1
            problem = f"Too many wrong tries: wait {seconds} seconds."
            response = await self.render("login", session, status=429, next=target, problem=problem)
            response.headers[hdrs.RETRY_AFTER] = str(seconds)
            return response
        if not keeper.right(form.get("password", "")):
            self._patience.failed(address, now)
            log.warning("dashboard.wrong_password", address=address)
            return await self.render("login", session, status=401, next=target, problem="That is not the password.")
        self._patience.succeeded(address)
        log.info("dashboard.login", address=address)
        response = _see(target)
        self._keep(request, response, keeper, Session.begin(known=True, now=now, length=self._length))
        return response

    async def _logout(self, _request: web.Request, _session: Session, _form: Mapping[str, str]) -> web.Response:
        response = _see("/login")
        response.del_cookie(COOKIE, path="/")
        return response

    def _session(self, request: web.Request, keeper: Keeper) -> Session | None:
        return keeper.session(request.cookies.get(COOKIE, ""), self._now())

    def _keep(self, request: web.Request, response: web.Response, keeper: Keeper, session: Session) -> None:
        response.set_cookie(
            COOKIE,
            keeper.cookie(session),
            max_age=int((session.until - self._now()).total_seconds()),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=_encrypted(request),
        )


def _prepare(password: SecretStr | None) -> _Opened:
    from syncd.web.pages import Pages  # noqa: PLC0415 - the templates' library: only for who asks for a page

    return _Opened(pages=Pages(), keeper=Keeper(password) if password is not None else None)


def _see(target: str) -> web.Response:
    """Go there, with a GET."""
    return web.Response(status=303, headers={**HEADERS, hdrs.LOCATION: target})


def _encrypted(request: web.Request) -> bool:
    """Whether the browser speaks TLS, to us or to the proxy before us."""
    said = request.headers.get("X-Forwarded-Proto", "").split(",")[0].strip().lower()
    return request.secure or said == "https"
