"""What shops say about orders, raw: the events that the ledger keeps."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FactKind(StrEnum):
    """What a payload tells of an order."""

    ORDER = "order"  # its whole state
    REFUND = "refund"  # the detail of one refund
    DELETED = "deleted"  # the shop has thrown it away
    HINT = "hint"  # it changed: ask the shop


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing a shop said about one order.

    `version` is the platform's time of last change; `rank` orders states that share it (larger is later).
    `part` is the refund's id for a refund, else empty. `payload` is the raw JSON that `Shop.read` understands.
    """

    kind: FactKind
    order_id: str
    topic: str
    payload: bytes
    version: datetime
    rank: int = 0
    part: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """The newest state of an order with the refund details known so far, all raw.

    `events` are the ids of the stored events that they stood in.
    """

    order: bytes
    refunds: tuple[bytes, ...] = ()
    deleted: bool = False
    events: tuple[str, ...] = ()
