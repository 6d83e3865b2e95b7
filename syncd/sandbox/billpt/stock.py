"""Stock: documents move articles that are not services; nothing sets a stock directly."""

from typing import TYPE_CHECKING

from syncd.sandbox.billpt.amounts import ZERO
from syncd.sandbox.billpt.calls import Call, Reply, World
from syncd.sandbox.billpt.intake import rows
from syncd.sandbox.billpt.lists import INVOICES
from syncd.sandbox.billpt.records import Account, Document, Row
from syncd.sandbox.billpt.validation import Fields, Refusal

if TYPE_CHECKING:
    from decimal import Decimal

PAGE = 50


def book(document: Document, account: Account, world: World, *, undo: bool = False) -> None:
    """Move what a final document sells or takes back; annulling moves it the other way."""
    if document.kind.tag not in INVOICES | {"NC"}:
        return
    goes_out = (document.kind.tag in INVOICES) is not undo
    for line in document.lines:
        if not line.item["movimenta_stock"]:
            continue
        quantity = line.priced.quantity
        account.stock_moves.append(
            {
                "id": world.ids.next("stock"),
                "loja_id": document.header["loja_id"],
                "item_id": line.item["id"],
                "lancamento_id": line.id,
                "out": quantity if goes_out else ZERO,
                "in": ZERO if goes_out else quantity,
                "at": world.clock.lisbon(),
                "item": line.item,
            }
        )


def listing(call: Call) -> Reply:
    """The balance of each article and shop."""
    newest = {(row["item_id"], row["loja_id"]): row for row in _balanced(call)}
    return call.page(list(newest.values()), _shown, size=PAGE)


def moves(call: Call) -> Reply:
    return call.page(_balanced(call), _shown, size=PAGE)


def single(call: Call) -> Reply:
    fields = Fields(call.values)
    item_id = fields.integer("item_id", required=True)
    shop_id = fields.integer("loja_id", required=True)
    fields.finish()
    if call.account.items.get(item_id or 0) is None:
        raise Refusal("230")
    if call.account.shops.get(shop_id or 0) is None:
        raise Refusal("247")
    found = [row for row in _balanced(call) if (row["item_id"], row["loja_id"]) == (item_id, shop_id)]
    empty = {"loja_id": shop_id, "item_id": item_id, **dict.fromkeys(("out", "in", "stock"), ZERO), "at": None}
    return Reply(_shown(found[-1] if found else empty))


def _balanced(call: Call) -> list[Row]:
    """The moves that were asked for, oldest first, each with the balance after it."""
    until = Fields(call.values).moment("data_stock")
    shops = {str(number) for number in rows(call.values.get("lojas")) or ()}
    items = {str(number) for number in rows(call.values.get("itens")) or ()}
    balances: dict[tuple[int, int], Decimal] = {}
    found = []
    for move in call.account.stock_moves:
        if until is not None and move["at"] > until:
            break
        key = (move["item_id"], move["loja_id"])
        balances[key] = move["in"] - move["out"] + balances.get(key, ZERO)
        if (not items or str(key[0]) in items) and (not shops or str(key[1]) in shops):
            found.append({**move, "stock": balances[key]})
    return found


def _shown(row: Row) -> Row:
    at = row["at"]
    return {
        **{name: row.get(name) for name in ("id", "loja_id", "item_id", "lancamento_id")},
        "quantidade_saida": f"{row['out']:.6f}",
        "quantidade_entrada": f"{row['in']:.6f}",
        "stock": f"{row['stock']:.6f}",
        "data_movimento": at.isoformat(sep=" ") if at else None,
        "microtime": at.timestamp() if at else None,
        "item": row.get("item"),
    }
