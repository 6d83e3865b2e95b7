"""What a failure means for a document: pure, so that the policy can be read and tested as a table."""

from dataclasses import dataclass
from datetime import timedelta

from syncd.domain.errors import (
    AccountBlockedError,
    DiscrepancyError,
    MisjudgedAccountError,
    NoEffectError,
    RefusedError,
    ServiceError,
    StaleReferenceError,
)
from syncd.domain.hold import Hold
from syncd.domain.patience import backoff
from syncd.domain.states import DocumentState

STALE_TRIES = 4
LONGEST_WAIT = timedelta(minutes=1)  # the account's own rest keeps requests few while a service is away
PLANNING = timedelta(seconds=2)  # a new plan is ready by then, and has its own time


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The document's next state and when to look at it again; a hold if a person must act; `pause` stops the account."""

    state: DocumentState
    delay: timedelta = timedelta()
    hold: Hold | None = None
    pause: Hold | None = None


def outcome_of(error: ServiceError, *, attempt: int, jitter: float, settle: timedelta) -> Outcome:
    """`attempt` counts from 1; `jitter` is a factor around 1. What is not known for certain is uncertain."""
    as_hold = Hold(code=error.code or "service", message=str(error), fix=error.fix or "look at the service's answer")
    match error:
        case RefusedError():
            outcome = Outcome(state=DocumentState.HELD, hold=as_hold)
        case MisjudgedAccountError():
            outcome = Outcome(state=DocumentState.PLANNED, delay=PLANNING)
        case AccountBlockedError():
            outcome = Outcome(state=DocumentState.PLANNED, pause=as_hold)
        case StaleReferenceError():
            outcome = Outcome(state=DocumentState.PLANNED)
            if attempt >= STALE_TRIES:
                outcome = Outcome(state=DocumentState.HELD, hold=as_hold)
        case NoEffectError():
            delay = error.retry_after or min(backoff(attempt, jitter), LONGEST_WAIT)
            outcome = Outcome(state=DocumentState.PLANNED, delay=delay)
        case DiscrepancyError():
            outcome = Outcome(state=DocumentState.ISSUED, hold=as_hold)
        case _:
            outcome = Outcome(state=DocumentState.UNCERTAIN, delay=settle)
    return outcome
