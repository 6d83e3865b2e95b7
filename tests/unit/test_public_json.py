"""The JSON that others build on, for every captured order and its refunds."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from syncd.mapping.planner import plan
from syncd.mapping.report import plan_json
from syncd.shops.port import OrderFacts, Shop, ShopConfig, load_shop
from tests.builders import a_policy, issued
from tests.public_json import PLAN
from tests.woocommerce import a_shop, order_bodies

SHOPIFY = load_shop("shopify")(
    ShopConfig(name="montra", url="https://montra.example", webhook_secrets=(SecretStr("hush"),))
)
BODIES: list[tuple[str, Shop, bytes]] = [
    *((name, a_shop(), body) for name, body in order_bodies()),
    *(
        (file.stem, SHOPIFY, file.read_bytes())
        for file in sorted(Path(__file__).parents[1].glob("data/shopify/order-*.json"))
        if "line_items" in json.loads(file.read_bytes())
    ),
]


def printed(shop: Shop, body: bytes) -> list[dict[str, Any]]:
    """The plan of an order, and what follows once its documents are issued."""
    order, policy = shop.read(OrderFacts(order=body)), a_policy(issue_on=frozenset({"processing", "completed", "paid"}))
    first = plan(order, (), policy)
    later = plan(order, issued(*first.documents), policy)
    return [json.loads(json.dumps(plan_json(made))) for made in (first, later)]


@pytest.mark.parametrize(("shop", "body"), [each[1:] for each in BODIES], ids=[each[0] for each in BODIES])
def test_a_plan_has_the_promised_shape_and_adds_up(shop: Shop, body: bytes) -> None:
    for told in printed(shop, body):
        PLAN.validate(told)
        for document in told["documents"]:
            figures = {name: Decimal(document["totals"][name]) for name in ("net", "tax", "gross")}
            assert figures["net"] + figures["tax"] == figures["gross"]
            if document["kind"] != "RC":
                assert sum(Decimal(line["gross"]) for line in document["lines"]) == figures["gross"]
                assert sum(Decimal(tax["base"]) for tax in document["taxes"]) == figures["net"]
            for line in document["lines"]:
                assert (line["exemption"] is None) == (Decimal(line["vat_rate"]) != 0)


def test_the_check_notices_what_is_missing() -> None:
    paid = next(each for each in BODIES if each[0].startswith("order-pt-three-vat-rates"))
    told, _ = printed(*paid[1:])
    told["documents"][0]["lines"][0]["gross"] = "12.3"
    assert not PLAN.is_valid(told)
