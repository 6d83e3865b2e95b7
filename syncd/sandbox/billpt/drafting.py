"""`POST documentos` read and judged: everything that a request is refused for before anything is stored."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from syncd.sandbox.billpt import contacts, credit, lines
from syncd.sandbox.billpt.amounts import ZERO, Sums, total
from syncd.sandbox.billpt.calls import Call
from syncd.sandbox.billpt.intake import Values
from syncd.sandbox.billpt.lists import CORRECTIONS, INVOICES, OFFERS, TYPE_BY_ID, TYPE_BY_TAG, DocumentType
from syncd.sandbox.billpt.records import Row
from syncd.sandbox.billpt.settings import Anonymous
from syncd.sandbox.billpt.validation import ANONYMOUS_NUMBER, Fields, Refusal, is_taxable_person

# The sandbox's plan sells; it neither buys, nor moves goods, nor opens balances.
ISSUED_HERE = INVOICES | CORRECTIONS | OFFERS
EXPORT = "M05"
CLOCK_SKEW = timedelta(minutes=1)

_CURRENCY = re.compile(r"[A-Z]{3}(_\S{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A document that may be stored."""

    kind: DocumentType
    final: bool
    series: Row
    customer: contacts.Customer
    address: Row  # what differs from the contact's own on this document
    header: Row
    note: str
    issued_at: datetime
    due_at: datetime
    lines: list[lines.DraftLine]
    sums: Sums


def read(call: Call, values: Values) -> Draft:
    """Judge a document; raises Refusal with all that is wrong with its fields, else with the rules it breaks."""
    fields = Fields(values)
    kind = _kind(fields)
    final = bool(fields.flag("terminado"))
    header = _header(fields, call)
    series = _series(fields, call, final=final)
    customer = contacts.resolve(fields, call)
    country = fields.country()
    address = {name: text for name, text in fields.address(country=country or customer.row["pais"]).items() if text}
    made = lines.read(fields, call, kind, vat_inside=bool(series["iva_incluido"]))
    issued_at, due_at = _times(fields, call, customer)
    fields.finish()
    draft = Draft(
        kind=kind,
        final=final,
        series=series,
        customer=customer,
        address=address | ({"pais": country} if country else {}),
        header=header,
        note=fields.text("nota_documento") or "",
        issued_at=issued_at,
        due_at=due_at,
        lines=made,
        sums=_sums(made, header["arredondamento"], call),
    )
    if broken := [*_date_rules(draft, call), *_amount_rules(draft, call), *_simplified_rules(draft, call)]:
        raise Refusal(*broken)
    if over := credit.check(draft.lines, customer.known_id, call, kind):
        raise Refusal(*over)
    return draft


def later_date(call: Call, series: Row, kind: DocumentType, issued_at: datetime) -> list[str]:
    """The refusal of a date before the last one of its series and type."""
    last = call.account.books.last_date(series, kind)
    if last is None or issued_at.date() >= last:
        return []
    code = call.settings.later_date_code
    return [f"102.data.{last}" if code == "102" else f"{code}.{last}"]


def usable_series(fields: Fields, call: Call, *, shop: Row, final: bool) -> Row:
    """The series by `serie_id`, else the shop's; its faults are noted."""
    account = call.account
    number = fields.integer("serie_id")
    series = account.series.get(shop["serie_id"] if number is None else number)
    if series is None:
        fields.errors.append("307" if account.series.is_foreign(number or 0) else "227")
        return account.series.principal()
    if not series["visivel"]:
        fields.errors.append("300")
    elif final and not series["comunicada"]:
        fields.errors.append("309")
    return series


def _kind(fields: Fields) -> DocumentType:
    number = fields.integer("tipo_documento_id")
    tag = fields.text("tipificacao", most=4)
    if fields.given("tipo_documento_id") is None and fields.given("tipificacao") is None:
        fields.errors.append("1.tipificacao")
    fields.finish()
    kind = TYPE_BY_ID.get(number) if number is not None else TYPE_BY_TAG.get(tag or "")
    if kind is None:
        raise Refusal("220")
    if kind.tag not in ISSUED_HERE:
        raise Refusal("258")
    return kind


