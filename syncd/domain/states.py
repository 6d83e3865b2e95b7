"""States that the ledger keeps and the commands print."""

from enum import StrEnum


class OrderState(StrEnum):
    """Where an order stands as a whole."""

    PENDING = "pending"  # nothing due yet
    PLANNED = "planned"
    ISSUING = "issuing"
    ISSUED = "issued"
    HELD = "held"  # a person must decide
    SKIPPED = "skipped"  # a person decided that nothing is issued


class DocumentState(StrEnum):
    """A document's life; `WAITING` until its original is issued, `WITHDRAWN` when no longer due and never sent.

    `ANNULLING` was issued and is to be annulled at the service, which is harmless to ask for twice; `ANNULLED` was, and
    counts as if it had never been issued.
    """

    WAITING = "waiting"
    PLANNED = "planned"
    ISSUING = "issuing"
    UNCERTAIN = "uncertain"
    ISSUED = "issued"
    HELD = "held"
    WITHDRAWN = "withdrawn"
    ANNULLING = "annulling"
    ANNULLED = "annulled"


# States in which the service has certainly not been given this document, so that its content may still change.
UNSENT = frozenset({DocumentState.WAITING, DocumentState.PLANNED, DocumentState.HELD, DocumentState.WITHDRAWN})


class Purpose(StrEnum):
    """What a request is booked under."""

    ISSUE = "issue"
    ANNUL = "annul"
    VERIFY = "verify"  # looking for a document whose answer was lost
    LOOKUP = "lookup"  # series, taxes, payment methods
    WRITE_BACK = "write_back"  # e-mail, notes
    AUDIT = "audit"
