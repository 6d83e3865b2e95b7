"""Until when the law wants a document, and until when one can still be annulled. No clock: the moment is told."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from syncd.domain.capabilities import AnnulWindow
from syncd.domain.document import DocumentDraft, DocumentKind
from syncd.domain.order import Order, PaymentState
from syncd.mapping.known import KnownDocument
from syncd.mapping.policy import Policy
from syncd.mapping.sale import fiscal_day, zone_of

WORKING_DAYS = 5
NARROWEST = AnnulWindow(days=5)  # of the services that are known
SATURDAY = 5
FOREIGN_SERVICE = "M40"
ON_PAYMENT = "paid, so on the day of payment (CIVA art. 36 n.º 1 c)"
AFTER_SALE = "5th working day after the tax was due (CIVA art. 36 n.º 1 a)"
AFTER_RETURN = "5th working day after the return (CIVA art. 36 n.º 3)"
# What the law asks for once a deadline has passed: fiscal day and number of a document are never set back.
WHEN_LATE = (
    "issuing late is an offence (RGIT art. 123), but the document is still due: it is issued with the day's own date "
    "and marked late in its timeline; if the month has changed, tell the accountant, as its tax belongs to the month "
    "in which it became due"
)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The last lawful day for a document where the seller is, and the rule that says so."""

    last_day: date
    rule: str
    zone: ZoneInfo

    @property
    def ends_at(self) -> datetime:
        """The last second of that day."""
        return datetime.combine(self.last_day, time(23, 59, 59), self.zone)

    def overrun(self, now: datetime) -> dict[str, object]:
        """What to note of a document that is issued now: how late it is; nothing if it is not."""
        return {"late": f"{self.rule}: until {self.last_day}, {self.standing(now)}"} if now > self.ends_at else {}

    def standing(self, now: datetime) -> str:
        """What is left of it, in words."""
        today = now.astimezone(self.zone).date()
        days = (self.last_day - today).days
        left = f"{_count(-days)} late" if days < 0 else "today is the last day" if days == 0 else f"{_count(days)} left"
        if days >= 0 and today == month_end(today) == month_end(self.last_day):
            left += ", and the month of its tax ends today"
        return left


def deadline_of(draft: DocumentDraft) -> Deadline:
    """The last day on which this draft may lawfully become a document. A late one is still due."""
    zone = zone_of(draft.region)
    return Deadline(*_last_day(draft, draft.due_at.astimezone(zone).date()), zone)


def deadline_of_held(order: Order, known: Sequence[KnownDocument], policy: Policy) -> Deadline:
    """The deadline of what a held order would become: its sale, else the first return that no document speaks of.

    Waiting for a person stops no clock.
    """
    zone = zone_of(policy.ship_from)
    parts = [document.key.part for document in known if document.committed]
    if not parts:
        day = fiscal_day(order, policy)
        if order.payment is PaymentState.UNPAID:
            return Deadline(working_day_after(day, WORKING_DAYS), AFTER_SALE, zone)
        return Deadline(day, ON_PAYMENT, zone)
    open_ = [refund.created_at for refund in order.refunds if not _spoken_of(f"refund-{refund.id}", parts)]
    since = min(open_, default=order.updated_at).astimezone(zone).date()
    return Deadline(working_day_after(since, WORKING_DAYS), AFTER_RETURN if open_ else AFTER_SALE, zone)


def annul_until(issued_on: date, window: AnnulWindow = NARROWEST) -> date:
    """The last day on which a document can be annulled at a service; afterwards it is credited.

    Only ever for a document that has not reached its buyer.
    """
    last = issued_on + timedelta(days=window.days)
    return min(last, month_end(issued_on)) if window.same_month else last


def working_day_after(day: date, count: int) -> date:
    """The `count`-th working day after a day; Saturdays, Sundays and national holidays are none."""
    for number, working in enumerate(_working_days(day), start=1):
        if number == count:
            return working
    raise AssertionError  # working days never end


def month_end(day: date) -> date:
    first_of_next = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return first_of_next - timedelta(days=1)


@lru_cache(maxsize=64)
def holidays(year: int) -> frozenset[date]:
    """Portugal's national holidays; Carnival and those of municipalities are none."""
    # Megabytes and a tenth of a second, which a shop that is paid at once and takes nothing back never needs.
    from holidays import country_holidays  # noqa: PLC0415

    return frozenset(country_holidays("PT", years=year))


def _last_day(draft: DocumentDraft, since: date) -> tuple[date, str]:
    if draft.kind in {DocumentKind.FR, DocumentKind.FS}:
        return since, ON_PAYMENT
    if draft.kind is DocumentKind.RC:
        return since, "receipt, on the day on which the money came"
    if draft.kind is DocumentKind.FT and any(line.exemption == FOREIGN_SERVICE for line in draft.lines):
        following = month_end(since) + timedelta(days=15)
        return following, "service to a company abroad, day 15 of the next month (CIVA art. 36 n.º 1 b)"
    rule = AFTER_RETURN if draft.kind is DocumentKind.NC else AFTER_SALE
    return working_day_after(since, WORKING_DAYS), rule


def _working_days(after: date) -> Iterator[date]:
    day = after
    while True:
        day += timedelta(days=1)
        if day.weekday() < SATURDAY and day not in holidays(day.year):
            yield day


def _spoken_of(cause: str, parts: Sequence[str]) -> bool:
    """Whether a document has this cause; a part that concerns a later document of the order goes on behind it."""
    return any(part == cause or part.startswith(f"{cause}-") for part in parts)


def _count(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"
