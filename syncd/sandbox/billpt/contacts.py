"""Customers: list, search, create, change; and how a document finds its customer."""

from collections.abc import Mapping
from typing import Any

from syncd.sandbox.billpt.calls import Call, Reply, Search
from syncd.sandbox.billpt.intake import rows
from syncd.sandbox.billpt.records import Account, Row
from syncd.sandbox.billpt.seeds import CONTACT_DEFAULTS
from syncd.sandbox.billpt.settings import Settings
from syncd.sandbox.billpt.validation import ANONYMOUS_NUMBER, Fields, Refusal, tax_number_is_valid

FILTERS = frozenset(
    {
        *("email", "morada", "codigo_postal", "cidade", "pais", "site", "telefone_contacto", "observacoes"),
        *("prazo_vencimento", "retencao", "activar_alerta", "visivel", "nome", "codigo", "nif", "pessoa_contacto"),
    }
)
LANGUAGES = ("pt", "fr", "en")


def search(call: Call) -> Reply:
    wanted = Search.read(call, FILTERS)
    table = call.account.contacts
    indexed = next((name for name in ("codigo", "nif") if name in wanted.exact), None)
    if indexed == "codigo":
        found = table.find("codigo", wanted.exact["codigo"])
        candidates = [found] if found else []
    else:
        candidates = list(table)
    return call.page([row for row in candidates if wanted.fits(row)], lambda row: shown(row, call.settings))


def create(call: Call) -> Reply:
    fields = Fields(call.values)
    row = read(fields, call, new=True)
    fields.finish()
    _refuse_taken(call.account, row)
    return Reply(_detail(add(call, row), call), call.settings.created_status)


def read_one(call: Call) -> Reply:
    return Reply(_detail(call.row(call.account.contacts, "225"), call))


def update(call: Call) -> Reply:
    row = call.row(call.account.contacts, "225")
    fields = Fields(call.values)
    changes = read(fields, call, new=False, current=row)
    fields.finish()
    _refuse_taken(call.account, changes, current=row)
    call.account.contacts.change(row, changes)
    return Reply(_detail(row, call))


def delete(call: Call) -> Reply:
    row = call.row(call.account.contacts, "225")
    if row["usado"] or row is call.account.consumer:
        raise Refusal("222")
    call.account.contacts.remove(row)
    return Reply(None, 204)


def read(fields: Fields, call: Call, *, new: bool, current: Row | None = None) -> Row:
    """The columns that were sent, checked; with `new` what is mandatory must be there."""
    country = fields.country()
    if new and country is None and fields.given("pais") is None:
        # The public clients saw this text instead of a code; other errors of the request do not come with it.
        raise Refusal(call.settings.missing_country, status=call.settings.missing_country_status)
    country = country or (current or CONTACT_DEFAULTS)["pais"]
    columns: Row = {
        "nome": fields.text("nome", most=call.settings.name_limit, required=new),
        "codigo": fields.text("codigo", most=30),
        "nif": _tax_number(fields, country),
        "pais": country,
        "email": fields.email("email"),
        "site": fields.text("site", most=255),
        "pessoa_contacto": fields.text("pessoa_contato", most=50),
        "telefone_contacto": fields.text("telefone_contato", most=30) or fields.text("telefone_contacto", most=30),
        "observacoes": fields.text("observacoes", most=250),
        "prazo_vencimento": fields.integer("prazo_vencimento"),
        "alerta_dias_antes": fields.integer("alerta_dias_antes", high=365),
        "alerta_dias_depois": fields.integer("alerta_dias_depois", high=365),
        "desconto_padrao": fields.integer("desconto_padrao", high=100),
        "lingua_padrao_documentos": fields.choice("lingua_padrao_documentos", LANGUAGES),
        **fields.address(country=country),
    }
    columns |= _defaults(fields, call.account)
    columns |= {flag: fields.flag(flag) for flag in ("retencao", "activar_alerta", "visivel") if flag in fields.values}
    return {name: value for name, value in columns.items() if value not in (None, "")}


