"""The European Central Bank's reference rates: units of each currency for one euro, published on working days."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from xml.etree import ElementTree as ET

from syncd.domain.registers import RateTable
from syncd.mapping.currency import FRANKFURT, reference_day
from syncd.registers.http import Line, RegisterError

SOURCE = "BCE"  # as documents name it
RECENT = timedelta(days=85)  # what the file of 90 days certainly holds
# Rates come at 16:00 in Frankfurt. A day that has none two hours later is a bank holiday.
SURELY_OUT = time(18)
LONGEST_GAP = timedelta(days=7)

_CUBE = "{http://www.ecb.int/vocabulary/2002-08-01/eurofxref}Cube"
_CURRENCY = re.compile("[A-Z]{3}")

Tables = Mapping[date, Mapping[str, Decimal]]


class Ecb:
    """The published tables. Raises RegisterError where there is no answer yet."""

    def __init__(
        self, url: str, *, timeout_seconds: float, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._line = Line(url, timeout_seconds=timeout_seconds)
        self._now = now

    async def rates(self, day: date) -> RateTable:
        """The table of a day, or the last one published before it."""
        answer = await self._line.get(file_for(day, self._now()))
        if answer.status != 200:
            raise RegisterError(f"the ECB answered with status {answer.status}")
        return table_of(tables_of(answer.body), day, now=self._now())

    async def close(self) -> None:
        await self._line.close()


def file_for(day: date, now: datetime) -> str:
    """The smallest file that holds a day."""
    if day == reference_day(now):
        return "eurofxref-daily.xml"
    return "eurofxref-hist-90d.xml" if now.date() - day <= RECENT else "eurofxref-hist.xml"


def tables_of(body: bytes) -> Tables:
    """All the tables of a file."""
    if b"<!" in body:  # entities and the like, by which a small file can become a large one
        raise RegisterError("the ECB's file is not as it always was")
    try:
        root = ET.fromstring(body)  # noqa: S314 - see above
        tables = {
            date.fromisoformat(each.attrib["time"]): {
                rate.attrib["currency"]: Decimal(rate.attrib["rate"]) for rate in each.iterfind(_CUBE)
            }
            for each in root.iterfind(f"{_CUBE}/{_CUBE}")
        }
    except (ET.ParseError, KeyError, ValueError, InvalidOperation) as error:
        raise RegisterError("the ECB's file cannot be read") from error
    if not tables or not all(_sound(currency, rate) for table in tables.values() for currency, rate in table.items()):
        raise RegisterError("the ECB's file holds no usable rates")
    return tables


def table_of(tables: Tables, day: date, *, now: datetime) -> RateTable:
    """The table that holds for a day. Raises RegisterError while that may still come, or is older than any holiday."""
    published = max((each for each in tables if each <= day), default=None)
    if published is None or day - published > LONGEST_GAP:
        raise RegisterError(f"the ECB's file holds nothing for {day}", shared=None)
    certain = published == day or max(tables) > day or now >= datetime.combine(day, SURELY_OUT, FRANKFURT)
    if not certain:
        raise RegisterError(f"the ECB has not published the rates of {day} yet", shared=None)
    return RateTable(day=day, published=published, source=SOURCE, per_euro=tables[published])


def _sound(currency: str, rate: Decimal) -> bool:
    return bool(_CURRENCY.fullmatch(currency)) and rate.is_finite() and rate > 0
