"""The other side of the stories: time that passes when told, a service in a few lines, and what became of each order."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from typing import Any

from syncd.dispatch.gateway import AccountGateway
from syncd.domain.document import IssuedDocument, IssuedLine
from syncd.domain.errors import AccountBlockedError, NoEffectError, RefusedError, UncertainError
from syncd.domain.findings import Finding
from syncd.providers.port import Issue, Purpose, Search, Usage
from tests.builders import ABLE

START = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
PAID_AT = START - timedelta(days=90)  # however far the clock is set back, what was paid is due
LATEST = 50.0  # seconds after which the service gives up what nobody waits for; shorter than the settle time


class Fate(Enum):
    """What becomes of the next request that issues something."""

    GOOD = auto()
    LOST = auto()  # issued, but the answer never comes
    NOTHING = auto()  # neither
    LATE = auto()  # nobody waits any more when it is issued
    REFUSED = auto()
    OVER_LIMIT = auto()
    BLOCKED = auto()
    KILLED_BEFORE = auto()  # we die when the request has left
    KILLED_AFTER = auto()


class Killed(BaseException):
    """The process is no more."""


@dataclass
class Time:
    """Time that passes when told, and a clock on the wall that can be set."""

    passed: float = 0.0
    wall: datetime = START

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.passed

    def skip(self, seconds: float) -> None:
        self.passed += seconds
        self.wall += timedelta(seconds=seconds)


@dataclass
class Service:
    """`providers.port.InvoicingService` in memory, behind the real journal."""

    gateway: AccountGateway
    time: Time
    fate: Fate = Fate.GOOD
    issued: dict[str, tuple[Issue, IssuedDocument]] = field(default_factory=dict)
    late: list[tuple[float, Issue]] = field(default_factory=list)
    serial: int = 1000
    capabilities = replace(ABLE, drafts=True)

    async def issue(self, issue: Issue) -> IssuedDocument:
        fate, self.fate = self.fate, Fate.GOOD
        async with self.gateway.request(Purpose.ISSUE, "POST /documents") as call:
            match fate:
                case Fate.REFUSED:
                    call.answered(Usage(status=422))
                    raise RefusedError("no", code="refused")
                case Fate.OVER_LIMIT:
                    raise NoEffectError("too many", code="over_limit", retry_after=timedelta(seconds=20))
                case Fate.BLOCKED:
                    raise AccountBlockedError("token", code="token")
                case Fate.NOTHING:
                    raise UncertainError("no answer")
                case Fate.LATE:
                    self.late.append((self.time.passed + LATEST, issue))
                    raise UncertainError("no answer")
                case Fate.KILLED_BEFORE:
                    raise Killed
            made = self.book(issue)
            if fate is Fate.KILLED_AFTER:
                raise Killed
            if fate is Fate.LOST:
                raise UncertainError("no answer")
            call.answered(Usage(status=200))
            return made

    def book(self, issue: Issue) -> IssuedDocument:
        """What the service does with a request, whoever waits for the answer."""
        self.issued.pop(issue.finalise, None)
        self.serial += 1
        number = str(self.serial)
        draft = issue.draft
        lines = tuple(
            IssuedLine(id=f"{number}-{place}", net=amounts.net, tax=amounts.tax, gross=amounts.gross)
            for place, amounts in enumerate(draft.expected_lines)
        )
        made = IssuedDocument(
            provider_id=number,
            number=f"{draft.kind} A/{number}",
            issued_on=START.date(),
            totals=draft.expected,
            lines=lines,
            customer_id="1",
            marker=issue.marker,
            final=not issue.as_draft,
        )
        self.issued[number] = issue, made
        return made

    def work_on(self) -> None:
        """Requests that nobody waits for any more end as well."""
        for at, issue in list(self.late):
            if at <= self.time.passed:
                self.late.remove((at, issue))
                self.book(issue)

    async def find(self, search: Search) -> tuple[IssuedDocument, ...]:
        async with self.gateway.request(Purpose.VERIFY, "GET /documents") as call:
            call.answered(Usage(status=200))
        return tuple(made for _, made in self.issued.values() if made.marker in search.markers)

    async def delete_draft(self, provider_id: str) -> None:
        self.issued.pop(provider_id, None)

    async def check(self) -> tuple[Finding, ...]:
        return ()

    def final(self) -> list[tuple[Issue, IssuedDocument]]:
        return [(issue, made) for issue, made in self.issued.values() if made.final]


@dataclass
class Known:
    """An order as its shop and the model have it: every state that it had, and what the merchant keeps in the end."""

    states: list[dict[str, Any]]
    kept: Decimal
    refunded: set[str] = field(default_factory=set)
    told: int = -1  # the newest state that was told
    skipped: bool = False

    @property
    def newest(self) -> dict[str, Any]:
        return self.states[-1]

    def change(self, **changes: Any) -> None:
        at = PAID_AT + timedelta(minutes=len(self.states))
        self.states.append({**self.newest, "updated_at": at.isoformat(), **changes})

    def add(self, line: dict[str, Any]) -> None:
        """One more line, paid for as well."""
        self.kept += Decimal(line["gross"])
        paid = [*self.newest["payments"], {"gateway": "stripe", "amount": line["gross"]}]
        total = str(Decimal(self.newest["total"]) + Decimal(line["gross"]))
        self.change(lines=[*self.newest["lines"], line], payments=paid, total=total)

    def refund(self, line: dict[str, Any]) -> None:
        """The whole line is given back."""
        self.refunded.add(line["id"])
        self.kept -= Decimal(line["gross"])
        at = PAID_AT + timedelta(minutes=len(self.states))
        given = {"line_id": line["id"], "quantity": line["quantity"], "gross": line["gross"]}
        refund = {"id": f"r{line['id']}", "created_at": at.isoformat(), "amount": line["gross"], "lines": [given]}
        self.change(refunds=[*self.newest.get("refunds", []), refund])

    def cancel(self) -> None:
        self.kept = Decimal(0)
        self.change(cancelled_at=(PAID_AT + timedelta(minutes=len(self.states))).isoformat())


def a_line(number: int, cents: int, rate: int) -> dict[str, Any]:
    gross = str(Decimal(cents) / 100)
    return {"id": str(number), "name": "Caneca", "sku": f"C{rate}", "quantity": 1, "gross": gross, "tax_rate": rate}
