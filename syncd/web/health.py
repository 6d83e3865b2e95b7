"""`/healthz`, `/readyz` and `/metrics`."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from syncd.domain.alert import Alert
from syncd.domain.registers import Register
from syncd.metrics import Metrics
from syncd.store import accounts, alerts, deadlines, documents, orders, registers
from syncd.store.engine import Database, StoreUnavailableError, current, head
from syncd.web.issuers import issuers


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What is looked at besides the database: the roles' tasks, by name, True while they run, and the accounts."""

    roles: Callable[[], dict[str, bool]]
    accounts: tuple[str, ...] = ()
    me: str = ""  # as a lease names its owner


class Health:
    """Answers orchestrators and Prometheus; nothing in it needs a login, nothing in it is anybody's data."""

    def __init__(self, database: Database, metrics: Metrics, readiness: Readiness) -> None:
        self._database = database
        self._metrics = metrics
        self._readiness = readiness

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/healthz", self.alive),
            web.get("/readyz", self.ready),
            web.get("/metrics", self.metrics),
        ]

    async def alive(self, _: web.Request) -> web.Response:
        """The process answers: that is all."""
        return web.Response(text="ok\n")

    async def ready(self, _: web.Request) -> web.Response:
        """200 if events can be taken in and worked off; 503 says in JSON what is missing.

        A paused account and open alerts are reported, but do not make the process unready: intake must go on. Nor does
        an account for which another process issues.
        """
        problems: list[str] = []
        paused: dict[str, str] = {}
        alerted: list[dict[str, str]] = []
        issuing: dict[str, str] = {}
        try:
            revision = await current(self._database)
            if revision != head():
                problems.append(f"database schema is {revision or 'empty'}, not {head()}: syncd db upgrade")
            async with self._database.read() as connection:
                paused = {name: hold.message for name, hold in (await accounts.all_paused(connection)).items()}
                issuing = await issuers(connection, self._readiness.accounts, me=self._readiness.me)
                alerted = [_public(alert) for alert in await alerts.open_alerts(connection)]
        except StoreUnavailableError as error:
            problems.append(f"database: {error}")
        roles = self._readiness.roles()
        problems.extend(f"{name} is not running" for name, running in roles.items() if not running)
        body = {
            "ready": not problems,
            "problems": problems,
            "paused_accounts": paused,
            "alerts": alerted,
            "issuers": issuing,
            "roles": roles,
        }
        return web.Response(body=orjson.dumps(body), status=503 if problems else 200, content_type="application/json")

    async def metrics(self, _: web.Request) -> web.Response:
        """Prometheus' text; figures of the ledger are read when asked for."""
        try:
            await self._read_ledger()
        except StoreUnavailableError:
            self._metrics.queue_age.set(float("nan"))
        return web.Response(body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _read_ledger(self) -> None:
        async with self._database.read() as connection:
            for state, count in (await orders.counts(connection)).items():
                self._metrics.orders.labels(state).set(count)
            now = datetime.now(UTC)
            owed = await registers.oldest(connection)
            for register in Register:
                age = (now - owed[register]).total_seconds() if register in owed else 0
                self._metrics.inquiry_age.labels(register.value).set(age)
            self._metrics.queue_age.set(await documents.queue_age(connection, now))
            open_ = Counter(alert.condition.code for alert in await alerts.open_alerts(connection))
            nearest = {name: await deadlines.nearest(connection, name) for name in self._readiness.accounts}
        self._metrics.alerts.clear()
        for code, count in open_.items():
            self._metrics.alerts.labels(code).set(count)
        self._metrics.deadline.clear()
        for name, deadline in nearest.items():
            if deadline is not None:
                self._metrics.deadline.labels(name).set((deadline - now).total_seconds())


def _public(alert: Alert) -> dict[str, str]:
    said = alert.condition
    return {
        "code": said.code,
        "subject": said.subject,
        "message": said.message,
        "fix": said.fix,
        "since": alert.raised_at.isoformat(),
    }
