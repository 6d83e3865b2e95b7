"""In what a plan made again differs from documents that exist: which document, which figure, before and now."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from syncd.domain.document import DocumentDraft
from syncd.mapping.planner import Plan
from syncd.mapping.report import document_json

# Not on the document: when it was wanted and until when, what a later edit and the service's answer are compared with.
OFF_DOCUMENT = frozenset({"key", "due_at", "deadline", "covers", "expected_at_service"})
# Reasons explain a figure that differs. Where all figures are the same, other words for them are no difference.
REASONS = frozenset({"why", "why_codes"})


class Change(StrEnum):
    """What would be otherwise."""

    CHANGED = "changed"
    MISSING = "missing"  # would not be made
    NEW = "new"  # would be made as well
    HELD = "held"  # a person would be asked
    RELEASED = "released"  # nobody would be asked any more
    UNTRACED = "untraced"  # the ledger does not say what it was made from


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure or text of a document; "" where it is not there."""

    where: str
    was: str
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """`document` is a key, empty for a hold, whose code stands in `figures`; `because` is the plan's own reason."""

    change: Change
    document: str = ""
    figures: tuple[Figure, ...] = ()
    because: str = ""


def differences(had: Mapping[str, DocumentDraft], held: frozenset[str], made: Plan) -> Iterator[Difference]:
    """What differs between documents (by their part) with hold codes, and a plan that should say the same."""
    now = {draft.key.part: draft for draft in made.documents}
    for part, was in had.items():
        if part not in now:
            yield Difference(change=Change.MISSING, document=str(was.key), because=made.reason)
        elif figures := differing(was, now[part]):
            yield Difference(change=Change.CHANGED, document=str(was.key), figures=figures)
    for part, draft in now.items():
        if part not in had:
            gross = Figure("totals.gross", "", f"{draft.totals.gross:.2f}")
            yield Difference(change=Change.NEW, document=str(draft.key), figures=(gross,))
    for hold in made.holds:
        if hold.code not in held:
            yield Difference(change=Change.HELD, figures=(Figure("hold", "", hold.code),), because=hold.message)
    for code in sorted(held - {hold.code for hold in made.holds}):
        yield Difference(change=Change.RELEASED, figures=(Figure("hold", code, ""),))


def differing(was: DocumentDraft, now: DocumentDraft) -> tuple[Figure, ...]:
    """The figures in which two versions of a document differ; none if only reasons and times do."""
    if was == now:  # nearly always, and far cheaper than what follows
        return ()
    before, after = dict(_figures(was)), dict(_figures(now))
    found = [
        Figure(where, before.get(where, ""), after.get(where, ""))
        for where in {**before, **after}
        if before.get(where, "") != after.get(where, "")
    ]
    return tuple(found) if any(figure.where.rpartition(".")[2] not in REASONS for figure in found) else ()


def _figures(draft: DocumentDraft) -> Iterator[tuple[str, str]]:
    """Everything that a document says, by the place where it says it."""
    told = {name: value for name, value in document_json(draft).items() if name not in OFF_DOCUMENT}
    yield from _flat("", told | {"rounding": f"{draft.rounding:.2f}"})


def _flat(where: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a part of a document's JSON
    if isinstance(value, dict):
        for name, each in value.items():
            if name != "why_codes":
                yield from _flat(f"{where}.{name}" if where else name, each)
    elif isinstance(value, list):
        seen: dict[str, int] = {}
        for each in value:
            name = _name(each)
            seen[name] = seen.get(name, 0) + 1
            yield from _flat(f"{where}[{name if seen[name] == 1 else f'{name}, {seen[name]}'}]", each)
    else:
        yield where, "" if value is None else str(value)


def _name(entry: Any) -> str:  # noqa: ANN401 - an entry of a list in a document's JSON
    """What an entry is recognised by in both versions: an order line, a tax's rate, a reference's key."""
    if not isinstance(entry, dict):
        return str(entry)
    if "line_id" in entry:
        return str(entry["line_id"])
    return str(entry.get("key") or f"{entry['rate']} %{' ' + entry['exemption'] if entry['exemption'] else ''}")
