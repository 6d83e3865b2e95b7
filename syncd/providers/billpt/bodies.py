"""Drafts as Bill.pt's request bodies. Pure; its answers are read in `answers`.

Bodies hold JSON values and Decimals, which leave as numbers with exactly their digits. Dates are left out: the
service then takes the time of issue, so that dates in a series never go backwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from syncd.domain.customer import FINAL_CONSUMER_NIF, Customer, CustomerKind
from syncd.domain.document import (
    DocumentDraft,
    DocumentKey,
    DocumentKind,
    DraftLine,
    IssuedDocument,
    Nature,
)
from syncd.domain.errors import RefusedError
from syncd.mapping.texts import folded, shorten
from syncd.providers.billpt.errors import TOO_LONG, Code
from syncd.providers.port import Issue

Body = dict[str, Any]

NOTES_LIMIT = 200
REASON_LIMIT = 200
UNKNOWN = "Desconhecido"  # SAF-T's word
CORRECTING = frozenset({DocumentKind.NC, DocumentKind.ND})

# What may be cut where the service finds it too long; codes, tax numbers and the marker say who and what it is.
_SHORTENABLE = frozenset({"nome", "morada", "codigo_postal", "cidade", "observacoes"})

# What the trail keeps of requests and answers: who was served stands in the document's own row, and a download token
# opens the document to anybody.
IMPERSONAL = frozenset(
    {
        *("id", "documento_id", "tipo_documento_id", "tipificacao", "serie_id", "contato_id", "metodo_pagamento_id"),
        *("item_id", "imposto_id", "motivo_isencao_id", "lancamento_pai_id", "unidade_medida_id"),
        *("produtos", "lancamentos", "documentos", "item", "data", "error", "codigo", "servico", "ProductCategory"),
        *("quantidade", "preco_unitario", "desconto_1", "imposto", "valor", "isencao", "arredondamento"),
        *("net_total", "tax_total", "gross_total", "total", "terminado", "estado", "movimenta_stock"),
        *("invoice_number", "invoice_date", "system_entry_date", "nota_documento", "motivo_anular"),
        *("page", "current_page", "last_page"),
        *("pesquisa[tipo_documento_id]", "pesquisa[contato_id]", "pesquisa[serie_id]"),
        "pesquisa[order_by][system_entry_date]",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """What the account calls the things that one document names; empty strings for what is not named by id.

    `taxes` by rate, `articles` by code.
    """

    series: str = ""
    payment: str = ""
    unit: str = ""
    customer: str = ""
    customer_name: str = ""  # of a customer known by id, as it stood on the last document
    receipt_type: str = ""
    taxes: Mapping[Decimal, str] = field(default_factory=dict)
    articles: Mapping[str, str] = field(default_factory=dict)


def document_body(issue: Issue, ids: Ids) -> Body:
    """`POST documentos` for a sale or for a document that corrects one."""
    draft = issue.draft
    body: Body = {"tipificacao": draft.kind.value, **_header(draft, ids)}
    if draft.kind in CORRECTING:
        original = original_of(issue, draft.references[0].key if draft.references else None)
        body |= _filled(contato_id=id_of(original.customer_id)) | _whole_address(draft.customer)
        body["produtos"] = [_correcting_line(line, original, ids) for line in draft.lines]
    else:
        body |= _customer(draft.customer, ids)
        body["produtos"] = [_line(line, ids) | _article(line, ids) for line in draft.lines]
    body["nota_documento"] = issue.marker
    body |= _filled(observacoes=_notes(issue, ids))
    if draft.rounding:
        body["arredondamento"] = draft.rounding
    if issue.finalise:
        body["id"] = id_of(issue.finalise)
    body["terminado"] = 0 if issue.as_draft else 1
    return body


def _notes(issue: Issue, ids: Ids) -> str:
    """What is printed below; a document for the rest names the deposits that it follows.

    A tax number has one customer at the service, whose name nobody may change once it stands on documents (Despacho
    8632/2014, 3.3.3): where this order gives another name, that is said here.
    """
    draft = issue.draft
    if draft.kind in CORRECTING:
        return draft.notes
    said = []
    if draft.references:
        deducted = [f"{original_of(issue, told.key).number} ({told.amount:.2f})" for told in draft.references]
        said.append(f"Deduzido o adiantamento: {', '.join(deducted)}")
    if ids.customer_name and not _goes_by(ids.customer_name, draft.customer):
        said.append(f"Cliente na encomenda: {draft.customer.name}")
    if not said:
        return draft.notes
    text = ". ".join(said)
    return f"{shorten(draft.notes, max(NOTES_LIMIT - len(text) - 2, 0))}. {text}"[:NOTES_LIMIT]


def _goes_by(name: str, customer: Customer) -> bool:
    """Whether a name at the service is the customer's, however it is spelled; ours may have been cut."""
    stored, given = folded(name), folded(customer.name)
    return stored == given or (any(cut.startswith("name ") for cut in customer.cut) and stored.startswith(given))


