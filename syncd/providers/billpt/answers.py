"""Bill.pt's answers as issued documents. Pure; what is sent is written in `bodies`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from syncd.domain.document import Amounts, IssuedDocument, IssuedLine
from syncd.domain.errors import AmountError
from syncd.domain.money import decimal_of


class IncompleteAnswerError(ValueError):
    """An answer of success that lacks what it must tell; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """What is needed to read ids in answers: rates by tax id, exemption codes by reason id."""

    rates: Mapping[str, Decimal] = field(default_factory=dict)
    exemptions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A document in a list: enough to tell whether it is worth reading."""

    id: str
    gross: Decimal | None
    issued_on: date | None
    customer_id: str
    number: str
    final: bool
    annulled: bool


def document_of(data: object, lists: Lists, *, today: date) -> IssuedDocument:
    """Read a document; `today` stands for the date of an answer that tells none (receipts, drafts).

    Raises IncompleteAnswerError where id, number of a final document, or a total is missing.
    """
    record = _record(data)
    provider_id, number = _text(record.get("id")), _text(record.get("invoice_number"))
    if not provider_id:
        raise IncompleteAnswerError("id")
    final = _flag(record["terminado"]) if "terminado" in record else bool(number)
    if final and not number:
        raise IncompleteAnswerError("invoice_number")
    contact = record.get("contato")
    lines = record.get("lancamentos")
    return IssuedDocument(
        provider_id=provider_id,
        number=number,
        issued_on=_date(record.get("invoice_date")) or today,
        totals=_amounts(record, "the document"),
        lines=tuple(_issued_line(line, lists) for line in lines) if isinstance(lines, list) else (),
        customer_id=_text(record.get("contato_id")) or (_text(contact.get("id")) if isinstance(contact, dict) else ""),
        customer_name=_text(contact.get("nome")) if isinstance(contact, dict) else "",
        marker=_text(record.get("nota_documento")),
        final=final,
        annulled=record.get("estado") == "A",
        download_token=_text(record.get("token_download")),
    )


def with_marker(document: IssuedDocument, data: object, markers: frozenset[str]) -> IssuedDocument | None:
    """The document if it carries one of the markers, in its note or (receipts) among its remarks' words."""
    carried = marks_of(data) & markers
    return replace(document, marker=min(carried)) if carried else None


def marks_of(data: object) -> frozenset[str]:
    """Every word on a document that may be a marker."""
    record = _record(data)
    return frozenset({_text(record.get("nota_documento")).strip(), *_text(record.get("observacoes")).split()}) - {""}


def records_of(page: object) -> tuple[tuple[Mapping[str, Any], ...], int]:
    """The records on a page of a list, and the number of its last page."""
    record = _record(page)
    rows, last = record.get("data"), record.get("last_page")
    if not isinstance(rows, list) or not isinstance(last, int):
        raise IncompleteAnswerError("data or last_page")
    return tuple(_record(row) for row in rows), last


def rows_of(page: object) -> tuple[tuple[Row, ...], int]:
    """The same for documents."""
    records, last = records_of(page)
    return tuple(_row(record) for record in records), last


def names_a_document(data: object) -> bool:
    """Whether an answer tells of a document, whatever else it says."""
    return isinstance(data, dict) and bool(_text(data.get("id")))


def state_of(data: object) -> str:
    """The state letter of an answer, "" if it tells none."""
    return _text(data.get("estado")) if isinstance(data, dict) else ""


def _row(record: Mapping[str, Any]) -> Row:
    if not (known := _text(record.get("id"))):
        raise IncompleteAnswerError("id")
    gross = record.get("gross_total")
    return Row(
        id=known,
        gross=None if gross is None else _decimal(gross, "gross_total"),
        issued_on=_date(record.get("invoice_date")),
        customer_id=_text(record.get("contato_id")),
        number=_text(record.get("invoice_number")),
        final=_flag(record.get("terminado")),
        annulled=record.get("estado") == "A",
    )


def _issued_line(data: object, lists: Lists) -> IssuedLine:
    record = _record(data)
    item = record.get("item")
    reason = _text(record.get("motivo_isencao_id"))
    exemption = _text(record.get("isencao")) or lists.exemptions.get(reason)
    amounts = _amounts(record, "a line")
    return IssuedLine(
        id=_text(record.get("id")),
        article_id=_text(record.get("item_id")),
        code=_text(record.get("codigo")) or (_text(item.get("codigo")) if isinstance(item, dict) else ""),
        vat_rate=_rate(record, lists, exempt=bool(exemption or reason)),
        exemption=exemption or None,
        net=amounts.net,
        tax=amounts.tax,
        gross=amounts.gross,
    )


def _rate(record: Mapping[str, Any], lists: Lists, *, exempt: bool) -> Decimal | None:
    """The rate that a line tells: itself, or by its tax's id; None where it tells none that is known."""
    told = record.get("imposto")
    told = told.get("valor") if isinstance(told, dict) else told
    if told is not None and told != "":
        return _decimal(told, "imposto")
    known = lists.rates.get(_text(record.get("imposto_id")))
    return Decimal(0) if known is None and exempt else known


def _amounts(record: Mapping[str, Any], where: str) -> Amounts:
    net, tax, gross = (
        _decimal(record.get(name), f"{name} of {where}") for name in ("net_total", "tax_total", "gross_total")
    )
    return Amounts(net=net, tax=tax, gross=gross)


def _decimal(value: object, where: str) -> Decimal:
    try:
        return decimal_of(value, where=where)
    except AmountError:
        raise IncompleteAnswerError(where) from None


def _record(data: object) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise IncompleteAnswerError("everything")
    return data


def _text(value: object) -> str:
    """Ids and codes come as numbers or as texts, and are compared as texts."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _flag(value: object) -> bool:
    return value in (True, 1, "1")


def _date(value: object) -> date | None:
    """The day of a date or of a time without zone, which is the mainland's."""
    try:
        return date.fromisoformat(_text(value)[:10])
    except ValueError:
        return None
