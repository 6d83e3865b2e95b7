"""Drafts and issued documents as JSON text: every digit and every time comes back as it was."""

from functools import cache

from pydantic import TypeAdapter

from syncd.domain.document import DocumentDraft, IssuedDocument

# Built at the first use: an adapter costs milliseconds, and not every command needs one.


@cache
def _drafts() -> TypeAdapter[DocumentDraft]:
    return TypeAdapter(DocumentDraft)


@cache
def _issued() -> TypeAdapter[IssuedDocument]:
    return TypeAdapter(IssuedDocument)


def dump_draft(draft: DocumentDraft) -> str:
    """The same draft gives the same text."""
    return _drafts().dump_json(draft).decode()


def load_draft(text: str) -> DocumentDraft:
    return _drafts().validate_json(text)


def dump_issued(issued: IssuedDocument) -> str:
    return _issued().dump_json(issued).decode()


def load_issued(text: str) -> IssuedDocument:
    return _issued().validate_json(text)
