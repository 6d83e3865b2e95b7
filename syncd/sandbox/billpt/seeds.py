"""A new account: default consumer, taxes, series, units, means of payment, exemption reasons."""

from syncd.sandbox.billpt import lists
from syncd.sandbox.billpt.records import Account, Ids, Row, Table, token_of
from syncd.sandbox.billpt.settings import Settings
from syncd.sandbox.billpt.validation import ANONYMOUS_NUMBER

CONSUMER_NAME = "Consumidor Final"

CONTACT_DEFAULTS: Row = {
    "metodo_expedicao_id": None,
    "metodo_pagamento_id": None,
    "codigo": "",
    "nome": "",
    "email": "",
    "morada": "",
    "codigo_postal": "",
    "cidade": "",
    "pais": "PT",
    "nif": ANONYMOUS_NUMBER,
    "site": "",
    "pessoa_contacto": "",
    "telefone_contacto": "",
    "observacoes": "",
    "prazo_vencimento": 0,
    "retencao": 0,
    "usado": 0,
    "activar_alerta": 0,
    "visivel": 1,
    "alerta_dias_antes": 0,
    "alerta_dias_depois": 0,
    "desconto_padrao": 0,
    "lingua_padrao_documentos": "pt",
}
FLAGS: Row = {"usado": 0, "visivel": 1, "principal": 0}


def open_account(name: str, ids: Ids, settings: Settings) -> Account:
    """An account as its owner finds it on the first day. Its ids differ from every other account's."""
    contacts = Table("contatos", ids, indexed=("codigo", "nif"))
    consumer = contacts.add({**CONTACT_DEFAULTS, "codigo": "1", "nome": CONSUMER_NAME})
    taxes = lists.OLD_TAXES if settings.old_taxes else lists.TAXES
    series = _series(ids, settings.default_series)
    return Account(
        name=name,
        token=token_of(name),
        user_id=ids.next("users"),
        consumer=consumer,
        contacts=contacts,
        items=Table("items", ids, indexed=("codigo",)),
        taxes=_table("impostos", ids, [{"nome": tax, "valor": rate, **FLAGS} for tax, rate in taxes]),
        series=series,
        units=_table("unidades", ids, [{"nome": unit, "simbolo": symbol, **FLAGS} for symbol, unit in lists.UNITS]),
        payments=_payments(ids),
        shipping=_table("expedicao", ids, [{"nome": way, **FLAGS} for way in lists.SHIPPING]),
        exemptions=_exemptions(ids),
        shops=_shops(ids, series),
        contact_types=_table("tipos", ids, [{"nome": kind, "visivel": 1} for kind in ("Cliente", "Fornecedor")]),
        states=_table("estados", ids, [{"nome": "Processado", **FLAGS}]),
    )


def _table(kind: str, ids: Ids, rows: list[Row]) -> Table:
    table = Table(kind, ids)
    for position, row in enumerate(rows):
        table.add({**row, "principal": int(position == 0)} if "principal" in row else row)
    return table


def _series(ids: Ids, default: str) -> Table:
    """`comunicada` is the sandbox's own column and is never shown."""
    table = Table("series", ids, indexed=("nome",))
    for row in (
        {"nome": "B2026"},
        {"nome": "IVA2026", "iva_incluido": 1},
        {"nome": "NOVA", "comunicada": 0},
        {"nome": "VELHA", "visivel": 0},
    ):
        table.add({"iva_incluido": 0, **FLAGS, "comunicada": 1, **row, "principal": int(row["nome"] == default)})
    return table


def _payments(ids: Ids) -> Table:
    table = Table("pagamentos", ids)
    numbers = ids.shuffled("pagamentos", len(lists.PAYMENTS))
    for number, (symbol, name) in sorted(zip(numbers, lists.PAYMENTS, strict=True)):
        table.add({"nome": name, "simbolo": symbol, "principal": int(symbol == "TB")}, number)
    return table


def _exemptions(ids: Ids) -> Table:
    table = Table("isencoes", ids, indexed=("codigo",))
    for code, reason in lists.EXEMPTIONS.items():
        table.add({"codigo": code, "motivo": reason})
    return table


def _shops(ids: Ids, series: Table) -> Table:
    return _table(
        "lojas",
        ids,
        [
            {
                "nome": "Loja",
                **FLAGS,
                "activo": 1,
                "stock_negativo": 1,
                "morada": "",
                "codigo_postal": "",
                "cidade": "",
                "serie_id": series.principal()["id"],
            }
        ],
    )
