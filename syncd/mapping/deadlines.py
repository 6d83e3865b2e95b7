"""Until when the law wants a document, and until when one can still be annulled. No clock: today is told."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from syncd.domain.document import DocumentDraft, DocumentKind
from syncd.mapping.sale import zone_of

FIXED_HOLIDAYS = ((1, 1), (4, 25), (5, 1), (6, 10), (8, 15), (10, 5), (11, 1), (12, 1), (12, 8), (12, 25))
WORKING_DAYS = 5
ANNUL_DAYS = 5
SATURDAY = 5
FOREIGN_SERVICE = "M40"


@dataclass(frozen=True, slots=True)
class LegalClock:
    """The last lawful day for a document, and the rule with what is left of the time, in words."""

    last_day: date
    late: bool
    text: str


def legal_clock(draft: DocumentDraft, today: date) -> LegalClock:
    """The last day on which this draft may lawfully become a document. A late one is still due, with today's date."""
    since = draft.due_at.astimezone(zone_of(draft.region)).date()
    last_day, rule = _last_day(draft, since)
    days = (last_day - today).days
    left = f"{_count(-days)} late" if days < 0 else "today is the last day" if days == 0 else f"{_count(days)} left"
    if last_day.month == today.month and month_end(today) == today and days >= 0:
        left += ", and the month of its tax ends today"
    return LegalClock(last_day, days < 0, f"{rule}: until {last_day}, {left}")


def annul_until(issued_on: date, *, days: int = ANNUL_DAYS) -> date:
    """The last day on which a document can be annulled: within `days` and within its month; afterwards it is credited.

    Only ever for a document that has not reached its buyer.
    """
    return min(issued_on + timedelta(days=days), month_end(issued_on))


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
    easter = easter_sunday(year)
    moving = (easter - timedelta(days=2), easter, easter + timedelta(days=60))  # Good Friday, Corpus Christi
    return frozenset((*moving, *(date(year, month, day) for month, day in FIXED_HOLIDAYS)))


def easter_sunday(year: int) -> date:
    """Easter of the Gregorian calendar, by the anonymous rule of 1876."""
    century, rest = divmod(year, 100)
    golden = year % 19
    epact = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def _last_day(draft: DocumentDraft, since: date) -> tuple[date, str]:
    if draft.kind in {DocumentKind.FR, DocumentKind.FS}:
        return since, "paid, so on the day of payment (CIVA art. 36 n.º 1 c)"
    if draft.kind is DocumentKind.RC:
        return since, "receipt, on the day on which the money came"
    if draft.kind is DocumentKind.FT and any(line.exemption == FOREIGN_SERVICE for line in draft.lines):
        following = month_end(since) + timedelta(days=15)
        return following, "service to a company abroad, day 15 of the next month (art. 36 n.º 1 b)"
    what = "5th working day after the tax was due (CIVA art. 36 n.º 1 a)"
    if draft.kind is DocumentKind.NC:
        what = "5th working day after the return (CIVA art. 36 n.º 3)"
    return working_day_after(since, WORKING_DAYS), what


def _working_days(after: date) -> Iterator[date]:
    day = after
    while True:
        day += timedelta(days=1)
        if day.weekday() < SATURDAY and day not in holidays(day.year):
            yield day


def _count(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"
