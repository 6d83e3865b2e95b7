"""The lines of a document as they are sent: article, price, tax or exemption, and the line that one corrects."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from syncd.sandbox.billpt import credit, items
from syncd.sandbox.billpt.amounts import FIVE, TEN, ZERO, Priced, Sums, stored
from syncd.sandbox.billpt.calls import Call
from syncd.sandbox.billpt.intake import rows
from syncd.sandbox.billpt.lists import CORRECTIONS, DocumentType
from syncd.sandbox.billpt.records import Account, Line, Row
from syncd.sandbox.billpt.validation import Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLine:
    """One line that passed its checks; `tax_id` 0 and an exemption stand together."""

    article: items.Article
    tax_id: int
    exemption: Row | None
    parent: Line | None
    name: str
    reference: str
    priced: Priced
    sums: Sums

    @property
    def is_service(self) -> bool:
        return bool(self.article.row["servico"])


def read(fields: Fields, call: Call, kind: DocumentType, *, vat_inside: bool) -> list[DraftLine]:
    """All lines that could be read; what is wrong with the others is noted in `fields`."""
    given = rows(fields.given("produtos"))
    if not given:
        fields.errors.append("1.produtos")
        return []
    found = []
    for values in given:
        inner = Fields(values if isinstance(values, Mapping) else {}, fields.errors)
        if line := _read_line(inner, call, kind, vat_inside=vat_inside):
            found.append(line)
    return found


def _read_line(fields: Fields, call: Call, kind: DocumentType, *, vat_inside: bool) -> DraftLine | None:
    before = len(fields.errors)
    parent = credit.parent_of(fields, call, kind)
    reference = fields.text("referencia_manual", most=60) or ""
    if kind.tag in CORRECTIONS and parent is None and not reference:
        fields.errors.append("266")
    tax, exemption = _tax(fields, call.account)
    name = fields.text("nome", most=200, required=parent is None)
    tax_id = tax["id"] if tax else 0
    # A correcting line without an article of its own is about the article that it corrects.
    if parent and fields.given("item_id") is None and fields.given("codigo") is None:
        article = items.Article(known=parent.item)
    else:
        article = items.resolve(fields, call, name=name, tax_id=tax_id)
    priced = _price(fields, Decimal(tax["valor"]) if tax else ZERO, vat_inside=vat_inside)
    if priced is None or len(fields.errors) > before:
        return None
    return DraftLine(
        article=article,
        tax_id=tax_id,
        exemption=exemption,
        parent=parent,
        name=name or (parent.name if parent else ""),
        reference=reference,
        priced=priced,
        sums=priced.sums(),
    )


def _price(fields: Fields, rate: Decimal, *, vat_inside: bool) -> Priced | None:
    quantity = fields.number("quantidade", required=True)
    price = fields.number("preco_unitario", low=ZERO, required=True)
    discounts = [stored(fields.percentage(f"desconto_{position}"), FIVE) for position in (1, 2, 3)]
    if quantity is None or price is None:
        return None
    quantity, price = stored(quantity, TEN), stored(price, TEN)
    if quantity <= 0:
        fields.errors.append("9.quantidade")
    if price == 0:
        fields.errors.append("271")
    first, second, third = discounts
    return Priced(quantity, price, (first, second, third), rate, vat_inside)


def _tax(fields: Fields, account: Account) -> tuple[Row | None, Row | None]:
    """The tax and the exemption of a line: one of them, never both, or 229, 270 and 274."""
    tax = _tax_row(fields, account)
    code = fields.text("isencao")
    number = fields.integer("motivo_isencao_id") or None
    if code is None and number is None:
        if tax is None or not tax["valor"]:
            fields.errors.append("270")
        return tax, None
    reason = account.exemptions.find("codigo", code) if code else account.exemptions.get(number or 0)
    if reason is None or (tax is not None and tax["valor"]):
        fields.errors.append("274")
    return tax, reason


def _tax_row(fields: Fields, account: Account) -> Row | None:
    """By id, else by percentage; an id or percentage of 0 means none. An unknown one is noted and taken as 23 %."""
    number = fields.integer("imposto_id")
    percentage = fields.number("imposto", low=ZERO)
    if number:
        found = account.taxes.get(number)
    elif percentage:
        found = next((row for row in account.taxes if row["valor"] == percentage), None)
    else:
        return None
    if found is None:
        fields.errors.append("229")
        return account.taxes.principal()
    return found
