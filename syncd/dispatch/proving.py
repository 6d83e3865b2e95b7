"""Prove, then trust: whether an account adds documents up as planned.

What no reference can tell for every account (how it rounds, what a discount does to it) is shown by drafts. A document
that claims something unproven goes out as a draft first, and is made final only if its figures are the plan's to the
cent; from then on what it claimed is trusted. Where the figures are those of another known arithmetic, that is how the
account works, and its orders are planned anew; what nothing explains holds the order and blocks the claim.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import orjson
import structlog

from syncd.dispatch.verify import claims_of, differences, refutation
from syncd.domain.capabilities import Arithmetic, Profile
from syncd.domain.document import DocumentDraft, IssuedDocument
from syncd.domain.errors import MisjudgedAccountError, RefusedError, ServiceError, UncertainError
from syncd.mapping.amounts import explain, unlike
from syncd.mapping.texts import fingerprint
from syncd.providers.port import InvoicingService, Issue
from syncd.store import orders, profiles, references
from syncd.store.codec import dump_draft
from syncd.store.documents import Claimed
from syncd.store.engine import Database

log = structlog.get_logger()

# Kinds of references: claims that the account was seen to keep, and those that it did not; and drafts that an
# interrupted proof has left at the service, by document.
PROVEN, BLOCKED, LEFT_BEHIND = "proven_shape", "blocked_shape", "left_draft"


class Prover:
    """Issues one account's documents, each by way of a draft until what it claims is proven."""

    def __init__(
        self, account: str, service: InvoicingService, database: Database, *, now: Callable[[], datetime]
    ) -> None:
        self._account = account
        self._service = service
        self._database = database
        self._now = now
        self._directory = references.LedgerDirectory(database, account)
        self._misjudged: dict[int, DocumentDraft] = {}  # contents that were sent back to be planned anew

    async def issue(self, claimed: Claimed, final: Issue) -> IssuedDocument:
        """One request where everything is proven, else two: a draft to compare, and the same made final."""
        if not (self._service.capabilities.drafts and final.draft.lines):
            return await self._service.issue(final)
        claims = claims_of(final.draft)
        unproven = claims - (await self._directory.get(PROVEN, tuple(sorted(claims)))).keys()
        if unproven and (blocked := await self._directory.get(BLOCKED, tuple(sorted(unproven)))):
            raise RefusedError(
                f"an earlier document like this one ({', '.join(sorted(blocked))}) did not add up at the service",
                code="shape_blocked",
                fix="settle that order first; retrying either of them proves the shape again",
            )
        left = await self._left_behind(claimed) if claimed.attempts > 1 else ""
        if not (unproven or left):
            return await self._service.issue(final)
        issued = await self._finalise(claimed, replace(final, finalise=left or await self._drafted(final, unproven)))
        await self._remember(unproven, PROVEN)
        if left:
            await self.forget_draft(claimed)
        return issued

    async def verdict_on(self, claimed: Claimed, error: MisjudgedAccountError) -> ServiceError:
        """The error itself if planning anew can help, else what it means where settings have forced the same plan again.

        Then no further document that rests on the same belief is sent.
        """
        if self._misjudged.get(claimed.id) != claimed.draft:
            return error
        async with self._database.read() as connection:
            row = await orders.get(connection, claimed.key.shop, claimed.key.order_id)
        if row is not None and row.plan_at is not None:
            return error
        if error.seen.arithmetic is not None:
            await self._remember(frozenset({refutation(error.seen.arithmetic)}), BLOCKED)
        return error.otherwise

    async def learn(self, claimed: Claimed, seen: Profile) -> None:
        """Note how the account works, and have planned anew what was planned in another belief.

        Only once the outcome of `claimed` is written down: until then its order cannot be planned anew.
        """
        now = self._now()
        self._misjudged[claimed.id] = claimed.draft
        async with self._database.write() as connection:
            before = await profiles.of(connection, self._account)
            await profiles.note(connection, self._account, seen)
            if await profiles.of(connection, self._account) == before:
                await orders.replan(connection, claimed.key.shop, claimed.key.order_id, now=now)
                return
            await orders.replan_unsent(connection, self._account, now=now)
        log.warning("account.learned", account=self._account, arithmetic=seen.arithmetic, prices=dict(seen.price_modes))

    async def forget_draft(self, claimed: Claimed) -> None:
        """None is left: a search has removed it, or an earlier one has, whose process died before it could say so."""
        async with self._database.write() as connection:
            await references.forget_one(connection, self._account, LEFT_BEHIND, str(claimed.id))

    async def _drafted(self, final: Issue, unproven: frozenset[str]) -> str:
        """The id of a draft that shows the plan's figures; one that shows others goes, and is an error."""
        draft = await self._service.issue(replace(final, as_draft=True))
        wrong = differences(final.draft, draft)
        if not wrong:
            return draft.provider_id
        refused = RefusedError(
            f"as a draft the service shows {'; '.join(wrong[:4])}",
            code="arithmetic_mismatch",
            fix="compare the account's rounding and price settings (fiscal.arithmetic, the shop's show_discounts), "
            "then retry the order",
        )
        seen = await self._explained(final.draft, draft)
        if seen is None:
            await self._remember(unproven, BLOCKED)
        await self._service.delete_draft(draft.provider_id)
        raise refused if seen is None else MisjudgedAccountError(seen=Profile(arithmetic=seen), otherwise=refused)

    async def _explained(self, planned: DocumentDraft, draft: IssuedDocument) -> Arithmetic | None:
        """The arithmetic behind a draft's figures, None where none explains them that was not seen to be wrong before.

        Several may, because most documents come out alike under some: any of them serves, since the first document
        under which they differ is proven by a draft again.
        """
        fitting = explain(planned, draft) & unlike(planned)
        if not fitting:
            return None
        known = await self._directory.get(PROVEN, tuple(refutation(way) for way in Arithmetic))
        await self._remember(frozenset(refutation(way) for way in Arithmetic if way not in fitting), PROVEN)
        return next((way for way in Arithmetic if way in fitting and refutation(way) not in known), None)

    async def _finalise(self, claimed: Claimed, final: Issue) -> IssuedDocument:
        try:
            return await self._service.issue(final)
        except UncertainError:
            raise  # the search for the document finds the draft as well, and removes it
        except ServiceError:
            # Still a draft, and proven right: the next try makes it final instead of leaving it behind.
            left = orjson.dumps([final.finalise, _content(claimed.draft)]).decode()
            async with self._database.write() as connection:
                await references.put_many(connection, self._account, LEFT_BEHIND, {str(claimed.id): left})
            raise

    async def _left_behind(self, claimed: Claimed) -> str:
        """The draft that an earlier try left at the service, "" if none; one of other content goes."""
        noted = await self._directory.get(LEFT_BEHIND, (str(claimed.id),))
        if not noted:
            return ""
        draft_id, content = orjson.loads(noted[str(claimed.id)])
        if content == _content(claimed.draft):
            return str(draft_id)
        await self._service.delete_draft(str(draft_id))
        await self.forget_draft(claimed)
        return ""

    async def _remember(self, claims: frozenset[str], verdict: str) -> None:
        async with self._database.write() as connection:
            at = self._now().isoformat()
            await references.put_many(connection, self._account, verdict, dict.fromkeys(claims, at))


def _content(draft: DocumentDraft) -> str:
    return fingerprint(dump_draft(draft))
