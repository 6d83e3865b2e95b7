"""Real orders in which something went wrong: what broken shops, careless plugins and attackers send."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"

JUNK: tuple[Any, ...] = (
    *(None, True, "", " ", "\x00", "\ud800", "x" * 10_000, "😀<b>ç</b>", "٣", "-12.30", "12,30", "NaN", "1e400"),
    *(-1, 0, 10**30, 1.5, float("nan"), float("inf"), [], {}, [None], [[]], [{}], {"a": {}}),
    *("2026-13-45T99:99:99Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00"),
)


def woocommerce_order() -> dict[str, Any]:
    captured = json.loads((DATA / "woocommerce/incl-mixed-mbway.03.order.updated.json").read_bytes())
    order: dict[str, Any] = json.loads(captured["body"])
    return order


def shopify_order() -> dict[str, Any]:
    order: dict[str, Any] = json.loads((DATA / "shopify/order-pt-three-vat-rates-nif-discount.json").read_bytes())
    return order


def gone_wrong(order: dict[str, Any], seed: int, *, each: int = 1) -> Iterator[tuple[str, bytes]]:
    """Bodies of the order with one field after the other replaced, each by some of the junk; and what was done."""
    chance = random.Random(seed)
    for place in list(_places(order)):
        for junk in chance.sample(JUNK, each):
            copy = json.loads(json.dumps(order))
            inside = copy
            for step in place[:-1]:
                inside = inside[step]
            inside[place[-1]] = junk
            yield f"{'.'.join(map(str, place))} = {ascii(junk)[:40]}", json.dumps(copy).encode()


def broken(order: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Bodies that are wrong as a whole."""
    body = json.dumps(order).encode()
    yield "empty", b""
    yield "cut short", body[: len(body) // 2]
    yield "another encoding", json.dumps(order, ensure_ascii=False).replace("a", "ã").encode("cp1252")
    yield "a NUL byte between the tokens", body[:1] + b"\x00" + body[1:]
    yield "nested deeply", b'{"id":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    yield "nested deeply inside an order", body[:-1] + b',"meta_data":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    yield "keys twice", body[:-1] + b',"id":1,"total":"0.01"}'
    yield "a number without end", body[:-1] + b',"total":' + b"9" * 100_000 + b"}"
    yield "an exponent without end", body[:-1] + b',"total":1e999999999}'
    yield "an exponent below everything", body[:-1] + b',"total":1e-999999999}'
    yield "no object", b"[" + body + b"]"
    yield "another object", b'{"code":"rest_forbidden","message":"no","data":{"status":403}}'
    yield "a form", b"id=7&total=12.30"
    yield "too large", body[:-1] + b',"note":"' + b"x" * 10_000_000 + b'"}'


def _places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every field, the first two entries of each list."""
    if at:
        yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for step, each in inner:
        yield from _places(each, (*at, step))
