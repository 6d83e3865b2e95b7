"""Documents: create, finalise, list, read, cancel, delete a draft, mail, note."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from syncd.sandbox.billpt import credit, drafting, stock, views
from syncd.sandbox.billpt.calls import Call, Reply, Search
from syncd.sandbox.billpt.lists import CORRECTIONS
from syncd.sandbox.billpt.records import Account, Document, Line, Row
from syncd.sandbox.billpt.validation import Fields, Refusal

FILTERS = frozenset(
    {
        *("tipo_documento_id", "contato_id", "terminado", "metodo_pagamento_id", "serie_id", "loja_id"),
        *("modulo_estado_id", "estado", "viatura", "invoice_number"),
    }
)
CANCEL_WITHIN = timedelta(days=5)

_SORT_KEYS: dict[str, Callable[[Document], Any]] = {
    "invoice_number": lambda document: document.number,
    "contatos.nome": lambda document: document.contact["nome"].casefold(),
    "invoice_date": lambda document: document.issued_at.date(),
    "prazo_vencimento": lambda document: document.due_at,
    "gross_total": lambda document: document.sums.gross,
    "codigo_at": lambda _: "",
    "system_entry_date": lambda document: document.entered_at,
}


def create(call: Call) -> Reply:
    """A draft, a final document, or a draft made final; editing a draft gives it a new id."""
    replaced, values = _draft_to_replace(call)
    draft = drafting.read(call, values)
    if replaced is not None:
        call.account.books.remove(replaced)
    document = _store(call, draft, values)
    return Reply(views.created(document), call.settings.created_status)


def listing(call: Call) -> Reply:
    wanted = Search.read(call, FILTERS, frozenset(_SORT_KEYS))
    found = [
        document
        for document in _candidates(call.account, wanted)
        if call.visible(document) and wanted.fits(_searchable(document))
    ]
    if call.settings.newest_first and not wanted.order:
        found.reverse()
    for column, descending in reversed(wanted.order):
        found.sort(key=partial(_sort_key, column), reverse=descending)
    return call.page(found, views.listed)


def read_one(call: Call) -> Reply:
    document = call.document(int(call.path_ids["id"]))
    if not call.visible(document):
        raise Refusal(call.settings.unknown_document_code, status=404)
    return Reply(views.detail(document, call.account))


def cancel(call: Call) -> Reply:
    """Annul a final document: same month, five days, not paid, not converted."""
    fields = Fields(call.values)
    number = fields.integer("documento_id", required=True)
    reason = fields.text("motivo_anular", most=200, required=True)
    fields.moment("data")
    fields.finish()
    document = call.document(number)
    if document.annulled:
        raise Refusal("289")
    if broken := _cancel_rules(document, call):
        raise Refusal(*broken)
    document.annulled = True
    document.reason = reason or ""
    document.header["status_at"] = call.world.clock.lisbon()
    credit.settle(document, call.account.books.all, undo=True)
    stock.book(document, call.account, call.world, undo=True)
    return Reply({"id": document.id, "estado": "A"})


def delete(call: Call) -> Reply:
    document = call.document(int(call.path_ids["id"]))
    if document.final:
        raise Refusal("235")
    call.account.books.remove(document)
    return Reply(None, 204)


def mail(call: Call) -> Reply:
    fields = Fields(call.values)
    number = fields.integer("id", required=True)
    address = fields.email("email", required=True)
    fields.finish()
    document = call.document(number)
    if not document.final:
        raise Refusal("272")
    document.mailed.append(address or "")
    return Reply(["Enviado com sucesso"])


def note(call: Call) -> Reply:
    fields = Fields(call.values)
    number = fields.integer("id", required=True)
    text = fields.text("nota_documento", required=True)
    fields.finish()
    document = call.document(number)
    call.account.books.note(document, text or "")
    return Reply({"id": document.id, "nota_documento": document.note})


def _draft_to_replace(call: Call) -> tuple[Document | None, Row]:
    fields = Fields(call.values)
    number = fields.integer("id") or fields.integer("documento_id")
    fields.finish()
    if number is None:
        return None, call.values
    replaced = call.document(number)
    if replaced.final:
        raise Refusal("235")
    return replaced, {**replaced.payload, **call.values} if call.settings.draft_edit_merges else call.values


def _store(call: Call, draft: drafting.Draft, values: Row) -> Document:
    account, ids, now = call.account, call.world.ids, call.world.clock.lisbon()
    contact = draft.customer.store(call)
    number = account.books.number(draft.series, draft.kind, draft.issued_at.date()) if draft.final else ""
    document = Document(
        id=ids.next("documentos"),
        kind=draft.kind,
        final=draft.final,
        header=_header(draft, account, contact),
        contact=contact,
        snapshot=views.snapshot(contact, draft.address),
        series=draft.series,
        number=number or call.settings.draft_number,
        issued_at=draft.issued_at,
        entered_at=now,
        due_at=draft.due_at,
        sums=draft.sums,
        token=ids.token(),
        note=draft.note,
        payload=values if not draft.final else {},
        visible_at=call.world.clock.monotonic() + call.lag if call.lag else 0.0,
    )
    draft.series["usado"] = 1
    document.lines = [
        Line(
            id=ids.next("lancamentos"),
            document_id=document.id,
            item=line.article.store(account),
            tax_id=line.tax_id,
            exemption_id=line.exemption["id"] if line.exemption else None,
            parent=line.parent,
            name=line.name,
            reference=line.reference,
            priced=line.priced,
            sums=line.sums,
        )
        for line in draft.lines
    ]
    account.books.add(document)
    if document.final:
        credit.settle(document, account.books.all)
        stock.book(document, account, call.world)
    return document


def _header(draft: drafting.Draft, account: Account, contact: Row) -> Row:
    """What was not sent comes from the contact, else from the account."""
    header = {**draft.header, "user_id": account.user_id}
    header["loja_id"] = header["loja_id"] or account.shops.principal()["id"]
    for name, table in (("metodo_pagamento_id", account.payments), ("metodo_expedicao_id", account.shipping)):
        header[name] = header[name] or contact[name] or table.principal()["id"]
    return header


def _candidates(account: Account, wanted: Search) -> list[Document]:
    """The smallest set of documents that the indexes know to hold all matches, in the order of their ids."""
    books = account.books
    sets = [books.all]
    for column, index in (("contato_id", books.by_contact), ("tipo_documento_id", books.by_type)):
        value = wanted.exact.get(column)
        if value is not None:
            sets.append(index.get(int(value), {}) if value.isdigit() else {})
    return list(min(sets, key=len).values())


def _sort_key(column: str, document: Document) -> tuple[Any, int]:
    return _SORT_KEYS[column](document), document.id


def _searchable(document: Document) -> Row:
    header = document.header
    return {
        "tipo_documento_id": document.kind.id,
        "contato_id": document.contact["id"],
        "terminado": int(document.final),
        "metodo_pagamento_id": header["metodo_pagamento_id"],
        "serie_id": document.series["id"],
        "loja_id": header["loja_id"],
        "modulo_estado_id": header["modulo_estado_id"],
        "estado": "A" if document.annulled else "N",
        "viatura": header["viatura"],
        "invoice_number": document.number,
    }


def _cancel_rules(document: Document, call: Call) -> list[str]:
    if not document.final:
        return ["272"]
    now = call.world.clock.lisbon()
    children = [child for child in document.children if not child.annulled]
    rules = (
        ("236", any(not payment.receipt.annulled for payment in document.payments)),
        ("237", (now.year, now.month) != (document.issued_at.year, document.issued_at.month)),
        ("238", now - document.entered_at > CANCEL_WITHIN),
        ("246", any(child.kind.tag in CORRECTIONS for child in children)),
        ("251", any(child.kind.tag not in CORRECTIONS for child in children)),
    )
    return [code for code, broken in rules if broken]
