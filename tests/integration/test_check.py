"""`syncd check` on what only the ledger can tell: whether the tables of articles fit what a shop sells."""

from pathlib import Path
from typing import Any

import pytest

from syncd.domain.facts import Fact, FactKind
from syncd.operations import check
from syncd.settings import Settings, load
from syncd.store import events
from syncd.store.engine import Database
from tests.builders import PAID_AT, an_event
from tests.shopify_emulator import payload, raw

SETTINGS = """
[database]
url = "{url}"
[accounts.main]
provider = "billpt"
base_url = "http://127.0.0.1:9"
token = "{token}"
timeout_seconds = 1
[shops.loja]
platform = "{platform}"
account = "main"
url = "https://loja.example"
webhook_secret = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
goods = ["{fitting}"]
[shops.loja.articles]
"{fitting}" = "OLEO"
"{idle}" = "ROUPA"
"""


def _settings(folder: Path, **values: str) -> Settings:
    file = folder / "syncd.toml"
    file.write_text(SETTINGS.format(token="t" * 128, **values), "utf-8")
    return load(file, {})


async def _tell(database: Database, body: dict[str, Any]) -> None:
    fact = Fact(kind=FactKind.ORDER, order_id=str(body["id"]), topic="order", payload=raw(body), version=PAID_AT)
    await events.accept(database, [an_event(fact)])


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


async def test_an_entry_that_a_platform_cannot_tell_of_is_named_instead_of_never_fitting(
    database: Database, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = payload("order-pt-three-vat-rates-nif-discount.json")
    settings = _settings(
        tmp_path, url=database_url, platform="shopify", fitting=body["line_items"][0]["sku"], idle="T-Shirts"
    )
    await check(settings)
    known_by = "articles, goods: an article is known by its SKU; shopify tells no product type and no tax class"
    said = _said(capsys)
    assert known_by in said
    assert "T-Shirts" not in said  # nothing was sold that it could have fitted
    await _tell(database, body)
    await check(settings)
    said = _said(capsys)
    assert known_by in said
    assert "articles: nothing in the last 1 orders fits 'T-Shirts'" in said
    assert body["line_items"][0]["sku"] not in said


async def test_where_a_platform_tells_product_types_an_entry_for_one_fits(
    database: Database, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = {"name": "Caneca", "gross": "12.30", "tax_rate": 23, "product_type": "cozinha", "tax_class": "normal"}
    order = {"created_at": PAID_AT.isoformat(), "updated_at": PAID_AT.isoformat(), "payment": "paid"}
    await _tell(database, {"id": "1", "total": "12.30", "lines": [line], **order})
    await check(_settings(tmp_path, url=database_url, platform="generic", fitting="cozinha", idle="normal"))
    said = _said(capsys)
    assert "an article is known by its SKU or product type or tax class" in said
    assert "fits" not in said
