"""What the daemon needs from an invoicing service, and how an adapter is found.

An adapter is a folder here, or a package of a third party that registers its class in the entry-point group
`syncd.providers` under the service's name.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, Protocol

from pydantic import SecretStr

from syncd.domain.capabilities import Capabilities
from syncd.domain.document import DocumentDraft, DocumentKey, DocumentKind, IssuedDocument
from syncd.domain.findings import Finding
from syncd.domain.states import Purpose

__all__ = [
    "AccountConfig",
    "Call",
    "Directory",
    "Finding",
    "Gateway",
    "InvoicingService",
    "Issue",
    "Listed",
    "Purpose",
    "Search",
    "Usage",
    "capabilities_of",
    "load_service",
    "providers",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an answer said of the account's budget; None where it said nothing."""

    status: int | None
    limit: int | None = None
    remaining: int | None = None
    retry_after: timedelta | None = None


class Call(Protocol):
    """One request on its way, written down before it leaves."""

    def note(self, part: Literal["request", "answer"], said: Mapping[str, object]) -> None:
        """Keep what was said, as plain JSON without secrets and without anything personal, for the trail."""

    def answered(self, usage: Usage) -> None:
        """Note status and budget; not called when no answer came."""


class Gateway(Protocol):
    """The account's budget and journal: every request of an adapter goes through here."""

    def request(self, purpose: Purpose, label: str) -> AbstractAsyncContextManager[Call]:
        """Wait for a slot, write the request down durably, then let it leave; `label` is method and path, no data."""


class Directory(Protocol):
    """What is known of an account's own records, cached in the ledger by kind and code."""

    async def get(self, kind: str, codes: tuple[str, ...]) -> Mapping[str, str]:
        """The ids known for these codes; unknown ones are left out."""

    async def table(self, kind: str) -> Mapping[str, str]:
        """All entries of a kind (a cached list such as `series`), empty if never read."""

    async def replace(self, kind: str, entries: Mapping[str, str]) -> None:
        """Store a list anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    """An adapter's share of the settings, without the settings themselves."""

    name: str
    base_url: str
    token: SecretStr
    timeout_seconds: float
    series: Mapping[str, str] = field(default_factory=dict)  # document kind -> series name; "*" for all others
    options: Mapping[str, str] = field(default_factory=dict)  # the service's own, from [accounts.NAME.options]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One document to be issued: the draft, its marker, and the issued originals that it refers to.

    With `as_draft` nothing of legal effect comes into being; `finalise` is the id of such a draft to be made final.
    """

    draft: DocumentDraft
    marker: str
    originals: Mapping[DocumentKey, IssuedDocument] = field(default_factory=dict)
    as_draft: bool = False
    finalise: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A document whose answer was lost: every marker it was ever sent with, and where to look.

    `newer_than` is the highest provider id known before the first attempt ("" if none), so that a search can stop.
    """

    draft: DocumentDraft
    markers: frozenset[str]
    customer_id: str
    since: date
    newer_than: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A final document as a list of the service shows it."""

    provider_id: str
    number: str
    issued_on: date
    gross: Decimal
    annulled: bool


class InvoicingService(Protocol):
    """An adapter bound to one account."""

    capabilities: Capabilities

    async def issue(self, issue: Issue) -> IssuedDocument:
        """Issue one document in one request.

        Raises RefusedError, AccountBlockedError, NoEffectError, StaleReferenceError or UncertainError; anything that
        is not known for certain is UncertainError. The caller compares the answer with the plan.
        """

    async def find(self, search: Search) -> tuple[IssuedDocument, ...]:
        """All documents (drafts too) that carry one of the markers; raises NoEffectError where it cannot tell."""

    async def read(self, provider_id: str) -> IssuedDocument:
        """One document as the service has it now."""

    def issued_on(self, kind: DocumentKind, first: date, last: date) -> AsyncIterator[Sequence[Listed]]:
        """Final documents of a kind and of these days, page by page; NoEffectError where not all can be told."""

    async def marks(self, provider_id: str) -> frozenset[str]:
        """Every word on a document that may be a marker of ours."""

    async def annul(self, provider_id: str, reason: str) -> None:
        """Cancel a document; RefusedError where the service no longer allows it. Doing it twice is no error."""

    async def delete_draft(self, provider_id: str) -> None:
        """Remove a draft, which has no legal effect."""

    async def email(self, provider_id: str, address: str) -> None:
        """Have the service mail the document. Each call mails again."""

    async def note(self, provider_id: str, text: str) -> None:
        """Put an internal note on a document, instead of the one it has: never over a marker that is still needed."""

    async def check(self) -> tuple[Finding, ...]:
        """What is right and wrong with the account: token, series, taxes, payment methods."""

    async def close(self) -> None:
        """Give connections back."""


@cache  # looking through all that is installed takes several milliseconds
def providers() -> Mapping[str, EntryPoint]:
    """The services with an adapter; nothing of it is imported."""
    return {point.name: point for point in entry_points(group="syncd.providers")}


def load_service(provider: str) -> Callable[[AccountConfig, Gateway, Directory], InvoicingService]:
    """The adapter class registered for a service; ValueError names the known ones."""
    if provider not in providers():
        raise ValueError(f"unknown provider {provider!r}; known: {', '.join(sorted(providers()))}")
    adapter: Callable[[AccountConfig, Gateway, Directory], InvoicingService] = providers()[provider].load()
    return adapter


def capabilities_of(provider: str) -> Capabilities:
    """What a service can do, without talking to it: adapters declare it on their class."""
    adapter: type[InvoicingService] = load_service(provider)  # type: ignore[assignment]
    return adapter.capabilities
