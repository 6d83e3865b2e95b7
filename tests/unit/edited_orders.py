"""An order as it was sold and as it is now, and what the plan adds for the difference."""

from datetime import timedelta
from typing import Any

from syncd.domain.document import DocumentDraft
from syncd.domain.order import LineKind, Order, OrderLine
from syncd.mapping.planner import plan
from tests.builders import PAID_AT, a_line, a_policy, an_order, issued

LATER = PAID_AT + timedelta(hours=3)
CUP, PLATE = a_line("10.00"), a_line("5.00", id="2", sku="PRATO", name="Prato")
BOOK = a_line("10.60", id="3", sku="LIVRO", name="Livro", rate="6")
DISCOUNT = a_line("-2.00", id="d", kind=LineKind.FEE)


def sold(*lines: OrderLine) -> tuple[Order, list[DocumentDraft]]:
    order = an_order(*lines)
    return order, list(plan(order, (), a_policy()).documents)


def now(*lines: OrderLine, **changes: Any) -> Order:
    return an_order(*lines, **{"updated_at": LATER, **changes})


def planned(order: Order, documents: list[DocumentDraft]) -> list[tuple[str, str, str]]:
    """What the plan adds, as kind, part and gross; it goes to the documents."""
    made = plan(order, issued(*documents), a_policy())
    assert not made.holds, made.holds
    documents.extend(made.documents)
    return [(draft.kind.value, draft.key.part, str(draft.totals.gross)) for draft in made.documents]


def held(order: Order, documents: list[DocumentDraft]) -> str:
    made = plan(order, issued(*documents), a_policy())
    assert made.documents == ()
    return made.holds[0].message if made.holds and made.holds[0].code == "order_changed" else ""
