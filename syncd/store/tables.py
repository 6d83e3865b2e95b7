"""The ledger's rows and unique keys.

The classes are its typed schema; queries are written on the tables at the end, because an ORM session costs ten times
as much per row. Values that SQL compares (states, empty texts in partial indexes) are plain strings.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from syncd.store.types import BigId, Json, Money


class Ledger(SQLModel):
    """Base of all rows; its own metadata keeps other users of SQLModel in this process out of our schema."""

    metadata: ClassVar[sa.MetaData] = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def _partial(name: str, *columns: str, where: str) -> sa.Index:
    """An index over the few rows that still wait for something."""
    return sa.Index(name, *columns, sqlite_where=sa.text(where), info={"where": where})


class Event(Ledger, table=True):
    """What a shop told us, raw. Never changed."""

    __tablename__ = "event"
    __table_args__ = (
        sa.UniqueConstraint("shop", "digest"),
        sa.Index(None, "shop", "order_id", "kind"),
        _partial("ix_event_problem", "id", where="problem <> ''"),
    )

    id: str = Field(primary_key=True)  # sorts by the time of arrival
    shop: str
    kind: str  # a FactKind, empty for a problem
    topic: str
    order_id: str
    part: str
    version: int = Field(sa_type=sa.BigInteger)  # microseconds since 1970
    rank: int
    digest: str
    source: str  # webhook, poll, queue, backfill, fetch, cli
    problem: str
    payload: bytes
    received_at: datetime


class ShopOrder(Ledger, table=True):
    """The newest known state of an order and what is to be done about it."""

    __tablename__ = "shop_order"
    __table_args__ = (
        sa.UniqueConstraint("shop", "order_id"),
        _partial("ix_shop_order_plan", "lane", "plan_at", where="plan_at IS NOT NULL"),
        _partial("ix_shop_order_fetch", "lane", "fetch_at", where="fetch_at IS NOT NULL"),
        sa.Index(None, "state", "shop"),
    )

    id: int = Field(sa_column=sa.Column(BigId, primary_key=True))
    shop: str
    order_id: str
    account: str
    number: str
    state: str
    lane: int  # 0 live, 1 backfill
    version: int = Field(sa_type=sa.BigInteger)
    rank: int
    event_id: str | None = Field(foreign_key="event.id")  # none while the order itself is not known
    # The newest deletion, even one that came before the order itself. A newer state of the order revives it.
    deleted_version: int | None = Field(sa_type=sa.BigInteger)
    revision: int
    plan_at: datetime | None
    fetch_at: datetime | None
    # The newest change that a hint spoke of; only a state at least as new makes asking superfluous.
    fetch_version: int | None = Field(sa_type=sa.BigInteger)
    fetch_tries: int
    hold_code: str
    hold_message: str
    hold_fix: str
    decision: dict[str, Any] | None = Field(sa_column=sa.Column(Json, nullable=True))
    first_seen_at: datetime
    changed_at: datetime
    planned_at: datetime | None


class Document(Ledger, table=True):
    """A document that should exist, is on its way, or exists. One cause (part) never has two."""

    __tablename__ = "document"
    __table_args__ = (
        sa.UniqueConstraint("key"),
        sa.UniqueConstraint("shop", "order_id", "part"),
        sa.ForeignKeyConstraint(["shop", "order_id"], ["shop_order.shop", "shop_order.order_id"]),
        _partial("ix_document_claim", "account", "lane", "run_at", "id", where="state = 'planned'"),
        _partial("ix_document_uncertain", "account", "run_at", where="state = 'uncertain'"),
        _partial("ix_document_issuing", "account", where="state = 'issuing'"),
        _partial("ix_document_waiting", "original_key", where="state = 'waiting'"),
        _partial("ix_document_issued", "account", "issued_at", where="issued_at IS NOT NULL"),
    )

    id: int = Field(sa_column=sa.Column(BigId, primary_key=True))
    key: str
    account: str
    shop: str
    order_id: str
    kind: str
    part: str
    state: str
    lane: int
    due_at: datetime
    run_at: datetime
    draft: str = Field(sa_type=sa.Text)
    original_key: str
    marker: str
    attempts: int
    floor: str  # the highest id at the service known before the first attempt
    provider_id: str
    number: str
    issued: str | None = Field(sa_type=sa.Text)
    net: Decimal | None = Field(sa_type=Money)
    tax: Decimal | None = Field(sa_type=Money)
    gross: Decimal | None = Field(sa_type=Money)
    issued_at: datetime | None
    hold_code: str
    hold_message: str
    hold_fix: str
    created_at: datetime
    changed_at: datetime


class Attempt(Ledger, table=True):
    """A request to a service, written down before it left."""

    __tablename__ = "attempt"
    __table_args__ = (sa.Index(None, "account", "sent_at"), sa.Index(None, "document_id"))

    id: int = Field(sa_column=sa.Column(BigId, primary_key=True))
    account: str
    document_id: int | None = Field(
        sa_column=sa.Column(sa.BigInteger, sa.ForeignKey("document.id"), nullable=True), default=None
    )
    purpose: str
    label: str
    marker: str
    sent_at: datetime
    answered_at: datetime | None
    status: int | None
    outcome: str
    detail: dict[str, Any] | None = Field(sa_column=sa.Column(Json, nullable=True))


class Reference(Ledger, table=True):
    """An account's own record at its service: series, tax, contact, article."""

    __tablename__ = "reference"

    account: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    code: str = Field(primary_key=True)
    value: str
    updated_at: datetime


class Poller(Ledger, table=True):
    """Work that only one process may do at a time, and how far it came."""

    __tablename__ = "poller"

    name: str = Field(primary_key=True)
    cursor: str | None
    next_at: datetime
    owner: str | None
    fence: int
    lease_until: datetime | None
    last_ok_at: datetime | None
    last_error: str


class Account(Ledger, table=True):
    """Whether an account may issue."""

    __tablename__ = "account"

    name: str = Field(primary_key=True)
    paused_code: str
    paused_message: str
    paused_fix: str
    paused_at: datetime | None


class Lease(Ledger, table=True):
    """Who issues for an account, and until when nobody else may."""

    __tablename__ = "lease"

    name: str = Field(primary_key=True)
    owner: str
    fence: int
    until: datetime | None


class Trail(Ledger, table=True):
    """Who did what to an order. Only ever added to."""

    __tablename__ = "trail"
    __table_args__ = (sa.Index(None, "shop", "order_id"),)

    id: int = Field(sa_column=sa.Column(BigId, primary_key=True))
    at: datetime
    shop: str
    order_id: str
    document_key: str
    actor: str
    action: str
    detail: dict[str, Any] | None = Field(sa_column=sa.Column(Json, nullable=True))


def _table(name: str) -> sa.Table:
    return Ledger.metadata.tables[name]


event = _table("event")
shop_order = _table("shop_order")
document = _table("document")
attempt = _table("attempt")
reference = _table("reference")
poller = _table("poller")
account = _table("account")
lease = _table("lease")
trail = _table("trail")


def complete_for_postgres() -> None:
    """Give the partial indexes their condition on Postgres; saying it above would load that dialect everywhere."""
    for table in Ledger.metadata.tables.values():
        for index in table.indexes:
            if where := index.info.get("where"):
                index.dialect_options["postgresql"]["where"] = sa.text(where)