def _header(fields: Fields, call: Call) -> Row:
    account = call.account
    limit = call.settings.rounding_limit
    header: Row = {
        "loja_id": fields.integer("loja_id"),
        "metodo_pagamento_id": fields.integer("metodo_pagamento_id"),
        "metodo_expedicao_id": fields.integer("metodo_expedicao_id"),
        "modulo_estado_id": fields.integer("modulo_estado_id"),
        "viatura": fields.text("viatura", most=20) or "",
        "observacoes": fields.text("observacoes", most=200) or "",
        "lingua": fields.choice("lingua", contacts.LANGUAGES) or "pt",
        "arredondamento": fields.number("arredondamento", low=-limit, high=limit) or ZERO,
        **_currency(fields, call),
    }
    for name, table, code in (
        ("loja_id", account.shops, "247"),
        ("metodo_pagamento_id", account.payments, "223"),
        ("metodo_expedicao_id", account.shipping, "224"),
        ("modulo_estado_id", account.states, "263"),
    ):
        if header[name] is not None and table.get(header[name]) is None:
            fields.errors.append(code)
            header[name] = None
    return header


def _currency(fields: Fields, call: Call) -> Row:
    """Only a remark: every document is in EUR."""
    currency = fields.text("moeda")
    if currency and not _CURRENCY.fullmatch(currency):
        fields.errors.append("9.moeda")
        currency = None
    foreign = currency is not None and not currency.startswith("EUR")
    rate = fields.number("cambio", low=ZERO, required=foreign)
    return {"moeda": currency or call.settings.currency, "cambio": str(rate or Decimal("1.00000"))}


def _series(fields: Fields, call: Call, *, final: bool) -> Row:
    shops = call.account.shops
    number = fields.integer("loja_id")
    shop = (shops.get(number) if number is not None else None) or shops.principal()
    return usable_series(fields, call, shop=shop, final=final)


def _times(fields: Fields, call: Call, customer: contacts.Customer) -> tuple[datetime, datetime]:
    now = call.world.clock.lisbon()
    issued_at = fields.moment("data") or now
    due_at = fields.moment("prazo_vencimento") or issued_at + timedelta(days=customer.row["prazo_vencimento"])
    if issued_at > now + CLOCK_SKEW:
        fields.errors.append("9.data")
    if due_at.date() < issued_at.date():
        fields.errors.append("241")
    return issued_at, due_at


def _sums(made: list[lines.DraftLine], rounding: Decimal, call: Call) -> Sums:
    sums = total([line.priced for line in made], call.settings.arithmetic)
    return Sums(sums.net, sums.tax, sums.gross + rounding, sums.discount)


def _date_rules(draft: Draft, call: Call) -> list[str]:
    if not draft.final:
        return []
    now = call.world.clock.lisbon()
    months_back = (now.year - draft.issued_at.year) * 12 + now.month - draft.issued_at.month
    is_export = any(line.exemption and line.exemption["codigo"] == EXPORT for line in draft.lines)
    broken = [] if months_back == 0 or (months_back == 1 and is_export and now.day <= 15) else ["292"]
    return broken + later_date(call, draft.series, draft.kind, draft.issued_at)


def _amount_rules(draft: Draft, call: Call) -> list[str]:
    if draft.sums.gross < 0:
        return ["243"]
    too_much = draft.sums.gross > call.settings.anonymous_limit
    return ["244"] if draft.kind.tag in INVOICES and too_much and _is_anonymous(draft, call) else []


def _is_anonymous(draft: Draft, call: Call) -> bool:
    contact = draft.customer.row
    if contact["nif"] != ANONYMOUS_NUMBER:
        return False
    if call.settings.anonymous_by is Anonymous.TAX_NUMBER or contact is call.account.consumer:
        return True
    return not (contact["morada"] or draft.address.get("morada"))


def _simplified_rules(draft: Draft, call: Call) -> list[str]:
    """Simplified invoices only: 275 and the limits 302 to 305."""
    if draft.kind.tag != "FS":
        return []
    contact = draft.customer.row
    services = [line.sums for line in draft.lines if line.is_service]
    retailer = call.settings.retailer
    limits = (
        ("302", not retailer, 100, draft.sums.net, draft.sums.gross),
        ("303", True, 1000, draft.sums.net, draft.sums.gross),
        ("304", retailer, 100, sum(line.net for line in services), sum(line.gross for line in services)),
        ("305", is_taxable_person(contact["nif"], contact["pais"]), 100, draft.sums.net, draft.sums.gross),
    )
    broken = ["275"] if any(line.exemption for line in draft.lines) else []
    for code, applies, most, net, gross in limits:
        amount = net if code in call.settings.simplified_net_codes else gross
        if applies and amount > most:
            broken.append(code)
    return broken
