"""The sandbox as an HTTP application: routes, tokens, limiter, faults, log of requests."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import orjson
from aiohttp import web

from syncd.sandbox.billpt import (
    contacts,
    control,
    documents,
    items,
    masters,
    pdf,
    pending,
    receipts,
    seeds,
    session,
    stock,
)
from syncd.sandbox.billpt.calls import Call, Endpoint, Reply, World
from syncd.sandbox.billpt.faults import Fault, FaultKind, Faults
from syncd.sandbox.billpt.intake import Values, read_input
from syncd.sandbox.billpt.limits import Limiter, Verdict
from syncd.sandbox.billpt.records import Account, Document, Ids
from syncd.sandbox.billpt.settings import Clock, Settings
from syncd.sandbox.billpt.validation import Refusal

ROOT = "/api/1.0/"
ID = "{id:\\d+}"
LOG_LENGTH = 100_000
PAGE = b"<!DOCTYPE html><html><body><h1>Em manuten\xc3\xa7\xc3\xa3o</h1></body></html>"

ROUTES: tuple[tuple[str, str, Endpoint], ...] = (
    ("POST", "valid-token", session.valid_token),
    *masters.routes(),
    ("GET", "contatos", contacts.search),
    ("POST", "contatos", contacts.create),
    ("GET", f"contatos/{ID}", contacts.read_one),
    ("PATCH", f"contatos/{ID}", contacts.update),
    ("DELETE", f"contatos/{ID}", contacts.delete),
    ("GET", "items", items.search),
    ("POST", "items", items.create),
    ("GET", f"items/{ID}", items.read_one),
    ("PATCH", f"items/{ID}", items.update),
    ("DELETE", f"items/{ID}", items.delete),
    ("GET", "documentos", documents.listing),
    ("POST", "documentos", documents.create),
    ("PATCH", "documentos", documents.cancel),
    ("GET", f"documentos/{ID}", documents.read_one),
    ("DELETE", f"documentos/{ID}", documents.delete),
    ("POST", "documentos/enviar-por-email", documents.mail),
    ("POST", "documentos/nota-documento", documents.note),
    ("GET", "movimentos-pendentes", pending.listing),
    ("GET", "movimentos-pendentes/multiplos", pending.several),
    ("GET", f"movimentos-pendentes/{ID}", pending.of_document),
    ("POST", "recibos", receipts.create),
    ("POST", f"recibos/pagar/{ID}", receipts.pay),
    ("GET", "stock", stock.listing),
    ("GET", "stock/singular", stock.single),
    ("GET", "stock/movimentos", stock.moves),
    ("POST", "at/configurar", session.configure_tax_office),
    ("POST", "at/teste-dados-at", session.try_tax_office),
    ("POST", "at/estado-configuracao", session.tax_office_state),
    ("POST", "at/registo-comunicacoes", session.tax_office_log),
)


@dataclass(frozen=True, slots=True)
class Logged:
    """One request; `at` and `seconds` on the sandbox's clock. A lost answer has status 0."""

    method: str
    path: str
    at: float
    status: int
    seconds: float