def add(call: Call, row: Row) -> Row:
    """Store a new customer; without a code it gets the next free number."""
    contacts = call.account.contacts
    if "codigo" not in row:
        number = len(contacts) + 1
        while contacts.find("codigo", str(number)):
            number += 1
        row = {**row, "codigo": str(number)}
    return contacts.add({**CONTACT_DEFAULTS, **row})


class Customer:
    """The customer of a document: a stored contact, or the columns of one that comes with the document."""

    def __init__(self, *, stored: Row | None = None, new: Row | None = None) -> None:
        self._stored = stored
        self._new = {**CONTACT_DEFAULTS, **(new or {})}

    @property
    def row(self) -> Row:
        return self._stored or self._new

    @property
    def known_id(self) -> int | None:
        return self._stored["id"] if self._stored else None

    def store(self, call: Call) -> Row:
        """The contact, created if it is new; from now on it is in use."""
        if self._stored is None:
            self._stored = add(call, {name: value for name, value in self._new.items() if value not in (None, "")})
        self._stored["usado"] = 1
        return self._stored


def resolve(fields: Fields, call: Call) -> Customer:
    """The customer by `contato_id`, else by the code or the tax number in `contato`, else new; nothing is stored yet."""
    account = call.account
    number = fields.integer("contato_id")
    if number is not None:
        stored = account.contacts.get(number)
        if stored is None:
            fields.errors.append("217" if account.contacts.is_foreign(number) else "225")
        return Customer(stored=stored or account.consumer)
    inline = fields.given("contato")
    if not inline or not isinstance(inline, Mapping):
        if inline and rows(inline) is None:
            fields.errors.append("9.contato")
        return Customer(stored=account.consumer)
    known = _match(account, inline, call.settings)
    columns = read(Fields(inline, fields.errors), call, new=known is None)
    return Customer(stored=known) if known else Customer(new=columns)


def shown(row: Row, settings: Settings) -> Row:
    """A contact as the contact calls answer it: what consists of digits comes as a number."""
    if not settings.numbers_in_contacts:
        return row
    return {**row, "codigo": _as_number(row["codigo"]), "nif": _as_number(row["nif"])}


def _match(account: Account, inline: Mapping[str, Any], settings: Settings) -> Row | None:
    for column in ("codigo", "nif"):
        value = str(inline.get(column) or "").strip()
        if not value or (value == ANONYMOUS_NUMBER and column == "nif" and not settings.anonymous_number_matches):
            continue
        if found := account.contacts.find(column, value):
            return found
    return None


def _tax_number(fields: Fields, country: str) -> str | None:
    number = fields.text("nif", most=15)
    if number and country == "PT" and not tax_number_is_valid(number):
        fields.errors.append("206")
    return number


def _defaults(fields: Fields, account: Account) -> Row:
    columns: Row = {}
    for name, table, code in (
        ("metodo_pagamento_id", account.payments, "223"),
        ("metodo_expedicao_id", account.shipping, "224"),
    ):
        number = fields.integer(name)
        if number is not None and table.get(number) is None:
            fields.errors.append(code)
        columns[name] = number
    return columns


def _refuse_taken(account: Account, columns: Row, current: Row | None = None) -> None:
    codes = []
    if "codigo" in columns and account.contacts.find("codigo", columns["codigo"]) not in (None, current):
        codes.append("231")
    number = columns.get("nif", ANONYMOUS_NUMBER)
    if number != ANONYMOUS_NUMBER and account.contacts.find("nif", number) not in (None, current):
        codes.append("253")
    if codes:
        raise Refusal(*codes)


def _detail(row: Row, call: Call) -> Row:
    kind = next(iter(call.account.contact_types))
    pivot = {"contato_id": row["id"], "tipo_id": kind["id"]}
    return {**shown(row, call.settings), "originario": [], "tipo": [{**kind, "pivot": pivot}]}


def _as_number(text: str) -> str | int:
    return int(text) if text.isascii() and text.isdigit() and text[0] != "0" and len(text) < 16 else text
