"""Is what the service answered what was planned? Pure."""

from syncd.domain.capabilities import Arithmetic
from syncd.domain.document import Amounts, DocumentDraft, DocumentKind, IssuedDocument, PriceMode
from syncd.mapping.amounts import HUNDRED, unlike


def differences(draft: DocumentDraft, issued: IssuedDocument) -> tuple[str, ...]:
    """Each figure of the answer that is not the plan's, with both; empty if the document is right."""
    found = [
        f"{name} {answered} instead of {planned}"
        for name, planned, answered in _pairs("total", draft.expected, issued.totals)
        # A receipt shows no tax of its own that could be compared.
        if draft.kind is not DocumentKind.RC or name == "total gross"
    ]
    if draft.kind is DocumentKind.RC:
        return tuple(found)
    if len(issued.lines) != len(draft.lines):
        return (*found, f"{len(issued.lines)} lines instead of {len(draft.lines)}")
    for number, (line, expected, answered) in enumerate(
        zip(draft.lines, draft.expected_lines, issued.lines, strict=True), start=1
    ):
        if answered.vat_rate is not None and answered.vat_rate != line.vat_rate:
            found.append(f"line {number} rate {answered.vat_rate} instead of {line.vat_rate}")
        if answered.exemption is not None and answered.exemption != line.exemption:
            found.append(f"line {number} exemption {answered.exemption} instead of {line.exemption}")
        shown = Amounts(net=answered.net, tax=answered.tax, gross=answered.gross)
        found.extend(
            f"{name} {got} instead of {planned}" for name, planned, got in _pairs(f"line {number}", expected, shown)
        )
    return tuple(found)


def claims_of(draft: DocumentDraft) -> frozenset[str]:
    """What must be proven of a service before it is trusted to add this document up as planned.

    Its shape, and that the service follows none of the arithmetics under which just this document would come out
    otherwise: a document of one line is the same under all of them, and proves nothing of one with twenty.
    """
    return frozenset({shape_of(draft), *map(refutation, unlike(draft))})


def refutation(arithmetic: Arithmetic) -> str:
    """The claim that a service does not add up in this way."""
    return f"not {arithmetic}"


def shape_of(draft: DocumentDraft) -> str:
    """A name for everything that can make a service add up a document in another way."""
    traits = {
        "gross": draft.price_mode is PriceMode.GROSS,
        "discount": any(line.discount == HUNDRED for line in draft.lines),  # a gift makes nothing of any price
        "percentage": any(line.discounts and line.discount != HUNDRED for line in draft.lines),
        "successive": any(line.successive for line in draft.lines),
        "rates": len({line.vat_rate for line in draft.lines}) > 1,
        "exempt": any(line.exemption for line in draft.lines),
        "rounding": bool(draft.rounding),
    }
    base = "credit" if draft.kind is DocumentKind.NC else "sale"
    return "+".join([base, *(name for name, present in traits.items() if present)])


def _pairs(name: str, planned: Amounts, answered: Amounts) -> list[tuple[str, object, object]]:
    fields = ("net", "tax", "gross")
    return [
        (f"{name} {field}", getattr(planned, field), getattr(answered, field))
        for field in fields
        if getattr(planned, field) != getattr(answered, field)
    ]
