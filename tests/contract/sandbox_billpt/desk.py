"""A client of the sandbox over real HTTP, a clock to turn, and requests to begin from."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from syncd.sandbox.billpt import BillPt, Clock, Settings
from syncd.sandbox.server import Serving, serve

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
COMPANY_NUMBER = "501964843"
PERSON_NUMBER = "123456789"


@dataclass(slots=True)
class HandClock:
    """Time that only passes when a test says so."""

    at: datetime = NOON
    seconds: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.seconds, now=lambda: self.at, sleep=self._sleep)

    def turn(self, delta: timedelta) -> None:
        self.at += delta
        self.seconds += delta.total_seconds()

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str]

    @property
    def codes(self) -> list[str]:
        """The error codes, or none; an error answer holds nothing else."""
        if not isinstance(self.body, dict) or "error" not in self.body:
            return []
        assert list(self.body) == ["error"]
        return list(self.body["error"])

    @property
    def made(self) -> Any:
        """The body of a success."""
        assert self.status in (200, 201), (self.status, self.body)
        assert not self.codes
        return self.body


@dataclass(slots=True)
class Desk:
    """One sandbox, served, with a client that carries its token."""

    sandbox: BillPt
    serving: Serving
    http: aiohttp.ClientSession
    time: HandClock

    @classmethod
    async def open(cls, settings: Settings | None = None) -> "Desk":
        time = HandClock()
        # Tables of cases send more than 100 requests in a minute that never passes.
        rules = settings or replace(Settings(), rate_limit=None)
        sandbox = BillPt(rules, clock=time.clock())
        return cls(sandbox, await serve(sandbox), aiohttp.ClientSession(), time)

    async def close(self) -> None:
        await self.http.close()
        await self.serving.close()

    async def call(self, method: str, path: str, json: Any = None, *, token: str | None = None, **query: str) -> Answer:
        headers = {"Authorization": f"Bearer {token or self.sandbox.token}"}
        url = path if path.startswith("http") else f"{self.serving.url}/api/1.0/{path}"
        async with self.http.request(method, url, json=json, params=query, headers=headers) as response:
            raw = await response.read()
            body = await response.json() if raw else None
            return Answer(response.status, body, dict(response.headers))

    async def get(self, path: str, **query: str) -> Answer:
        return await self.call("GET", path, **query)

    async def search(self, path: str, query: dict[str, str]) -> Answer:
        return await self.call("GET", path, **query)

    async def post(self, path: str, json: Any) -> Answer:
        return await self.call("POST", path, json)

    async def issue(self, **changes: Any) -> Answer:
        """Post a document, see `a_document`."""
        return await self.post("documentos", self.a_document(**changes))

    async def issued(self, **changes: Any) -> Any:
        return (await self.issue(**changes)).made

    async def credit(self, original: Any, *lines: Any, **changes: Any) -> Answer:
        """A credit note on the original's customer; without lines its whole first line."""
        given = list(lines) or [self.credit_line(original)]
        return await self.issue(
            tipificacao="NC", contato=None, contato_id=original["contato_id"], produtos=given, **changes
        )

    async def cancel(self, document: Any, reason: str = "Duplicado") -> Answer:
        return await self.call("PATCH", "documentos", {"documento_id": document["id"], "motivo_anular": reason})

    def unit(self) -> int:
        return int(self.sandbox.account.units.principal()["id"])

    def series(self, name: str) -> int:
        found = self.sandbox.account.series.find("nome", name)
        assert found
        return int(found["id"])

    def tax(self, rate: int) -> int:
        return int(next(row["id"] for row in self.sandbox.account.taxes if row["valor"] == rate))

    def line(self, **changes: Any) -> dict[str, Any]:
        """An inline article at 10.00 net and 23 %."""
        line = {"codigo": "CAMISA-M", "unidade_medida_id": self.unit(), "nome": "Camisa M"}
        return _without_none({**line, "quantidade": 1, "preco_unitario": 10, "imposto": 23, **changes})

    def credit_line(self, original: Any, position: int = 0, **changes: Any) -> dict[str, Any]:
        """The original's line again, with its tax."""
        line = original["lancamentos"][position]
        return _without_none(
            {
                "lancamento_pai_id": line["id"],
                "item_id": line["item_id"],
                "nome": line["nome"],
                "quantidade": line["quantidade"],
                "preco_unitario": line["preco_unitario"],
                "imposto_id": line["imposto_id"],
                "motivo_isencao_id": line["motivo_isencao_id"],
                "desconto_1": line["desconto_1"],
                **changes,
            }
        )

    def a_contact(self, **changes: Any) -> dict[str, Any]:
        contact = {"nome": "Cliente Um", "pais": "PT", "codigo": "WC-1", "nif": PERSON_NUMBER}
        return _without_none({**contact, **changes})

    def a_document(self, **changes: Any) -> dict[str, Any]:
        """A final FR over one line for an identified customer; a value of None leaves a field out."""
        document = {"tipificacao": "FR", "contato": self.a_contact(), "produtos": [self.line()], "terminado": 1}
        return _without_none({**document, **changes})


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
