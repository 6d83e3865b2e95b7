"""`syncd audit --month` and `--saft`: the ledger held against the service, or against the accountant's file."""

from calendar import monthrange
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from syncd.audit import issued
from syncd.audit.compare import Comparison, Difference, Ours, Theirs
from syncd.audit.saft import Saft, SaftError
from syncd.domain.document import DocumentKind
from syncd.domain.errors import SyncdError
from syncd.providers.port import InvoicingService
from syncd.settings import Settings
from syncd.store.engine import Database


@dataclass(frozen=True, slots=True)
class Period:
    """Days, both ends included."""

    first: date
    last: date

    @classmethod
    def month(cls, text: str) -> "Period":
        """Of a month, written YYYY-MM."""
        try:
            first = date.fromisoformat(f"{text}-01")
        except ValueError:
            raise SyncdError(f"{text!r} is no month", fix="write it as 2026-11") from None
        return cls(first, first.replace(day=monthrange(first.year, first.month)[1]))


class PeriodAudit:
    """One account and one period; `documents` and `strangers` say how many were looked at, and how many are not ours."""

    def __init__(
        self,
        database: Database,
        account: str,
        period: Period,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._account = account
        self._period = period
        self._now = now
        self.documents = 0
        self.strangers = 0

    async def file(self, saft: Saft) -> AsyncIterator[Difference]:
        """Against the accountant's file; nobody is asked anything."""
        comparison = Comparison(await self._issued(), where="in the file")
        for theirs in saft.documents():
            if self._period.first <= theirs.issued_on <= self._period.last or comparison.knows(theirs):
                for found in self._look(comparison, theirs):
                    yield found
        for found in await self._strangers(comparison):
            yield found
        for found in (*comparison.missing(), *await self._undone()):
            yield found

    async def service(self, service: InvoicingService) -> AsyncIterator[Difference]:
        """Against the service's own lists; what no row of ours is, is read and looked at for a marker of ours."""
        comparison = Comparison(await self._issued(), where="at the service")
        for kind in sorted(service.capabilities.kinds):
            async for found in self._kind(service, kind, comparison):
                yield found
        for found in await self._strangers(comparison):
            yield found
        for found in await self._marked(service, comparison.strangers):
            yield found
        for found in (*comparison.missing(), *await self._undone()):
            yield found

    async def _kind(
        self, service: InvoicingService, kind: DocumentKind, comparison: Comparison
    ) -> AsyncIterator[Difference]:
        async for page in service.issued_on(kind, self._period.first, self._period.last):
            for listed in page:
                theirs = Theirs(
                    number=listed.number,
                    issued_on=listed.issued_on,
                    gross=listed.gross,
                    annulled=listed.annulled,
                    provider_id=listed.provider_id,
                )
                for found in self._look(comparison, theirs):
                    yield found

    def _look(self, comparison: Comparison, theirs: Theirs) -> list[Difference]:
        self.documents += 1
        return list(comparison.look(theirs))

    async def _issued(self) -> list[Ours]:
        async with self._database.read() as connection:
            return await issued.issued(connection, self._account, self._period.first, self._period.last)

    async def _undone(self) -> list[Difference]:
        async with self._database.read() as connection:
            return await issued.undone(connection, self._account, self._period.first, self._period.last, self._now())

    async def _strangers(self, comparison: Comparison) -> list[Difference]:
        """Some that no document of the period is may be of another day in the ledger, or have come meanwhile."""
        strangers, comparison.strangers = comparison.strangers, []
        async with self._database.read() as connection:
            comparison.know(await issued.numbered(connection, self._account, {each.number for each in strangers}))
        found = [difference for each in strangers for difference in comparison.look(each)]
        self.strangers = len(comparison.strangers)
        return found

    async def _marked(self, service: InvoicingService, strangers: list[Theirs]) -> list[Difference]:
        carried: dict[str, Theirs] = {}
        for each in strangers:
            carried |= dict.fromkeys(await service.marks(each.provider_id), each)
        async with self._database.read() as connection:
            known = await issued.whose(connection, self._account, carried)
        return [
            Difference(
                code="second",
                number=carried[marker].number,
                message=f"{carried[marker].number} over {carried[marker].gross:.2f} carries the marker {marker} of this "
                "order, and the ledger does not know it",
                fix="annul or credit it at the service if it is a second document for the same sale",
                shop=shop,
                order_id=order_id,
            )
            for marker, (shop, order_id) in sorted(known.items())
            if not carried[marker].annulled
        ]


def account_of(settings: Settings, nif: str) -> str:
    """The account whose file this is, by its tax number; where there is only one account without one, that."""
    told = {name: account.fiscal.nif for name, account in settings.accounts.items()}
    fitting = [name for name, own in told.items() if own == nif]
    nameless = [name for name, own in told.items() if not own]
    match fitting, nameless:
        case [name], _:
            return name
        case [], [name] if len(told) == 1:
            return name
        case [], _:
            raise SaftError(
                f"the file is of {nif}, and no account has that tax number", fix="set nif under its [fiscal]"
            )
        case _:
            raise SaftError(
                f"{', '.join(fitting)} all have the tax number {nif}", fix="audit each month at the service: --month"
            )


def read_saft(saft: Saft, settings: Settings, month: str) -> tuple[Saft, str, Period]:
    """A file with its account and its days, or those of the month, which must be within."""
    whole = Period(saft.header.first, saft.header.last)
    period = Period.month(month) if month else whole
    if period.first < whole.first or period.last > whole.last:
        raise SaftError(
            f"the file is of {whole.first} to {whole.last}, not of all of {month}", fix="export that month as well"
        )
    return saft, account_of(settings, saft.header.nif), period
