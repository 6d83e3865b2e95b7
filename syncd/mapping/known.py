"""What the ledger already knows of an order's documents."""

from dataclasses import dataclass
from datetime import datetime

from syncd.domain.document import DocumentDraft, DocumentKey, DocumentKind
from syncd.domain.states import UNSENT, DocumentState


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDocument:
    """A document of the ledger: planned, on its way, issued, or annulled.

    `told_of` says that a request has left which may have brought it to its buyer, `annul_refused` why the service
    would not annul it.
    """

    key: DocumentKey
    state: DocumentState
    draft: DocumentDraft
    issued_at: datetime | None = None
    told_of: bool = False
    annul_refused: str = ""

    @property
    def kind(self) -> DocumentKind:
        return self.key.kind

    @property
    def committed(self) -> bool:
        """Whether the service may have it, so that only a correcting document, or annulling it, can change anything."""
        return self.state not in UNSENT and not self.annulled

    @property
    def annulled(self) -> bool:
        """Whether it counts as if it had never been issued; its part stays taken."""
        return self.state is DocumentState.ANNULLED
