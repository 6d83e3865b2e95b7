"""The ECB's tables: which day's rates hold at a moment, and when that is certain."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from syncd.mapping.currency import reference_day
from syncd.registers.ecb import file_for, table_of, tables_of
from syncd.registers.http import RegisterError

FRIDAY = date(2026, 11, 20)
FILE = (
    b'<?xml version="1.0" encoding="UTF-8"?><gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" '
    b'xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><Cube>'
    b"<Cube time='2026-11-20'><Cube currency='USD' rate='1.0856'/><Cube currency='JPY' rate='163.45'/></Cube>"
    b"<Cube time='2026-11-19'><Cube currency='USD' rate='1.0801'/></Cube></Cube></gesmes:Envelope>"
)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-11-20T14:59+00:00", "2026-11-19"),  # 15:59 in Frankfurt: today's are not out
        ("2026-11-20T15:00+00:00", "2026-11-20"),
        ("2026-11-21T12:00+00:00", "2026-11-20"),  # Saturday
        ("2026-11-22T23:30+00:00", "2026-11-20"),  # Sunday in Lisbon, Monday in Frankfurt
        ("2026-11-23T14:00+00:00", "2026-11-20"),  # Monday morning
        ("2026-11-23T15:00+00:00", "2026-11-23"),
        ("2026-07-01T13:59+00:00", "2026-06-30"),  # summer time
        ("2026-07-01T14:00+00:00", "2026-07-01"),
    ],
)
def test_the_last_published_rates_hold(moment: str, day: str) -> None:
    assert str(reference_day(datetime.fromisoformat(moment))) == day


def test_the_smallest_file_that_holds_the_day_is_asked_for() -> None:
    now = datetime(2026, 11, 20, 18, tzinfo=UTC)
    assert file_for(FRIDAY, now) == "eurofxref-daily.xml"
    assert file_for(FRIDAY - timedelta(days=1), now) == "eurofxref-hist-90d.xml"
    assert file_for(FRIDAY - timedelta(days=86), now) == "eurofxref-hist.xml"


def test_rates_are_read_digit_for_digit() -> None:
    assert tables_of(FILE) == {
        FRIDAY: {"USD": Decimal("1.0856"), "JPY": Decimal("163.45")},
        date(2026, 11, 19): {"USD": Decimal("1.0801")},
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"<html/>",
        FILE.replace(b"1.0856", b"0"),
        FILE.replace(b"1.0856", b"NaN"),
        FILE.replace(b"1.0856", b"-1.0856"),
        FILE.replace(b"1.0856", b"1,0856"),
        FILE.replace(b"USD", b"dollar"),
        FILE.replace(b"2026-11-20", b"20.11.2026"),
        FILE.replace(b"?>", b'?><!DOCTYPE a [<!ENTITY b "c">]>'),
    ],
)
def test_a_file_that_is_not_as_it_always_was_is_no_answer(body: bytes) -> None:
    with pytest.raises(RegisterError):
        tables_of(body)


def test_a_bank_holiday_takes_the_rates_of_the_day_before() -> None:
    christmas = date(2026, 12, 25)
    tables = {date(2026, 12, 24): {"USD": Decimal("1.1")}}
    with pytest.raises(RegisterError):  # it may only be late
        table_of(tables, christmas, now=datetime(2026, 12, 25, 16, 30, tzinfo=UTC))
    found = table_of(tables, christmas, now=datetime(2026, 12, 25, 17, tzinfo=UTC))
    assert (found.day, found.published) == (christmas, date(2026, 12, 24))
    later = {**tables, date(2026, 12, 28): {"USD": Decimal("1.2")}}
    assert table_of(later, christmas, now=datetime(2026, 12, 25, 16, 30, tzinfo=UTC)).published == date(2026, 12, 24)


def test_a_table_that_is_too_old_is_none() -> None:
    with pytest.raises(RegisterError):
        table_of({FRIDAY: {"USD": Decimal(1)}}, FRIDAY + timedelta(days=8), now=datetime(2027, 1, 1, tzinfo=UTC))
