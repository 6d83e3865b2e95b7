"""Receipts: they settle invoices that were not paid at once, and are documents themselves."""

from collections.abc import Mapping
from decimal import Decimal

from syncd.sandbox.billpt import contacts, drafting, views
from syncd.sandbox.billpt.amounts import CENT, ZERO, Sums, stored
from syncd.sandbox.billpt.calls import Call, Reply
from syncd.sandbox.billpt.intake import rows
from syncd.sandbox.billpt.lists import TYPE_BY_TAG
from syncd.sandbox.billpt.records import Document, Payment, Row
from syncd.sandbox.billpt.validation import Fields, Refusal

RECEIPT = TYPE_BY_TAG["RC"]
SUPPLIER_RECEIPT = TYPE_BY_TAG["RFC"]

Settled = list[tuple[Document, Decimal]]


def create(call: Call) -> Reply:
    """One receipt over several documents of one customer."""
    fields = Fields(call.values)
    contact_id = fields.integer("contato_id", required=True)
    kind = fields.integer("tipo_documento_id", required=True)
    settled = _settled(fields, call)
    fields.finish()
    contacts_table = call.account.contacts
    contact = contacts_table.get(contact_id or 0)
    if contact is None:
        raise Refusal("217" if contacts_table.is_foreign(contact_id or 0) else "225")
    if kind == SUPPLIER_RECEIPT.id:
        raise Refusal("258")
    if kind != RECEIPT.id:
        raise Refusal("220")
    return _issue(call, contact, settled)


def pay(call: Call) -> Reply:
    """Settle one document in full."""
    document = call.document(int(call.path_ids["id"]))
    if not document.final:
        raise Refusal("272")
    return _issue(call, document.contact, [(document, document.owed)])


def _settled(fields: Fields, call: Call) -> Settled:
    given = rows(fields.given("documentos"))
    if not given:
        fields.errors.append("1.documentos")
        return []
    settled: Settled = []
    for values in given:
        inner = Fields(values if isinstance(values, Mapping) else {}, fields.errors)
        number = inner.integer("documento_id", required=True)
        amount = inner.number("total", low=ZERO, required=True)
        inner.number("total_desconto", low=ZERO)
        if number is not None and amount is not None:
            settled.append((call.document(number), stored(amount, CENT)))
    return settled


def _issue(call: Call, contact: Row, settled: Settled) -> Reply:
    fields = Fields(call.values)
    account = call.account
    now = call.world.clock.lisbon()
    issued_at = fields.moment("data") or now
    header: Row = {
        "observacoes": fields.text("observacoes", most=200) or "",
        "lingua": fields.choice("lingua", contacts.LANGUAGES) or "pt",
        "metodo_pagamento_id": _means_of_payment(fields, call, contact),
        "metodo_expedicao_id": account.shipping.principal()["id"],
        "loja_id": account.shops.principal()["id"],
        "user_id": account.user_id,
        "modulo_estado_id": None,
        "viatura": "",
        "arredondamento": ZERO,
        "moeda": call.settings.currency,
        "cambio": "1.00000",
    }
    address = {name: text for name, text in fields.address(country=contact["pais"]).items() if text}
    series = drafting.usable_series(fields, call, shop=account.shops.principal(), final=True)
    if issued_at > now + drafting.CLOCK_SKEW:
        fields.errors.append("9.data")
    fields.finish()
    if broken := [*_rules(settled, contact, call), *drafting.later_date(call, series, RECEIPT, issued_at)]:
        raise Refusal(*dict.fromkeys(broken))
    total = sum((amount for _, amount in settled), ZERO)
    receipt = Document(
        id=call.world.ids.next("documentos"),
        kind=RECEIPT,
        final=True,
        header=header,
        contact=contact,
        snapshot=views.snapshot(contact, address),
        series=series,
        number=account.books.number(series, RECEIPT, issued_at.date()),
        issued_at=issued_at,
        entered_at=now,
        due_at=issued_at,
        sums=Sums(total, ZERO, total, ZERO),
        token=call.world.ids.token(),
        visible_at=call.world.clock.monotonic() + call.lag if call.lag else 0.0,
    )
    _book(receipt, settled, call)
    return Reply(views.receipt(receipt), call.settings.created_status)


def _book(receipt: Document, settled: Settled, call: Call) -> None:
    for document, amount in settled:
        payment = Payment(id=call.world.ids.next("pagamentos_feitos"), receipt=receipt, document=document, total=amount)
        document.payments.append(payment)
        receipt.pays.append(payment)
    receipt.contact["usado"] = 1
    receipt.series["usado"] = 1
    call.account.books.add(receipt)


def _rules(settled: Settled, contact: Row, call: Call) -> list[str]:
    """Only final invoices of that customer that still owe something, and never more than they owe."""
    broken: list[str] = []
    claimed: dict[int, Decimal] = {}
    for document, amount in settled:
        claimed[document.id] = claimed.get(document.id, ZERO) + amount
        if not document.final:
            broken.append("272")
        elif document.contact is not contact or amount <= 0 or claimed[document.id] > document.owed:
            broken.append(call.settings.over_payment_code)
    return broken


def _means_of_payment(fields: Fields, call: Call, contact: Row) -> int:
    payments = call.account.payments
    number = fields.integer("metodo_pagamento_id")
    if number is not None and payments.get(number) is None:
        fields.errors.append("223")
    chosen: int = number or contact["metodo_pagamento_id"] or payments.principal()["id"]
    return chosen
