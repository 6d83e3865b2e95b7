"""What is annulled instead of credited, and what is issued in its place."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from syncd.domain.capabilities import AnnulWindow
from syncd.domain.document import DocumentDraft
from syncd.domain.order import Lifecycle, Order, PaymentState
from syncd.domain.states import DocumentState
from syncd.mapping.annulments import wish
from syncd.mapping.known import KnownDocument
from syncd.mapping.planner import Plan, plan
from syncd.mapping.policy import OnCancel, PaidDocument, Policy
from syncd.operations import Known, dry_run
from syncd.settings import load
from syncd.terminal import show_plan
from tests.builders import ABLE, PAID_AT, a_line, a_policy, a_refund, an_order, grosses, issued

# Issued on the 20th of November: until the 25th.
LATER = PAID_AT + timedelta(hours=3)


def annuls(**changes: Any) -> Policy:
    able = replace(ABLE, annuls=AnnulWindow(days=5))
    return a_policy(**{"capabilities": able, "on_cancel": OnCancel.ANNUL, **changes})


def cancelled(order: Order, **changes: Any) -> Order:
    return replace(order, **{"lifecycle": Lifecycle.CANCELLED, "cancelled_at": LATER, "updated_at": LATER, **changes})


def known(*drafts: DocumentDraft, **changes: Any) -> list[KnownDocument]:
    return [replace(document, **{"issued_at": PAID_AT, **changes}) for document in issued(*drafts)]


def sold(order: Order, policy: Policy | None = None) -> DocumentDraft:
    return plan(order, (), policy or annuls()).documents[0]


def annulled_parts(made: Plan) -> list[str]:
    assert not made.documents
    return [annulment.key.part for annulment in made.annulments]


def test_a_cancelled_order_is_annulled_where_the_shop_wants_it() -> None:
    order = an_order()
    made = plan(cancelled(order), known(sold(order)), annuls())
    assert annulled_parts(made) == ["sale"]
    assert made.annulments[0].reason == "Anulação da encomenda 1001"


def test_a_cancelled_order_is_credited_unless_the_shop_wants_otherwise() -> None:
    order, policy = an_order(), annuls(on_cancel=OnCancel.CREDIT)
    made = plan(cancelled(order), known(sold(order)), policy)
    assert (grosses(made.documents), made.annulments) == ([("NC", "12.30")], ())


def test_money_given_back_with_a_cancellation_needs_no_credit_note_beside_the_annulment() -> None:
    order = an_order()
    made = plan(cancelled(order, refunds=(a_refund("12.30"),)), known(sold(order)), annuls())
    assert annulled_parts(made) == ["sale"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"told_of": True}, "it may have reached its buyer"),
        ({"annul_refused": "too late (billpt.238)"}, "the service refused"),
        ({"issued_at": LATER - timedelta(days=6)}, "six days ago"),
        ({"issued_at": LATER.replace(month=10, day=31)}, "of another month"),
        ({"state": DocumentState.UNCERTAIN}, "nobody knows whether it exists"),
    ],
    ids=str,
)
def test_a_document_that_cannot_or_must_not_be_annulled_is_credited(changes: dict[str, Any], why: str) -> None:
    order = an_order()
    made = plan(cancelled(order), known(sold(order), **changes), annuls())
    assert (grosses(made.documents), made.annulments) == ([("NC", "12.30")], ()), why


def test_the_last_day_of_the_window_counts_in_lisbon() -> None:
    order = an_order()
    last = PAID_AT.replace(day=25, hour=23, minute=59)
    assert plan(cancelled(order, cancelled_at=last), known(sold(order)), annuls()).annulments
    assert not plan(cancelled(order, cancelled_at=last + timedelta(minutes=1)), known(sold(order)), annuls()).annulments


def test_a_service_that_does_not_annul_is_never_asked_to() -> None:
    order, policy = an_order(), a_policy(on_cancel=OnCancel.ANNUL)
    assert plan(cancelled(order), known(sold(order, policy)), policy).documents[0].kind == "NC"


def test_what_has_a_receipt_or_a_credit_note_is_credited() -> None:
    order, policy = an_order(), annuls(paid_document=PaidDocument.FT_RC)
    invoice = sold(order, policy)
    (receipt,) = plan(order, known(invoice), policy).documents
    made = plan(cancelled(order), known(invoice, receipt), policy)
    assert (grosses(made.documents), made.annulments) == ([("NC", "12.30")], ())

    refunded = replace(order, refunds=(a_refund("2.30", ("1", "0", "2.30")),))
    (note,) = plan(refunded, known(sold(order)), annuls()).documents
    made = plan(cancelled(refunded), known(sold(order), note), annuls())
    assert (grosses(made.documents), made.annulments) == ([("NC", "10.00")], ())


def test_an_invoice_is_annulled_before_the_receipt_that_is_only_planned() -> None:
    policy = annuls(paid_document=PaidDocument.FT_RC)
    order = an_order()
    assert annulled_parts(plan(cancelled(order), known(sold(order, policy)), policy)) == ["sale"]


def test_all_documents_of_an_order_are_annulled_or_none() -> None:
    order = an_order(a_line(id="1"))
    more = replace(order, lines=(*order.lines, a_line("5.00", id="2")), total=order.total + 5)
    first = sold(order)
    (second,) = plan(more, known(first), annuls()).documents
    both = known(first, second)
    assert annulled_parts(plan(cancelled(more), both, annuls())) == ["sale", "extra-1"]
    one_left = [replace(both[0], annul_refused="too late"), both[1]]
    assert plan(cancelled(more), one_left, annuls()).annulments == ()


def test_while_a_document_is_being_annulled_nothing_is_planned_beside_it() -> None:
    order = an_order()
    under_way = known(sold(order), state=DocumentState.ANNULLING)
    for now in (order, cancelled(order), replace(order, refunds=(a_refund("12.30"),))):
        assert plan(now, under_way, annuls()) == Plan(reason="a document of it is being annulled")


def test_an_annulled_document_counts_as_never_issued() -> None:
    order = an_order()
    gone = known(sold(order), state=DocumentState.ANNULLED)
    assert plan(cancelled(order), gone, annuls()).documents == ()
    assert plan(cancelled(order, refunds=(a_refund("12.30"),)), gone, annuls()).documents == ()
    assert plan(replace(order, payment=PaymentState.UNPAID), gone, annuls()).reason == "not paid yet"


def test_an_order_that_is_paid_again_gets_a_new_document_under_a_new_key() -> None:
    order = an_order()
    gone = known(sold(order), state=DocumentState.ANNULLED)
    (again,) = plan(order, gone, annuls()).documents
    assert (again.key.part, str(again.totals.gross)) == ("sale-2", "12.30")
    assert plan(order, [*gone, *known(again)], annuls()).documents == ()
    (third,) = plan(order, [*gone, *known(again, state=DocumentState.ANNULLED)], annuls()).documents
    assert third.key.part == "sale-3"


def test_what_follows_a_document_issued_anew_has_keys_of_its_own() -> None:
    order = an_order()
    gone = known(sold(order), state=DocumentState.ANNULLED)
    (again,) = plan(order, gone, annuls()).documents
    refunded = replace(order, refunds=(a_refund("2.30", ("1", "0", "2.30")),))
    (note,) = plan(refunded, [*gone, *known(again)], annuls()).documents
    assert (note.key.part, note.references[0].key.part) == ("refund-55-sale-2", "sale-2")
    rest = plan(cancelled(refunded), [*gone, *known(again, note)], annuls()).documents
    assert [(made.key.part, str(made.totals.gross)) for made in rest] == [("cancel-sale-2", "10.00")]


def test_a_person_can_have_an_open_order_annulled_once() -> None:
    order, policy = an_order(), annuls(on_cancel=OnCancel.CREDIT)
    wanted = frozenset({wish("sale")})
    first = known(sold(order))
    assert annulled_parts(plan(order, first, policy, wanted)) == ["sale"]
    gone = [replace(first[0], state=DocumentState.ANNULLED)]
    renamed = replace(order, buyer=replace(order.buyer, tax_id="212345672"))
    (again,) = plan(renamed, gone, policy, wanted).documents
    assert (again.key.part, again.customer.tax_id) == ("sale-2", "212345672")
    assert plan(renamed, [*gone, *known(again)], policy, wanted) == plan(renamed, [*gone, *known(again)], policy)


def test_a_person_is_told_where_the_service_refused() -> None:
    order, wanted = an_order(), frozenset({wish("sale")})
    refused = known(sold(order), annul_refused="too late (billpt.238)")
    made = plan(order, refused, annuls(), wanted)
    assert ([hold.code for hold in made.holds], made.documents, made.annulments) == (["annul_refused"], (), ())
    assert plan(order, refused, annuls(), wanted | {"annul_refused"}).holds == ()


@pytest.mark.parametrize("policy", [annuls(), annuls(paid_document=PaidDocument.FT_RC)], ids=["FR", "FT and RC"])
def test_a_payment_that_was_taken_back_is_shown_to_a_person(policy: Policy) -> None:
    order = an_order()
    documents = known(*plan(order, (), policy).documents)
    documents += known(*plan(order, documents, policy).documents)
    unpaid = replace(order, payment=PaymentState.UNPAID, paid_at=None, payments=())
    assert [hold.code for hold in plan(unpaid, documents, policy).holds] == ["payment_lost"]
    assert plan(unpaid, documents, policy, frozenset({"payment_lost"})).holds == ()
    assert plan(order, documents, policy).holds == ()
    assert plan(cancelled(unpaid), documents, policy).holds == ()


def test_a_document_without_its_payment_is_annulled_at_a_persons_wish_and_not_issued_anew() -> None:
    order = an_order()
    unpaid = replace(order, payment=PaymentState.UNPAID, paid_at=None, payments=())
    first = known(sold(order))
    assert annulled_parts(plan(unpaid, first, annuls(), frozenset({wish("sale")}))) == ["sale"]
    gone = [replace(first[0], state=DocumentState.ANNULLED)]
    assert plan(unpaid, gone, annuls(), frozenset({wish("sale")})) == Plan(reason="not paid yet")


def test_an_invoice_that_was_never_paid_lost_no_payment() -> None:
    policy = annuls(unpaid_document=True)
    unpaid = an_order(payment=PaymentState.UNPAID, paid_at=None, payments=())
    assert plan(unpaid, known(sold(unpaid, policy)), policy).holds == ()


SETTINGS = """
[accounts.main]
provider = "billpt"
base_url = "https://app.bill.pt"
token = "{token}"
[shops.loja]
platform = "generic"
account = "main"
url = "https://loja.example"
webhook_secret = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
on_cancel = "annul"
"""


def test_a_dry_run_shows_what_would_be_annulled_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "syncd.toml").write_text(SETTINGS.format(token="t" * 128), "utf-8")
    settings = load(tmp_path / "syncd.toml", {})
    told = {
        "id": "1001",
        "created_at": PAID_AT.isoformat(),
        "updated_at": PAID_AT.isoformat(),
        "payment": "paid",
        "total": "24.60",
        "lines": [{"id": "a", "name": "Caneca", "quantity": 2, "gross": "24.60", "tax_rate": 23}],
    }
    order, out = tmp_path / "order.json", tmp_path / "issued.json"
    order.write_bytes(orjson.dumps(told))
    out.write_bytes(orjson.dumps(dry_run(settings, "loja", order, Known())))
    order.write_bytes(orjson.dumps({**told, "cancelled_at": LATER.isoformat(), "updated_at": LATER.isoformat()}))
    made = dry_run(settings, "loja", order, Known(issued=out))
    assert made["documents"] == []
    assert made["annulments"] == [{"key": "main/loja/1001/FR/sale", "reason": "Anulação da encomenda 1001"}]
    show_plan(made)
    assert "annul main/loja/1001/FR/sale: Anulação da encomenda 1001" in capsys.readouterr().out
