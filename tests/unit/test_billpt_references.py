from decimal import Decimal

import pytest

from syncd.domain.document import DocumentKind, PriceMode
from syncd.domain.errors import AccountBlockedError, NoEffectError, RefusedError
from syncd.providers.billpt import checks, references
from syncd.providers.billpt.references import Entry, References
from tests.provider_parts import MemoryDirectory

TAXES = [
    {"id": 13576, "nome": "IVA 23%", "valor": 23, "visivel": 1, "principal": 1},
    {"id": 13577, "nome": "IVA 13%", "valor": 13, "visivel": 1, "principal": 0},
    {"id": 13578, "nome": "IVA 6%", "valor": 6, "visivel": 1, "principal": 0},
    {"id": 13580, "nome": "Açores 4%", "valor": 4, "visivel": 1, "principal": 0},
    {"id": 13581, "nome": "IVA Madeira 4%", "valor": 4, "visivel": 1, "principal": 0},
    {"id": 13582, "nome": "Açores 16%", "valor": "16", "visivel": True, "principal": False},
    {"id": 13583, "nome": "RAM 22%", "valor": 22, "visivel": 1, "principal": 0},
    {"id": 13584, "nome": "IVA 13% antigo", "valor": 13, "visivel": 0, "principal": 1},
    {"id": 13585, "nome": "OSS 19%", "valor": 19, "visivel": 1, "principal": 0},
    {"id": 13586, "nome": "Madeira 5%", "valor": 5, "visivel": 0, "principal": 0},
]
SERIES = [
    {"id": 11, "nome": "2026", "iva_incluido": 0, "visivel": 1, "principal": 1},
    {"id": 12, "nome": "WEB", "iva_incluido": 0, "visivel": 1, "principal": 0},
    {"id": 13, "nome": "LOJA", "iva_incluido": 1, "visivel": 1, "principal": 0},
]
PAYMENTS = [{"id": 31, "nome": "Transferência", "simbolo": "TB"}, {"id": 33, "nome": "Cartão", "simbolo": "CC"}]
UNITS = [{"id": 4, "simbolo": "KG", "principal": 0}, {"id": 5, "simbolo": "UN", "principal": 1}]
TYPES = [{"id": 3, "tipificacao": "FR"}, {"id": 28, "tipificacao": "RC"}]
LISTS: dict[str, object] = {
    "impostos": TAXES,
    "series": SERIES,
    "metodos-pagamento": PAYMENTS,
    "unidades-medida": UNITS,
    "tipos-documento": TYPES,
    "motivos-isencao": [{"id": 1, "codigo": "M01"}, {"id": 21, "codigo": "M05"}],
}


class Account:
    """Lists as a service would answer them, with a count of how often each is asked for."""

    def __init__(self, **lists: object) -> None:
        self.lists = LISTS | {path.replace("_", "-"): rows for path, rows in lists.items()}
        self.asked: list[str] = []
        self.directory = MemoryDirectory()
        self.references = References(self.directory, self.fetch)

    async def fetch(self, path: str) -> object:
        self.asked.append(path)
        return self.lists[path]


@pytest.mark.parametrize(
    ("rate", "region", "expected"),
    [
        ("23", "PT", "13576"),
        ("23.00", "PT", "13576"),
        ("4", "PT-MA", "13581"),
        ("4", "PT-AC", "13580"),
        ("22", "PT-MA", "13583"),
        ("16", "PT-AC", "13582"),
        ("6", "PT-MA", "13578"),  # none of its own: the one without a region's name
        ("19", "DE", "13585"),
        ("5", "PT-MA", "13586"),  # hidden, but a credit note over an old invoice needs it
        ("13", "PT", "13577"),  # not the hidden one, although that is the default
    ],
)
async def test_a_tax_is_matched_by_rate_and_region(rate: str, region: str, expected: str) -> None:
    assert await Account().references.tax(Decimal(rate), region) == expected


@pytest.mark.parametrize(("rate", "region"), [("4", "PT"), ("16", "PT"), ("16", "PT-MA"), ("25.5", "FI"), ("5", "PT")])
async def test_a_rate_that_the_account_lacks_holds_the_order_and_says_what_to_create(rate: str, region: str) -> None:
    with pytest.raises(RefusedError) as caught:
        await Account().references.tax(Decimal(rate), region)
    assert caught.value.code == "billpt.rate_missing"
    assert f"{rate} %" in caught.value.fix


async def test_an_account_without_regions_in_its_names_is_matched_by_rate() -> None:
    account = Account(impostos=[{"id": 7, "nome": "Taxa reduzida", "valor": 4}])
    assert await account.references.tax(Decimal(4), "PT-MA") == "7"


async def test_a_list_is_read_once() -> None:
    account = Account()
    for _ in range(3):
        await account.references.tax(Decimal(23), "PT")
        await account.references.unit()
    assert account.asked == ["impostos", "unidades-medida"]


