"""The account's own lists: types, means of payment, units, series, taxes, exemption reasons, shops."""

from collections.abc import Callable
from dataclasses import dataclass

from syncd.sandbox.billpt import lists
from syncd.sandbox.billpt.calls import Call, Endpoint, Reply
from syncd.sandbox.billpt.records import Account, Row, Table
from syncd.sandbox.billpt.validation import Fields, Refusal

HIDDEN = "comunicada"  # the sandbox's own column of a series


@dataclass(frozen=True, slots=True)
class Master:
    """One list: where it lies, how a row is read from a request, and the code for an unknown id."""

    table: Callable[[Account], Table]
    read: Callable[[Fields, Call, bool], Row] | None = None
    unknown: str = "209"

    def listing(self, call: Call) -> Reply:
        return Reply([_shown(row) for row in self.table(call.account)])

    def create(self, call: Call) -> Reply:
        row = self._columns(call, None)
        made = self.table(call.account).add({"usado": 0, "visivel": 1, "principal": 0, **row})
        return Reply(_shown(made), call.settings.created_status)

    def update(self, call: Call) -> Reply:
        row = call.row(self.table(call.account), self.unknown)
        self.table(call.account).change(row, self._columns(call, row))
        return Reply(_shown(row))

    def delete(self, call: Call) -> Reply:
        row = call.row(self.table(call.account), self.unknown)
        if row["usado"] or row["principal"]:
            raise Refusal("222")
        self.table(call.account).remove(row)
        return Reply(None, 204)

    def _columns(self, call: Call, current: Row | None) -> Row:
        fields = Fields(call.values)
        columns = self.read(fields, call, current is None) if self.read else {}
        columns |= {flag: fields.flag(flag) for flag in ("principal", "visivel") if flag in fields.values}
        fields.finish()
        if columns.get("principal"):
            for row in self.table(call.account):
                row["principal"] = 0
        return {name: value for name, value in columns.items() if value is not None}


def document_types(call: Call) -> Reply:
    category = call.path_ids.get("categoria")
    return Reply(
        [
            {"id": kind.id, "tipificacao": kind.tag, "nome": kind.name, "categoria": kind.category}
            for kind in lists.TYPES
            if category in (None, kind.category)
        ]
    )


def routes() -> list[tuple[str, str, Endpoint]]:
    """Method, path below the API's root, endpoint."""
    found: list[tuple[str, str, Endpoint]] = [
        ("GET", "tipos-documento", document_types),
        ("GET", "tipos-documento/{categoria:[a-z]+}", document_types),
    ]
    for path, master in MASTERS.items():
        found.append(("GET", path, master.listing))
        if master.read:
            found.append(("POST", path, master.create))
            found.append(("PATCH", f"{path}/{{id:\\d+}}", master.update))
            found.append(("DELETE", f"{path}/{{id:\\d+}}", master.delete))
    return found


def _unit(fields: Fields, _: Call, new: bool) -> Row:  # noqa: FBT001 - the signature of Master.read
    return {
        "nome": fields.text("nome", most=30, required=new),
        "simbolo": fields.text("simbolo", most=15, required=new),
    }


def _tax(fields: Fields, _: Call, new: bool) -> Row:  # noqa: FBT001 - the signature of Master.read
    return {
        "nome": fields.text("nome", most=30, required=new),
        "valor": fields.integer("valor", high=100, required=new),
    }


def _series(fields: Fields, call: Call, new: bool) -> Row:  # noqa: FBT001 - the signature of Master.read
    name = fields.text("nome", most=30, required=new)
    if name and not name.isalnum():
        fields.errors.append("306")
    taken = call.account.series.find("nome", name) if name else None
    if taken and str(taken["id"]) != call.path_ids.get("id"):
        fields.errors.append("226")
    columns: Row = {"nome": name}
    if new or "iva_incluido" in fields.values:
        columns["iva_incluido"] = fields.flag("iva_incluido")
    if new:
        columns[HIDDEN] = int(call.settings.new_series_reported)
    return columns


def _shown(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != HIDDEN}


MASTERS = {
    "metodos-pagamento": Master(lambda account: account.payments),
    "metodos-expedicao": Master(lambda account: account.shipping),
    "motivos-isencao": Master(lambda account: account.exemptions),
    "lojas": Master(lambda account: account.shops),
    "tipos": Master(lambda account: account.contact_types),
    "estados": Master(lambda account: account.states),
    "unidades-medida": Master(lambda account: account.units, _unit, "221"),
    "impostos": Master(lambda account: account.taxes, _tax, "229"),
    "series": Master(lambda account: account.series, _series, "227"),
}