def receipt_body(issue: Issue, ids: Ids) -> Body:
    """`POST recibos`; receipts have no internal note, so their marker ends the printed remarks."""
    draft = issue.draft
    originals = [original_of(issue, reference.key) for reference in draft.references]
    customer = next((original.customer_id for original in originals if original.customer_id), ids.customer)
    if not originals or not customer:
        raise RefusedError(
            "a receipt needs the invoice that it settles and its customer's id",
            code="billpt.original_unknown",
            fix="issue the receipt by hand and skip the order",
        )
    return {
        "contato_id": id_of(customer),
        "tipo_documento_id": id_of(ids.receipt_type),
        **_header(draft, ids),
        "documentos": [
            {"documento_id": id_of(original.provider_id), "total": reference.amount}
            for original, reference in zip(originals, draft.references, strict=True)
        ],
        "observacoes": f"{shorten(draft.notes, NOTES_LIMIT - len(issue.marker) - 1)} {issue.marker}".strip(),
    }


def original_of(issue: Issue, key: DocumentKey | None) -> IssuedDocument:
    """The issued document that this one corrects or settles."""
    if key is not None and key in issue.originals:
        return issue.originals[key]
    raise RefusedError(
        f"{key or 'the document'} that this one refers to is not known as issued",
        code="billpt.original_unknown",
        fix="issue the correction by hand and skip the order",
    )


def shortened(body: Body, codes: Sequence[Code]) -> Body | None:
    """The body with every text cut that the service finds too long; None where that is not what it minds.

    Cut at a word, nothing appended. Fields of the customer and of lines share names, so all of a name are cut.
    """
    limits: dict[str, int] = {}
    for code in codes:
        if code.number != TOO_LONG or code.field not in _SHORTENABLE or not code.value.isdecimal():
            return None
        limits[code.field] = int(code.value)
    cut = _cut(body, limits)
    return cut if limits and cut != body else None


def _cut(value: Any, limits: Mapping[str, int]) -> Any:  # noqa: ANN401 - JSON is of any shape
    if isinstance(value, list):
        return [_cut(entry, limits) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        name: shorten(entry, limits[name]) if name in limits and isinstance(entry, str) else _cut(entry, limits)
        for name, entry in value.items()
    }


def _header(draft: DocumentDraft, ids: Ids) -> Body:
    return _filled(serie_id=id_of(ids.series), metodo_pagamento_id=id_of(ids.payment) if draft.payment else "")


def _customer(customer: Customer, ids: Ids) -> Body:
    """No contact at all stands for the account's final consumer; a known one goes by id."""
    if customer.kind is CustomerKind.ANONYMOUS:
        return {}
    if ids.customer:
        return {"contato_id": id_of(ids.customer), **_whole_address(customer)}
    contact = _filled(
        codigo=customer.code,
        nome=customer.name,
        nif=customer.tax_id if customer.tax_id != FINAL_CONSUMER_NIF else "",
        email=customer.email,
    )
    # The service may find an older contact by its tax number: the address of this document stands on it all the same.
    own = _whole_address(customer) if "nif" in contact else _address(customer)
    return {"contato": contact | _address(customer), **own}


def _address(customer: Customer) -> Body:
    if customer.kind is CustomerKind.ANONYMOUS:
        return {}
    return _filled(morada=customer.street, codigo_postal=customer.postcode, cidade=customer.city, pais=customer.country)


def _whole_address(customer: Customer) -> Body:
    """The address of this document. What this order does not tell of it must not be filled up from another one's."""
    told = _address(customer)
    if told.keys() <= {"pais"}:
        return told  # nothing at all was told: what the service knows of a returning customer is right
    postcode = "0000-000" if customer.country == "PT" else UNKNOWN
    return {"morada": UNKNOWN, "codigo_postal": postcode, "cidade": UNKNOWN} | told


def _line(line: DraftLine, ids: Ids) -> Body:
    body: Body = {
        "nome": line.description,
        "quantidade": line.quantity,
        "preco_unitario": line.unit_price,
        # Said even where it is none, or a customer's stored discount might apply itself.
        "desconto_1": line.discount,
        **{f"desconto_{number}": percentage for number, percentage in enumerate(line.successive, start=2)},
    }
    if line.exemption is not None:
        return body | {"imposto": 0, "isencao": line.exemption}
    return body | {"imposto_id": id_of(ids.taxes[line.vat_rate])}


def _article(line: DraftLine, ids: Ids) -> Body:
    if known := ids.articles.get(line.code):
        return {"item_id": id_of(known)}
    article: Body = {"codigo": line.code, "unidade_medida_id": id_of(ids.unit), "movimenta_stock": 0}
    if line.nature is Nature.SERVICE:
        return article | {"servico": 1}
    return article | {"servico": 0, "ProductCategory": "M"}


def _correcting_line(line: DraftLine, original: IssuedDocument, ids: Ids) -> Body:
    if line.original is None or line.original >= len(original.lines) or not original.lines[line.original].id:
        raise RefusedError(
            f"line {line.code} has no line in {original.number} that it corrects",
            code="billpt.original_unknown",
            fix="credit by hand and release the order",
        )
    corrected = original.lines[line.original]
    article = {"item_id": id_of(corrected.article_id)} if corrected.article_id else _article(line, ids)
    return {"lancamento_pai_id": id_of(corrected.id), **_line(line, ids), **article}


def _filled(**fields: int | str) -> Body:
    """Only the fields that hold something: an empty one might overwrite what the service knows."""
    return {name: value for name, value in fields.items() if value != ""}


def id_of(known: str) -> int | str:
    """An id as the service writes it: a number, where it is one."""
    return int(known) if known.isascii() and known.isdigit() else known