class BillPt:
    """The emulator of Bill.pt: one account from the start, more on demand, everything in memory."""

    name = "billpt"

    def __init__(self, settings: Settings | None = None, *, clock: Clock | None = None, seed: str = "sandbox") -> None:
        self.settings = settings or Settings()
        self.clock = clock or Clock()
        self.world = World(self.settings, self.clock, Ids(seed))
        self.faults = Faults(seed)
        self.log: deque[Logged] = deque(maxlen=LOG_LENGTH)
        self.counts: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self._limiters: dict[str, Limiter] = {}
        self.account = self.open_account(seed)

    @property
    def token(self) -> str:
        """The API token of the first account."""
        return self.account.token

    @property
    def limiter(self) -> Limiter:
        """The limiter of the first account."""
        return self.limiter_of(self.account)

    def open_account(self, name: str) -> Account:
        """Another company at the same service; its token depends on its name only."""
        account = seeds.open_account(name, self.world.ids, self.settings)
        self.world.accounts[account.token] = account
        return account

    def limiter_of(self, account: Account | None) -> Limiter:
        """The counter of an account; all requests without a known token share one."""
        key = account.token if account else ""
        if key not in self._limiters:
            rules = self.settings
            self._limiters[key] = Limiter(
                self.clock, limit=rules.rate_limit, window=rules.rate_window, mode=rules.rate_mode
            )
        return self._limiters[key]

    def marked(self, marker: str) -> list[Document]:
        """The documents of all accounts whose internal note or observations hold this text."""
        return [
            document
            for account in self.world.accounts.values()
            for document in account.books.all.values()
            if marker in document.note or marker in document.observations
        ]

    def application(self) -> web.Application:
        app = web.Application(client_max_size=16 * 1024**2)
        app.router.add_route("POST", f"{ROOT}auth/login", partial(self._serve, session.login, is_open=True))
        for method, path, endpoint in ROUTES:
            app.router.add_route(method, ROOT + path, partial(self._serve, endpoint, is_open=False))
        app.router.add_get(f"/documentos/download/{ID}/{{token:[0-9a-f]+}}", self._download)
        app.router.add_routes(control.routes(self))
        app.router.add_route("*", "/{path:.*}", partial(self._serve, _no_such_route, is_open=True))
        return app

    async def _serve(self, endpoint: Endpoint, request: web.Request, *, is_open: bool) -> web.StreamResponse:
        started = self.clock.monotonic()
        values = read_input(request.query.items(), request.content_type, await request.read())
        account, refusal = self._account(request, values)
        verdict = self.limiter_of(account).arrive()
        met = self.faults.hit(request.method, request.path)
        reply = _refused_by_limit(verdict, met, self.settings)
        if reply is None and refusal and not is_open:
            reply = self._refused(refusal)
        if reply is None:
            lag = met[FaultKind.LAG].seconds if FaultKind.LAG in met else 0.0
            call = Call(
                world=self.world,
                account=account or self.account,
                values=values,
                path_ids=request.match_info,
                url=f"{request.scheme}://{request.host}{request.path}",
                lag=lag,
            )
            reply = await self._work(met, lambda: self._run(endpoint, call))
        headers = verdict.headers
        if reply.status == 429:
            headers.setdefault("Retry-After", "1")
        body = b"" if reply.body is None else orjson.dumps(reply.body)
        response = web.Response(body=body, status=reply.status, headers=headers, content_type="application/json")
        return await self._send(request, response, met, started, request.path)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        """The PDF, without a token and outside the limit; only the first one is the original."""
        started = self.clock.monotonic()
        number = int(request.match_info["id"])
        met = self.faults.hit(request.method, request.path)
        response = web.Response(status=404, body=b'{"error":["Not Found"]}', content_type="application/json")
        for account in self.world.accounts.values():
            document = account.books.all.get(number)
            if document and document.final and document.token == request.match_info["token"]:
                file = pdf.render(document, original=not document.printed)
                document.printed = True
                response = web.Response(body=file, content_type="application/pdf")
        return await self._send(request, response, met, started, f"/documentos/download/{number}")

    def _account(self, request: web.Request, values: Values) -> tuple[Account | None, Refusal | None]:
        """Whose token came with the request: in the header, else as `api_token` in query string or body."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else ""
        parameter = values.pop("api_token", "")
        values.pop("method", None)  # repeated by the vendor's own client, without meaning
        given = given or str(parameter or "")
        if not given:
            return None, Refusal("202")
        account = self.world.accounts.get(given)
        return account, None if account else Refusal("208")

    async def _work(self, met: dict[FaultKind, Fault], run: Callable[[], Reply]) -> Reply:
        """Run the endpoint between the faults that come before and after it has its effect."""
        if fault := met.get(FaultKind.SLOW_BEFORE):
            await self.clock.sleep(fault.seconds)
        if fault := met.get(FaultKind.REFUSE):
            return self._refused(Refusal(fault.code, status=fault.status))
        if FaultKind.ERROR_BEFORE in met:
            return Reply({"error": ["Server Error"]}, 500)
        reply = run()
        if fault := met.get(FaultKind.SLOW_AFTER):
            await self.clock.sleep(fault.seconds)
        return Reply({"error": ["Server Error"]}, 500) if FaultKind.ERROR_AFTER in met else reply

    def _run(self, endpoint: Endpoint, call: Call) -> Reply:
        try:
            return endpoint(call)
        except Refusal as refusal:
            return self._refused(refusal)

    def _refused(self, refusal: Refusal) -> Reply:
        status = self.settings.error_status or refusal.status or self.settings.status_of(refusal.codes)
        return Reply({"error": list(refusal.codes)}, status)

    async def _send(
        self, request: web.Request, response: web.Response, met: dict[FaultKind, Fault], started: float, path: str
    ) -> web.StreamResponse:
        lost = FaultKind.LOSE_ANSWER in met
        resource = request.match_info.route.resource
        status = 0 if lost else response.status
        self.log.append(Logged(request.method, path, started, status, self.clock.monotonic() - started))
        self.counts[f"{request.method} {resource.canonical if resource else path}"] += 1
        self.statuses[status] += 1
        if lost:
            _close(request)
        elif FaultKind.HTML in met:
            response.body, response.content_type = PAGE, "text/html"
        elif FaultKind.TRUNCATE in met:
            return await _truncated(request, response)
        return response


def _refused_by_limit(verdict: Verdict, met: dict[FaultKind, Fault], settings: Settings) -> Reply | None:
    if verdict.allowed and FaultKind.TOO_MANY not in met:
        return None
    return Reply(dict(settings.too_many_body), 429)


def _no_such_route(_: Call) -> Reply:
    raise Refusal("Not Found", status=404)


def _close(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


async def _truncated(request: web.Request, whole: web.Response) -> web.StreamResponse:
    """All headers and half of the body, then the end of the connection."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    _close(request)
    return response
