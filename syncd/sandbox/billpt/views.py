"""Documents as the service shows them: numbers as strings with two, five or ten decimals, flags as 0 and 1."""

from datetime import datetime
from decimal import Decimal

from syncd.sandbox.billpt.amounts import CENT, FIVE, TEN
from syncd.sandbox.billpt.records import Account, Document, Line, Payment, Row

_PLACES = ("carga_", "descarga_")
_PLACE_FIELDS = ("morada", "codigo_postal", "cidade", "pais")


def created(document: Document) -> Row:
    """The answer of `POST documentos`."""
    header = document.header
    return {
        "id": document.id,
        "estado": "A" if document.annulled else "N",
        "tipo_documento_id": document.kind.id,
        "user_id": header["user_id"],
        "contato_id": document.contact["id"],
        "serie_id": document.series["id"],
        "metodo_expedicao_id": header["metodo_expedicao_id"],
        "metodo_pagamento_id": header["metodo_pagamento_id"],
        "loja_id": header["loja_id"],
        "prazo_vencimento": _moment(document.due_at),
        "viatura": header["viatura"],
        "observacoes": header["observacoes"],
        "motivo": document.reason,
        "moeda": header["moeda"],
        "cambio": header["cambio"],
        "invoice_number": document.number,
        "invoice_date": document.issued_at.date().isoformat(),
        "system_entry_date": document.entered_at.isoformat(),
        "status_date": (header.get("status_at") or document.entered_at).isoformat(),
        "impresso": int(document.printed),
        "data_carga": None,
        "data_descarga": None,
        **{place + name: "" for place in _PLACES for name in _PLACE_FIELDS},
        "arredondamento": _two(header["arredondamento"]),
        "net_total": _two(document.sums.net),
        "tax_total": _two(document.sums.tax),
        "gross_total": _two(document.sums.gross),
        "desconto_total": _two(document.sums.discount),
        "retencao_total": "0.00",
        "comunicado": 0,
        "codigo_at": "",
        "terminado": int(document.final),
        "modulo_estado_id": header["modulo_estado_id"],
        "nota_documento": document.note,
        "lingua": header["lingua"],
        "token_download": document.token,
        "contato": document.snapshot,
        "lancamentos": [_line(line, document) for line in document.lines],
    }


def detail(document: Document, account: Account) -> Row:
    """The answer of `GET documentos/{id}`."""
    shown = created(document)
    shown["contato"] = {**document.snapshot, "origem": document.contact}
    shown["loja"] = account.shops.get(document.header["loja_id"])
    shown["modulo_estado"] = account.states.get(document.header["modulo_estado_id"] or 0)
    for line, row in zip(document.lines, shown["lancamentos"], strict=True):
        row["origem"] = _line(line.parent, account.books.all[line.parent.document_id]) if line.parent else None
    shown["divida"] = _debt(document)
    shown["pagou"] = [_payment(payment, document) for payment in (*document.payments, *document.pays)]
    return shown


def listed(document: Document) -> Row:
    """A row of `GET documentos`; neither notes nor observations are in it."""
    return {
        "id": document.id,
        "modulo_estado_id": document.header["modulo_estado_id"],
        "loja_id": document.header["loja_id"],
        "contato_id": document.contact["id"],
        "invoice_number": document.number,
        "codigo_at": "",
        "invoice_date": document.issued_at.date().isoformat(),
        "gross_total": _two(document.sums.gross),
        "prazo_vencimento": _moment(document.due_at),
        "terminado": int(document.final),
        "estado": "A" if document.annulled else "N",
        "impresso": int(document.printed),
        "token_download": document.token,
    }


def receipt(document: Document) -> Row:
    """The answer of the receipt calls: JSON numbers, and no download token."""
    return {
        "id": document.id,
        "invoice_number": document.number,
        "gross_total": float(document.sums.gross),
        "net_total": float(document.sums.net),
        "tax_total": float(document.sums.tax),
        "terminado": True,
        "moeda": "EUR",
        "serie": {name: document.series[name] for name in ("id", "nome", "iva_incluido")} | {"cae": None},
    }


def pending(line: Line, document: Document) -> Row:
    return {
        "id": line.id,
        "origem": document.kind.tag,
        "quantidade": _ten(line.priced.quantity),
        "quantidade_movida": _ten(line.moved),
        "lancamento_original": _line(line, document),
    }


def pending_row(line: Line, document: Document) -> Row:
    header = {
        "id": document.id,
        "invoice_number": document.number,
        "invoice_date": document.issued_at.date().isoformat(),
        "gross_total": _two(document.sums.gross),
    }
    return {"id": line.id, "origem": document.kind.tag, "origem_documento": header}


def snapshot(contact: Row, address: Row) -> Row:
    """The customer as printed: inside documents codes and tax numbers are always text."""
    shown = {**contact, **address}
    return shown | {"codigo": str(shown["codigo"]), "nif": str(shown["nif"])}


def _line(line: Line, document: Document) -> Row:
    first, second, third = line.priced.discounts
    return {
        "id": line.id,
        "documento_id": document.id,
        "user_id": document.header["user_id"],
        "item_id": line.item["id"],
        "imposto_id": line.tax_id,
        "motivo_isencao_id": line.exemption_id,
        "lancamento_pai_id": line.parent.id if line.parent else None,
        "loja_id": document.header["loja_id"],
        "nome": line.name,
        "referencia_manual": line.reference or None,
        "quantidade": _ten(line.priced.quantity),
        "preco_unitario": _ten(line.priced.price),
        "desconto_1": _five(first),
        "desconto_2": _five(second),
        "desconto_3": _five(third),
        "net_total": _two(line.sums.net),
        "tax_total": _two(line.sums.tax),
        "gross_total": _two(line.sums.gross),
        "desconto_total": _two(line.sums.discount),
        "retencao_total": "0.00",
        "item": line.item,
    }


def _debt(document: Document) -> Row | None:
    """What is still owed. The date of the last payment stands where nothing is; FR and FS settle themselves."""
    if document.kind.tag not in ("FT", "FS", "FR", "ND") or not document.final:
        return None
    owed = document.owed
    settled_at = None
    if not owed:
        paid_at = [payment.receipt.issued_at for payment in document.payments if not payment.receipt.annulled]
        settled_at = _moment(max(paid_at, default=document.issued_at))
    return {"id": document.id, "documento_id": document.id, "total_divida": _two(owed), "data_finalizado": settled_at}


def _payment(payment: Payment, seen_from: Document) -> Row:
    other = payment.receipt if payment.document is seen_from else payment.document
    return {
        "id": payment.id,
        "documento_id": seen_from.id,
        "documento_relacionado_id": other.id,
        "total": _two(payment.total),
        "documento_relacionado": listed(other),
    }


def _moment(at: datetime) -> str:
    return at.isoformat(sep=" ")


def _two(amount: Decimal) -> str:
    return str(amount.quantize(CENT))


def _five(amount: Decimal) -> str:
    return str(amount.quantize(FIVE))


def _ten(amount: Decimal) -> str:
    return f"{amount.quantize(TEN):f}"
