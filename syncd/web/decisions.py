"""What a person decides on an order: release what holds it, try again, issue nothing (more), or annul what there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncConnection

from syncd.dispatch.proving import BLOCKED
from syncd.domain.errors import SyncdError
from syncd.mapping.annulments import last_day, obstacle, wish
from syncd.mapping.known import KnownDocument
from syncd.mapping.policy import Policy
from syncd.mapping.sale import LISBON
from syncd.store import documents, orders, references, trail
from syncd.store.engine import Database
from syncd.store.orders import OrderRow


class Action(StrEnum):
    """What can be decided."""

    RELEASE = "release"
    RETRY = "retry"
    SKIP = "skip"
    ANNUL = "annul"


class UndecidedError(SyncdError):
    """The decision does not fit the order as it is now; nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What, why and by whom.

    `seen` is the length of the trail that the person had read: what has happened since may change his mind. To annul
    takes the shop's policy, which knows how long that is lawful.
    """

    action: Action
    reason: str
    actor: str  # as the trail names him
    seen: int | None = None
    policy: Policy | None = None


async def decide(database: Database, shop: str, order_id: str, made: Decision, *, now: datetime) -> None:
    """Record it in the order's trail and have the order planned again; UndecidedError if that cannot be."""
    async with database.write() as connection:
        row = await orders.lock(connection, shop, order_id)
        if row is None:
            raise UndecidedError(f"no order {order_id!r} of shop {shop!r} in the ledger", fix="see: syncd orders")
        if made.seen is not None and made.seen != row.trail_seq:
            raise UndecidedError(
                "something happened to this order while you looked at it", fix="read it again, then decide"
            )
        codes = await _holds(connection, row)
        if made.action is Action.RELEASE and not codes:
            raise UndecidedError(f"order {order_id} is not held", fix="nothing to release; see: syncd order")
        accepted = row.accepted.union(codes if made.action is Action.RELEASE else ())
        if made.action is Action.ANNUL:
            assert made.policy is not None
            accepted |= _annullable(await documents.known(connection, shop, order_id), made.policy, now)
        kept = {"action": made.action.value, "accepted": sorted(accepted), "reason": made.reason, "at": now.isoformat()}
        await orders.decide(connection, shop, order_id, kept, now=now)
        if made.action in {Action.RELEASE, Action.RETRY}:
            await documents.release(connection, shop, order_id, now=now)
        if made.action is Action.RETRY:
            await references.forget(connection, row.account, (BLOCKED,))
        await trail.write(
            connection,
            at=now,
            shop=shop,
            order_id=order_id,
            actor=made.actor,
            action=made.action.value,
            detail={"reason": made.reason, "codes": codes},
        )


async def _holds(connection: AsyncConnection, row: OrderRow) -> Sequence[str]:
    made = await documents.of_order(connection, row.shop, row.order_id)
    return [hold.code for hold in (row.hold, *(document.hold for document in made)) if hold]


def _annullable(known: Sequence[KnownDocument], policy: Policy, now: datetime) -> frozenset[str]:
    """A wish for each document of an order; UndecidedError says which of them cannot be annulled, and why."""
    standing = [document for document in known if document.committed]
    if not standing:
        raise UndecidedError("no document of this order stands", fix="nothing to annul; see: syncd order")
    for document in standing:
        why = obstacle(document, policy)
        if not why and (until := last_day(document, policy)) < now.astimezone(LISBON).date():
            why = f"{document.key.part} could be annulled until {until}"
        if why:
            raise UndecidedError(
                f"it cannot be annulled: {why}", fix="cancel or refund the order in the shop: it is credited"
            )
    return frozenset(wish(document.key.part) for document in standing)