async def test_what_the_cached_list_lacks_may_have_been_added_since() -> None:
    account = Account()
    with pytest.raises(RefusedError):
        await account.references.tax(Decimal(5), "PT")
    account.lists["impostos"] = [*TAXES, {"id": 99, "nome": "IVA 5%", "valor": 5}]
    assert await account.references.tax(Decimal(5), "PT") == "99"


@pytest.mark.parametrize(("mechanism", "expected"), [("CC", "33"), ("TB", "31"), ("OU", "31")])
async def test_a_payment_is_matched_by_symbol_and_other_is_shown_as_transfer(mechanism: str, expected: str) -> None:
    assert await Account().references.payment(mechanism) == expected


async def test_a_payment_that_the_account_lacks_is_not_replaced_by_another() -> None:
    with pytest.raises(RefusedError) as caught:
        await Account().references.payment("MB")
    assert caught.value.code == "billpt.payment_missing"


@pytest.mark.parametrize(("name", "expected"), [("WEB", ("12", PriceMode.NET)), ("LOJA", ("13", PriceMode.GROSS))])
async def test_a_series_goes_by_its_name_and_says_how_it_takes_prices(
    name: str, expected: tuple[str, PriceMode]
) -> None:
    assert await Account().references.series(name) == expected


@pytest.mark.parametrize(("flag", "mode"), [(False, PriceMode.NET), (True, PriceMode.GROSS)])
async def test_without_a_series_the_accounts_default_serves_and_is_not_named(flag: bool, mode: PriceMode) -> None:
    default = [{"id": 1, "nome": "2026", "iva_incluido": flag, "principal": True}]
    assert await Account(series=default).references.series("") == ("", mode)


async def test_a_series_that_is_missing_blocks_the_account_and_names_those_there_are() -> None:
    with pytest.raises(AccountBlockedError, match="2026, LOJA, WEB") as caught:
        await Account().references.series("LJ")
    assert caught.value.code == "billpt.series_missing"


async def test_units_and_types_come_from_the_account() -> None:
    account = Account()
    assert await account.references.unit() == "5"
    assert await account.references.document_type(DocumentKind.RC) == "28"
    with pytest.raises(AccountBlockedError):
        await account.references.document_type(DocumentKind.NC)
    with pytest.raises(AccountBlockedError):
        await Account(unidades_medida=[]).references.unit()


async def test_an_answer_that_is_no_list_had_no_effect() -> None:
    with pytest.raises(NoEffectError):
        await Account(series={"data": []}).references.series("WEB")


@pytest.mark.parametrize(
    ("kind", "expected"), [(DocumentKind.NC, "NOTAS"), (DocumentKind.FR, "WEB"), (DocumentKind.RC, "WEB")]
)
def test_a_kind_has_its_series_or_that_of_all_others(kind: DocumentKind, expected: str) -> None:
    assert references.series_name({"NC": "NOTAS", "*": "WEB"}, kind) == expected
    assert references.series_name({}, kind) == ""


def rows(*fields: dict[str, str]) -> tuple[Entry, ...]:
    return tuple(Entry(id=str(number), fields=row) for number, row in enumerate(fields))


def lists(**changed: tuple[Entry, ...]) -> dict[str, tuple[Entry, ...]]:
    return {
        "series": rows({"nome": "WEB", "iva_incluido": "0", "principal": "1"}),
        "tax": rows({"nome": "IVA", "valor": "23"}),
        "payment_method": rows({"simbolo": "TB"}),
        "exemption": rows({"codigo": "M05"}),
    } | changed


def test_a_sound_account_has_nothing_to_fix_though_it_lacks_what_only_islands_need() -> None:
    found = checks.findings(lists(), {"*": "WEB"})
    assert all(finding.ok for finding in found)
    said = " ".join(finding.message for finding in found)
    assert "Madeira 4 %, Azores 16 %" in said
    assert "M10, M16, M99" in said


@pytest.mark.parametrize(("flag", "said"), [("0", "prices without VAT"), ("1", "prices with VAT")])
def test_a_check_tells_how_a_series_takes_prices(flag: str, said: str) -> None:
    changed = lists(series=rows({"nome": "WEB", "iva_incluido": flag, "principal": "1"}))
    assert checks.findings(changed, {})[0].message == f"WEB, {said}"


@pytest.mark.parametrize(
    ("changed", "series", "subject"),
    [
        ({}, {"*": "WEB", "NC": "NOTAS"}, "series NOTAS"),
        ({"series": ()}, {}, "series (default)"),
        ({"tax": ()}, {}, "taxes"),
        ({"payment_method": ()}, {}, "payment methods"),
    ],
)
def test_what_would_stop_documents_is_found_with_its_fix(
    changed: dict[str, tuple[Entry, ...]], series: dict[str, str], subject: str
) -> None:
    assert [f.subject for f in checks.findings(lists(**changed), series) if not f.ok] == [subject]
