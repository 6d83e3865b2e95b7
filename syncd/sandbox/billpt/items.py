"""Articles: list, search, create, change; and how a document line finds its article."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from syncd.sandbox.billpt.amounts import CENT, ZERO, stored
from syncd.sandbox.billpt.calls import Call, Reply, Search
from syncd.sandbox.billpt.intake import rows
from syncd.sandbox.billpt.records import Account, Row, Table
from syncd.sandbox.billpt.validation import Fields, Refusal

FILTERS = frozenset(
    {
        *("unidade_medida_id", "ProductCategory", "visivel", "movimenta_stock", "imposto_id", "preco_custo", "servico"),
        *("codigo", "codigo_barras", "descricao"),
    }
)
CATEGORIES = ("M", "P", "A", "S", "T")
DEFAULTS: Row = {
    "codigo": "",
    "codigo_barras": "",
    "descricao": "",
    "imposto_id": 0,
    "unidade_medida_id": 0,
    "ProductCategory": "M",
    "preco_custo": "0.00",
    "visivel": 1,
    "usado": 0,
    "servico": 0,
    "movimenta_stock": 1,
    "observacoes": "",
    "iva_compra": 0,
    "precos": [],
}


def search(call: Call) -> Reply:
    wanted = Search.read(call, FILTERS)
    if "codigo" in wanted.exact:
        found = call.account.items.find("codigo", wanted.exact["codigo"])
        candidates = [found] if found else []
    else:
        candidates = list(call.account.items)
    return call.page([row for row in candidates if wanted.fits(row)], dict)


def create(call: Call) -> Reply:
    fields = Fields(call.values)
    row = _read(fields, call.account, new=True)
    fields.finish()
    if "codigo" in row and call.account.items.find("codigo", row["codigo"]):
        raise Refusal("231")
    made = add(call.account, row)
    return Reply({**made, "categorias": [], "originario": []}, call.settings.created_status)


def read_one(call: Call) -> Reply:
    row = call.row(call.account.items, "230")
    unit = call.account.units.get(row["unidade_medida_id"])
    tax = call.account.taxes.get(row["imposto_id"])
    return Reply({**row, "categorias": [], "unidade_medida": unit, "imposto": tax, "originario": []})


def update(call: Call) -> Reply:
    row = call.row(call.account.items, "230")
    fields = Fields(call.values)
    changes = _read(fields, call.account, new=False)
    fields.finish()
    if "codigo" in changes and call.account.items.find("codigo", changes["codigo"]) not in (None, row):
        raise Refusal("231")
    call.account.items.change(row, changes)
    return Reply({**row, "categorias": [], "originario": []})


def delete(call: Call) -> Reply:
    row = call.row(call.account.items, "230")
    if row["usado"]:
        raise Refusal("222")
    call.account.items.remove(row)
    return Reply(None, 204)


def add(account: Account, row: Row) -> Row:
    """Store a new article; without a code it gets the next free number."""
    if "codigo" not in row:
        number = len(account.items) + 1
        while account.items.find("codigo", str(number)):
            number += 1
        row = {**row, "codigo": str(number)}
    return account.items.add({**DEFAULTS, **row})


class Article:
    """The article of a document line: a stored one, or the columns of one that comes with the line."""

    def __init__(self, *, known: Row | None = None, new: Row | None = None) -> None:
        self.known = known
        self.new = {**DEFAULTS, **(new or {})}

    @property
    def row(self) -> Row:
        return self.known or self.new

    def store(self, account: Account) -> Row:
        """The article, created if it is new and no earlier line of the document brought it; now it is in use."""
        if self.known is None:
            code = self.new["codigo"]
            columns = {name: value for name, value in self.new.items() if value != ""}
            self.known = (account.items.find("codigo", code) if code else None) or add(account, columns)
        self.known["usado"] = 1
        return self.known


def resolve(fields: Fields, call: Call, *, name: str | None, tax_id: int) -> Article:
    """The article of a line by `item_id`, else by its code, else new; nothing is stored yet."""
    items = call.account.items
    number = fields.integer("item_id")
    if number is not None:
        known = items.get(number)
        if known is None:
            fields.errors.append("218" if items.is_foreign(number) else "230")
        return Article(known=known)
    code = fields.text("codigo", most=30)
    known = items.find("codigo", code) if code else None
    if known is not None:
        if call.settings.existing_code_refused:
            fields.errors.append("231")
        return Article(known=known)
    if code is None and not call.settings.articles_by_name:
        fields.errors.append("1.item_id")
    return Article(new=_inline(fields, call.account, code=code, name=name, tax_id=tax_id))


def _inline(fields: Fields, account: Account, *, code: str | None, name: str | None, tax_id: int) -> Row:
    unit = _reference(fields, "unidade_medida_id", account.units, "221", required=code is not None)
    service = fields.flag("servico")
    return {
        "codigo": code or "",
        "descricao": name or "",
        "unidade_medida_id": unit or account.units.principal()["id"],
        "imposto_id": tax_id,
        "iva_compra": tax_id,
        "ProductCategory": fields.choice("ProductCategory", CATEGORIES) or "M",
        "servico": service,
        "movimenta_stock": fields.flag("movimenta_stock", default=1 - service),
    }


def _read(fields: Fields, account: Account, *, new: bool) -> Row:
    columns: Row = {
        "codigo": fields.text("codigo", most=30),
        "codigo_barras": fields.text("codigo_barras", most=100),
        "descricao": fields.text("descricao", most=200, required=new),
        "imposto_id": _reference(fields, "imposto_id", account.taxes, "229", required=new),
        "iva_compra": _reference(fields, "iva_compra", account.taxes, "229", required=new),
        "unidade_medida_id": _reference(fields, "unidade_medida_id", account.units, "221", required=new),
        "ProductCategory": fields.choice("ProductCategory", CATEGORIES),
        "preco_custo": _money(fields.number("preco_custo", low=ZERO)),
        "observacoes": fields.text("observacoes"),
        "precos": _prices(fields),
    }
    flags = ("visivel", "movimenta_stock", "servico")
    columns |= {flag: fields.flag(flag) for flag in flags if flag in fields.values}
    return {name: value for name, value in columns.items() if value is not None}


def _reference(fields: Fields, name: str, table: Table, code: str, *, required: bool) -> int | None:
    """An id of the account's own list; public clients send 0 as the tax of exempt goods."""
    number = fields.integer(name, required=required)
    if number and table.get(number) is None:
        fields.errors.append(code)
    if number == 0 and code != "229":
        fields.errors.append(code)
    return number


def _prices(fields: Fields) -> list[Row] | None:
    given = fields.given("precos")
    if given is None:
        return None
    prices = []
    for price in rows(given) or ():
        inner = Fields(price if isinstance(price, Mapping) else {}, fields.errors)
        amounts: dict[str, Any] = {
            name: _money(inner.number(name, low=ZERO)) for name in ("preco_sem_iva", "preco_com_iva")
        }
        prices.append({"preco_nome": inner.text("preco_nome", most=30) or "", **amounts})
    return prices


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else str(stored(amount, CENT))
