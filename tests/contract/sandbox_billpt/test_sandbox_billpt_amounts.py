"""The service's arithmetic, in its three possible forms."""

from dataclasses import replace
from decimal import Decimal

import pytest

from syncd.sandbox.billpt import Arithmetic, Settings
from syncd.sandbox.billpt.amounts import ZERO, Priced, total
from tests.contract.sandbox_billpt.conftest import OpenDesk
from tests.contract.sandbox_billpt.desk import Desk

LINE, RATE, BASE = Arithmetic.LINE, Arithmetic.RATE, Arithmetic.BASE


def a_line(price: str, quantity: str = "1", rate: int = 23, *discounts: str, vat_inside: bool = False) -> Priced:
    first, second, third = [*map(Decimal, discounts), ZERO, ZERO, ZERO][:3]
    return Priced(Decimal(quantity), Decimal(price), (first, second, third), Decimal(rate), vat_inside)


def sums(lines: list[Priced], arithmetic: Arithmetic) -> tuple[str, str, str]:
    found = total(lines, arithmetic)
    return str(found.net), str(found.tax), str(found.gross)


def test_the_vendors_example_comes_out() -> None:
    for arithmetic in Arithmetic:
        assert sums([a_line("2.23")], arithmetic) == ("2.23", "0.51", "2.74")


@pytest.mark.parametrize(
    ("lines", "arithmetic", "expected"),
    [
        # 4.065040650 net is 5.00 gross: whole cents of net cannot reach it, the exact sum can.
        ([a_line("4.0650406504")], LINE, ("4.07", "0.94", "5.01")),
        ([a_line("4.0650406504")], RATE, ("4.07", "0.93", "5.00")),
        ([a_line("4.0650406504")], BASE, ("4.07", "0.94", "5.01")),
        # Three thirds of a cent vanish on each line and count in the sum.
        ([a_line("0.333")] * 3, LINE, ("0.99", "0.24", "1.23")),
        ([a_line("0.333")] * 3, BASE, ("1.00", "0.23", "1.23")),
        ([a_line("1.005", rate=6), a_line("1.005", rate=13)], LINE, ("2.02", "0.19", "2.21")),
        ([a_line("5.00", vat_inside=True)], LINE, ("4.07", "0.93", "5.00")),
        ([a_line("5.00", vat_inside=True)], BASE, ("4.07", "0.94", "5.01")),
        ([a_line("5.00", vat_inside=True)], RATE, ("4.07", "0.93", "5.00")),
    ],
)
def test_lines_become_totals(lines: list[Priced], arithmetic: Arithmetic, expected: tuple[str, str, str]) -> None:
    assert sums(lines, arithmetic) == expected


def test_three_discounts_follow_one_another() -> None:
    assert sums([a_line("100", "1", 23, "10", "10", "10")], LINE) == ("72.90", "16.77", "89.67")
    assert total([a_line("100", "1", 23, "10", "10", "10")], LINE).discount == Decimal("27.10")


def test_half_a_cent_goes_up() -> None:
    assert sums([a_line("0.50", rate=9)], LINE) == ("0.50", "0.05", "0.55")


@pytest.mark.parametrize(("arithmetic", "gross"), [(LINE, "5.01"), (RATE, "5.00"), (BASE, "5.01")])
async def test_an_account_adds_up_its_own_way(arithmetic: Arithmetic, gross: str, open_desk: OpenDesk) -> None:
    desk = await open_desk(replace(Settings(), arithmetic=arithmetic))
    made = await desk.issued(produtos=[desk.line(preco_unitario=4.0650406504)])
    assert made["gross_total"] == gross
    assert made["lancamentos"][0]["preco_unitario"] == "4.0650406504"


async def test_a_series_with_vat_inside_takes_gross_prices(desk: Desk) -> None:
    made = await desk.issued(serie_id=desk.series("IVA2026"), produtos=[desk.line(preco_unitario=5)])
    assert (made["net_total"], made["tax_total"], made["gross_total"]) == ("4.07", "0.93", "5.00")


async def test_the_manual_rounding_moves_the_total_only(desk: Desk) -> None:
    made = await desk.issued(produtos=[desk.line(preco_unitario=4.0650406504)], arredondamento=-0.01)
    assert (made["net_total"], made["tax_total"], made["gross_total"]) == ("4.07", "0.94", "5.00")
    assert made["arredondamento"] == "-0.01"


async def test_a_gift_is_a_list_price_with_all_of_it_taken_off(desk: Desk) -> None:
    made = await desk.issued(produtos=[desk.line(desconto_1=100)])
    assert (made["gross_total"], made["desconto_total"]) == ("0.00", "10.00")


async def test_an_exempt_line_bears_its_reason(desk: Desk) -> None:
    made = await desk.issued(produtos=[desk.line(imposto=0, isencao="M05"), desk.line(codigo="B")])
    assert (made["net_total"], made["tax_total"], made["gross_total"]) == ("20.00", "2.30", "22.30")
    reason = desk.sandbox.account.exemptions.find("codigo", "M05")
    assert reason
    assert made["lancamentos"][0]["motivo_isencao_id"] == reason["id"]
    assert made["lancamentos"][0]["imposto_id"] == 0


async def test_more_decimals_than_are_kept_are_rounded_first(desk: Desk) -> None:
    made = await desk.issued(produtos=[desk.line(preco_unitario="1.00000000005", desconto_1="33.333335")])
    line = made["lancamentos"][0]
    assert (line["preco_unitario"], line["desconto_1"]) == ("1.0000000001", "33.33334")


async def test_an_account_can_be_told_over_http_how_it_works(open_desk: OpenDesk) -> None:
    desk = await open_desk(Settings())
    control = f"{desk.serving.url}/_sandbox/account"
    told = {"arithmetic": "rate", "default_series": "IVA2026"}
    assert (await desk.call("POST", control, told)).made == told
    principal = {row["nome"] for row in (await desk.get("series")).body if row["principal"]}
    assert principal == {"IVA2026"}
    for wrong in ({"arithmetic": "guessing"}, {"default_series": "NOPE"}):
        assert (await desk.call("POST", control, wrong)).status == 400
