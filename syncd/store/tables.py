"""The ledger's rows and unique keys.

The classes are its typed schema; queries are written on the tables at the end, because an ORM session costs ten times
as much per row. Values that SQL compares (states, empty texts in partial indexes) are plain strings.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from syncd.store import append_only
from syncd.store.types import BigId, Json, Money

# Conditions of partial indexes, which a query must repeat word by word.
NOT_ISSUED = "issued_at IS NULL AND state <> 'withdrawn'"
OPEN = "resolved_at IS NULL"
NUMBERED = "number <> ''"


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


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> sa.Index:
    """An index over the few rows that still wait for something."""
    return sa.Index(name, *columns, unique=unique, sqlite_where=sa.text(where), info={"where": where})


class Event(Ledger, table=True):
    """What a shop told us, raw. Never changed."""

    __tablename__ = "event"
    __table_args__ = (
        # By order: what arrives together stands together, where the digest alone would touch a page for each event.
        sa.UniqueConstraint("shop", "order_id", "digest"),
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
        _partial("ix_shop_order_awaits", "awaits", where="awaits IS NOT NULL"),
        _partial("ix_shop_order_fetch", "lane", "fetch_at", where="fetch_at IS NOT NULL"),
        sa.Index(None, "state", "shop", "id"),
        _partial("ix_shop_order_number", "number", where=NUMBERED),
        _partial("ix_shop_order_deadline", "account", "deadline_at", where="deadline_at IS NOT NULL"),
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
    awaits: str | None  # the inquiry without whose answer it cannot be planned
    deadline_at: datetime | None  # of what it would become, while it waits without a document
    # How many entries the order's trail has, and the hash of the last: what is cut off at its end is missed as well.
    trail_seq: int = Field(sa_column=sa.Column(sa.Integer, nullable=False, server_default=sa.text("0")))
    trail_head: str = Field(sa_column=sa.Column(sa.Text, nullable=False, server_default=sa.text("''")))


class Document(Ledger, table=True):
    """A document that should exist, is on its way, or exists. One cause (part) never has two."""

    __tablename__ = "document"
    __table_args__ = (
        sa.UniqueConstraint("key"),
        sa.UniqueConstraint("shop", "order_id", "part"),
        sa.ForeignKeyConstraint(["shop", "order_id"], ["shop_order.shop", "shop_order.order_id"]),
        _partial("ix_document_claim", "account", "lane", "shop", "run_at", "id", where="state = 'planned'"),
        _partial("ix_document_uncertain", "account", "run_at", where="state = 'uncertain'"),
        _partial("ix_document_issuing", "account", where="state = 'issuing'"),
        _partial("ix_document_annulling", "account", "run_at", where="state = 'annulling'"),
        _partial("ix_document_waiting", "original_key", where="state = 'waiting'"),
        _partial("ix_document_issued", "account", "issued_at", where="issued_at IS NOT NULL"),
        _partial("ix_document_deadline", "account", "deadline_at", where=NOT_ISSUED),
        _partial("ix_document_number", "number", where=NUMBERED),
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
    deadline_at: datetime | None  # the end of its last lawful day
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
    annul_reason: str = Field(sa_column=sa.Column(sa.Text, nullable=False, server_default=sa.text("''")))
    annul_refused: str = Field(sa_column=sa.Column(sa.Text, nullable=False, server_default=sa.text("''")))
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


class Alert(Ledger, table=True):
    """Something that a person should know. One is open for a cause at a time; closed ones stay."""

    __tablename__ = "alert"
    __table_args__ = (
        _partial("uq_alert_open", "code", "subject", where=OPEN, unique=True),
        _partial("ix_alert_tell", "tell_at", where="tell_at IS NOT NULL"),
    )

    id: int = Field(sa_column=sa.Column(BigId, primary_key=True))
    code: str
    subject: str
    message: str
    fix: str
    raised_at: datetime
    gone_at: datetime | None  # its cause is gone since then
    resolved_at: datetime | None
    told: int  # how often people were told of it
    tell_at: datetime | None  # when they are to be told next
    tries: int  # that failed since they were last told


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


class Inquiry(Ledger, table=True):
    """A question to a public register that has no answer yet. Asked once, whatever the number of orders that wait."""

    __tablename__ = "inquiry"
    __table_args__ = (sa.Index(None, "next_at"),)

    key: str = Field(primary_key=True)
    addressee: str  # a Register
    subject: str  # a VAT number, or a day
    requester: str
    since: datetime
    next_at: datetime
    tries: int
    problem: str  # why the last try gave no answer


class Consultation(Ledger, table=True):
    """What VIES answered, as evidence. Only ever added to."""

    __tablename__ = "consultation"
    __table_args__ = (sa.Index(None, "number", "requester", "asked_at"),)

    id: int = Field(sa_column=sa.Column(BigId, primary_key=True))
    number: str
    requester: str
    valid: bool
    asked_at: datetime
    reference: str
    name: str
    address: str
    answer: bytes


class RateTable(Ledger, table=True):
    """Rates of exchange of the day that was asked for, or the last published before. Only ever added to."""

    __tablename__ = "rate_table"

    day: date = Field(primary_key=True)
    published: date
    source: str
    per_euro: dict[str, Any] = Field(sa_column=sa.Column(Json, nullable=False))
    fetched_at: datetime


class Trail(Ledger, table=True):
    """Who did what to an order, one chain for each. Only ever added to."""

    __tablename__ = "trail"
    __table_args__ = (sa.UniqueConstraint("shop", "order_id", "seq"),)

    id: int = Field(sa_column=sa.Column(BigId, primary_key=True))
    at: datetime
    shop: str
    order_id: str
    seq: int
    document_key: str
    actor: str
    action: str
    detail: dict[str, Any] = Field(sa_column=sa.Column(Json, nullable=False))
    hash: str


append_only.guard(Ledger.metadata)


def _table(name: str) -> sa.Table:
    return Ledger.metadata.tables[name]


event = _table("event")
shop_order = _table("shop_order")
document = _table("document")
attempt = _table("attempt")
reference = _table("reference")
poller = _table("poller")
alert = _table("alert")
account = _table("account")
lease = _table("lease")
inquiry = _table("inquiry")
consultation = _table("consultation")
rate_table = _table("rate_table")
trail = _table("trail")


def complete_for_postgres() -> None:
    """Give the partial indexes their condition on Postgres; saying it above would load that dialect everywhere."""
    for table in Ledger.metadata.tables.values():
        for index in table.indexes:
            if where := index.info.get("where"):
                index.dialect_options["postgresql"]["where"] = sa.text(where)
