"""Annulling a document at the service: once decided it is carried out, refused, or asked again until it is known.

Doing it twice is harmless. An unknown outcome is read back first all the same: the service may refuse a second request
for another reason than that it has done the first, and then a credit note over an annulled document would follow.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from syncd.dispatch.outcome import Outcome, outcome_of
from syncd.dispatch.recovery import MOST_FAULTS
from syncd.domain.errors import RefusedError, ServiceError, UncertainError
from syncd.domain.hold import Hold
from syncd.domain.states import DocumentState
from syncd.providers.port import InvoicingService
from syncd.store import annulments, trail
from syncd.store.annulments import Annulling
from syncd.store.engine import Database

log = structlog.get_logger()


async def annul(
    service: InvoicingService,
    database: Database,
    taken: Annulling,
    *,
    settle: timedelta,
    jitter: float,
    now: Callable[[], datetime],
) -> Outcome:
    """Annul a document and write down what came of it; its order is planned again as soon as that is known."""
    outcome, why = await _asked(service, taken, settle=settle, jitter=jitter)
    refused = why if outcome.state is DocumentState.ISSUED else ""
    async with database.write() as connection:
        at = now()
        await annulments.record(
            connection, taken, outcome.state, refused=refused, run_at=at + outcome.delay, hold=outcome.hold, now=at
        )
        action = trail.ANNUL_REFUSED if refused else outcome.state.value
        told = {"reason": taken.reason, "provider_id": taken.provider_id, "number": taken.number, "why": why}
        detail = {name: text for name, text in told.items() if text}
        await trail.of_document(connection, taken.key, at=at, action=action, detail=detail)
    log.info("document.annulment", document=str(taken.key), number=taken.number, state=outcome.state.value, why=why)
    return outcome


async def _asked(
    service: InvoicingService, taken: Annulling, *, settle: timedelta, jitter: float
) -> tuple[Outcome, str]:
    try:
        if not (taken.unclear and (await service.read(taken.provider_id)).annulled):
            await service.annul(taken.provider_id, taken.reason)
    except RefusedError as error:
        # Too late, or something stands beside it that nobody here knows of: it can only be credited.
        return Outcome(state=DocumentState.ISSUED), f"{error} ({error.code})"
    except ServiceError as error:
        outcome = outcome_of(error, attempt=taken.tries + 1, jitter=jitter, settle=settle)
        hold = None
        if isinstance(error, UncertainError) and taken.unclear + 1 >= MOST_FAULTS:
            hold = Hold(
                code="annul_unclear",
                message=f"{taken.number} was to be annulled, and nobody can tell whether it is: {error}",
                fix="look at the document at the service; then release the order to have it asked for again",
            )
        return replace(outcome, state=DocumentState.ANNULLING, hold=hold), str(error)
    return Outcome(state=DocumentState.ANNULLED), ""
