"""What the ledger already knows of an order's documents."""

from dataclasses import dataclass

from syncd.domain.document import DocumentDraft, DocumentKey, DocumentKind, IssuedDocument
from syncd.domain.states import UNSENT, DocumentState


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDocument:
    """A document of the ledger: planned, on its way, or issued."""

    key: DocumentKey
    state: DocumentState
    draft: DocumentDraft
    issued: IssuedDocument | None = None

    @property
    def kind(self) -> DocumentKind:
        return self.key.kind

    @property
    def committed(self) -> bool:
        """Whether the service may have it, so that only a correcting document can change anything."""
        return self.state not in UNSENT
