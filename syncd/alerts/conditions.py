"""What is wrong now. Read off the ledger's state, never off events, so that no restart and no replica says it twice."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.domain.alert import Condition
from syncd.domain.patience import DOWN_AFTER
from syncd.mapping.deadlines import WHEN_LATE
from syncd.mapping.sale import LISBON
from syncd.store import accounts, attempts, deadlines, orders, registers
from syncd.store.deadlines import Due

# What is due for less may be on its way at this moment.
ON_ITS_WAY = timedelta(minutes=5)
# Registers rest at night and publish in the afternoon; beyond this somebody should ask.
REGISTER_PATIENCE = timedelta(hours=6)
# More than so many are counted as "more than".
MOST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Whose conditions are looked at, and how long before a deadline a person wants to know."""

    accounts: tuple[str, ...]
    before_deadline: timedelta


async def conditions(connection: AsyncConnection, outlook: Outlook, *, now: datetime) -> tuple[Condition, ...]:
    """Everything that a person should know at this moment; one for many of a kind."""
    found = [condition async for condition in _of_accounts(connection, outlook.accounts)]
    found += [condition async for condition in _held(connection)]
    found += [condition async for condition in _registers(connection, now)]
    for account in outlook.accounts:
        due = await deadlines.due_until(
            connection, account, now + outlook.before_deadline, known_since=now - ON_ITS_WAY, limit=MOST + 1
        )
        found += _deadlines(account, due, now)
    return tuple(found)


async def _of_accounts(connection: AsyncConnection, names: Iterable[str]) -> AsyncIterator[Condition]:
    paused = await accounts.all_paused(connection)
    for name in names:
        if hold := paused.get(name):
            yield Condition(
                code="account_paused",
                subject=name,
                message=f"account {name} issues nothing: {hold.message} ({hold.code})",
                fix=f"{hold.fix}; it goes on by itself once the service accepts it again",
            )
        if await attempts.silent(connection, name, times=DOWN_AFTER):
            yield Condition(
                code="service_down",
                subject=name,
                message=f"the service of account {name} gives no usable answer; orders are taken in and wait",
                fix="nothing, if the service is known to be down: it goes on by itself; else look at base_url and network",
            )


async def _held(connection: AsyncConnection) -> AsyncIterator[Condition]:
    for (shop, code), count in sorted((await orders.held(connection, MOST + 1)).items()):
        yield Condition(
            code="orders_held",
            subject=f"{shop}: {code}",
            message=f"{_count(count, 'order')} of {shop} held: {code}",
            fix="syncd orders --state held shows them, syncd order SHOP ID how to go on",
        )


async def _registers(connection: AsyncConnection, now: datetime) -> AsyncIterator[Condition]:
    for register, since in sorted((await registers.oldest(connection)).items()):
        if since <= now - REGISTER_PATIENCE:
            yield Condition(
                code="register_silent",
                subject=register.value,
                message=f"{register.value} has not answered since {since.astimezone(LISBON):%Y-%m-%d %H:%M}; orders wait",
                fix="syncd order SHOP ID says what was asked; look it up by hand if it cannot wait",
            )


def _deadlines(account: str, due: list[Due], now: datetime) -> list[Condition]:
    passed = [each for each in due if each.deadline_at < now]
    near = [each for each in due if each.deadline_at >= now]
    found = []
    if near:
        found.append(
            Condition(
                code="deadline_near",
                subject=account,
                message=f"last lawful day of {_count(len(near), 'document')} of account {account}: {_first(near)}",
                fix="syncd order SHOP ID says what it waits for",
            )
        )
    if passed:
        found.append(
            Condition(
                code="deadline_passed",
                subject=account,
                message=f"{_count(len(passed), 'document')} of account {account} late: {_first(passed)}",
                fix=f"{WHEN_LATE}; syncd order SHOP ID says what it waits for",
            )
        )
    return found


def _first(due: list[Due]) -> str:
    first = due[0]
    what = f"{first.kind} for " if first.kind else ""
    return f"{what}order {first.order_id} of {first.shop} first, until {first.deadline_at.astimezone(LISBON):%Y-%m-%d}"


def _count(number: int, noun: str) -> str:
    if number > MOST:
        return f"more than {MOST} {noun}s"
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"
