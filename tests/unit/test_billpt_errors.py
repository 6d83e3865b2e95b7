from itertools import chain

import pytest

from syncd.domain.errors import (
    AccountBlockedError,
    NoEffectError,
    RefusedError,
    ServiceError,
    StaleReferenceError,
    UncertainError,
)
from syncd.providers.billpt.errors import MEANINGS, Code, codes_in, error_for, message_in, parse

LATER = {102, 201, 242, 249, 265, 267}
LOOK = {276}
STALE = {217: "customer", 218: "article", 221: "unit", 223: "payment_method", 225: "customer"} | {
    227: "series",
    229: "tax",
    230: "article",
    274: "exemption",
}
DATA = {*range(1, 11), 100, 101, 206, 209, 212, 214, 215, 222, 226, 231, 232, 233, 234, *range(235, 245), 246, 251} | {
    *(253, 264, 266, 271, 272, 273, 275, 289, 292, 301, 302, 303, 304, 305),
}
BLOCKED = {*(200, 202, 203, 204, 205, 207, 208, 210, 211, 213, 216, 219, 220, 224, 228, 245, 247, 248, 250, 252)} | {
    *(254, 255, 256, 257, 258, 259, 260, 261, 262, 263, 268, 269, 270, 277, 288, 291, 300, 306, 307, 308, 309),
}

EXPECTED: dict[int, type[ServiceError]] = {
    **dict.fromkeys(DATA - LATER, RefusedError),
    **dict.fromkeys(BLOCKED, AccountBlockedError),
    **dict.fromkeys(STALE, StaleReferenceError),
    **dict.fromkeys(LATER, NoEffectError),
    **dict.fromkeys(LOOK, UncertainError),
}

DOCUMENTED = {*range(1, 11), *range(100, 103), *range(200, 278), 288, 289, 291, 292, 300, *range(301, 310)}


def error(*texts: str, status: int = 400) -> ServiceError:
    return error_for(status, [parse(text) for text in texts])


def test_every_documented_code_has_a_meaning_and_no_other() -> None:
    assert set(MEANINGS) == DOCUMENTED == set(EXPECTED)


@pytest.mark.parametrize("number", sorted(EXPECTED))
def test_a_code_becomes_the_error_that_says_what_happens_next(number: int) -> None:
    raised = error(str(number))
    assert type(raised) is EXPECTED[number]
    assert raised.code == f"billpt.{number}"
    assert str(raised)
    assert raised.answer.codes == (str(number),)
    assert raised.answer.status == 400


@pytest.mark.parametrize("number", sorted(DATA - LATER | BLOCKED))
def test_whatever_a_person_must_act_upon_says_how(number: int) -> None:
    assert error(str(number)).fix


@pytest.mark.parametrize(("number", "kind"), sorted(STALE.items()))
def test_an_id_that_the_service_does_not_know_names_what_to_forget(number: int, kind: str) -> None:
    raised = error(str(number))
    assert isinstance(raised, StaleReferenceError)
    assert raised.kinds == (kind,)


@pytest.mark.parametrize(
    ("text", "number", "field", "value"),
    [
        ("1.nome", 1, "nome", ""),
        ("101.morada.100", 101, "morada", "100"),
        ("206", 206, "", ""),
        ("9.imposto id", 9, "imposto_id", ""),
        ("242.2026-11-20 10:00:00", 242, "", "2026-11-20 10:00:00"),
        ("102.data.2026-11-20", 102, "data", "2026-11-20"),
        ("Undefined index: pais", None, "", ""),
        ("12345678", None, "", ""),
        ("", None, "", ""),
    ],
)
def test_the_grammar_of_codes(text: str, number: int | None, field: str, value: str) -> None:
    code = parse(text)
    assert (code.number, code.field, code.value) == (number, field, value)


@pytest.mark.parametrize("number", [278, 287, 290, 299, 310, 4711, 11, 99, 150])
def test_a_code_that_nobody_documented_holds_the_document(number: int) -> None:
    assert type(error(str(number))) is RefusedError


@pytest.mark.parametrize(
    ("texts", "kind", "code"),
    [
        (("102.data.2026-01-01", "206"), RefusedError, "billpt.206"),
        (("206", "230"), StaleReferenceError, "billpt.230"),
        (("206", "230", "309"), AccountBlockedError, "billpt.309"),
        (("309", "276"), UncertainError, "billpt.276"),
        (("Undefined index: pais", "208"), AccountBlockedError, "billpt.208"),
    ],
)
def test_of_several_codes_the_gravest_decides(texts: tuple[str, ...], kind: type[ServiceError], code: str) -> None:
    raised = error(*texts)
    assert type(raised) is kind
    assert raised.code == code
    assert raised.answer.codes == texts


def test_everything_wrong_of_the_same_gravity_is_named_at_once() -> None:
    raised = error("101.morada.100", "1.nome", "206")
    assert str(raised) == (
        "morada: longer than 100 characters; nome: a required field is missing; the tax number is not valid"
    )


def test_stale_ids_of_several_kinds_are_forgotten_together() -> None:
    raised = error("229", "218", "230")
    assert isinstance(raised, StaleReferenceError)
    assert raised.kinds == ("article", "tax")


def test_the_services_own_text_is_told_but_shortened() -> None:
    raised = error("Undefined index: pais" + " and so on" * 100)
    assert isinstance(raised, RefusedError)
    assert str(raised).startswith("the service says: Undefined index: pais")
    assert len(str(raised)) < 160
    assert raised.code == "billpt.message"


@pytest.mark.parametrize(
    ("status", "texts", "one_record", "kind"),
    [
        (401, (), False, AccountBlockedError),
        (403, ("This action is unauthorized.",), False, AccountBlockedError),
        (401, ("208",), False, AccountBlockedError),
        (403, ("206",), False, RefusedError),
        (404, (), False, AccountBlockedError),
        (405, (), False, AccountBlockedError),
        (404, (), True, RefusedError),
        (404, ("230",), True, StaleReferenceError),
        (408, (), False, UncertainError),
        (422, (), False, RefusedError),
        (422, ("The given data was invalid.",), False, RefusedError),
        (200, ("206",), False, RefusedError),
    ],
)
def test_the_status_decides_where_no_code_does(
    status: int, texts: tuple[str, ...], one_record: bool, kind: type[ServiceError]
) -> None:
    raised = error_for(status, [parse(text) for text in texts], one_record=one_record)
    assert type(raised) is kind
    assert raised.answer.status == status


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"error": ["1.nome", "206"]}, ("1.nome", "206")),
        ({"error": "206"}, ("206",)),
        ({"error": 206}, ("206",)),
        ({"error": []}, ()),
        ({"error": None}, ()),
        ({"error": False}, ()),
        ({"id": 1}, ()),
        (["Enviado com sucesso"], ()),
        (None, ()),
    ],
)
def test_errors_are_found_in_whatever_shape_they_come(body: object, texts: tuple[str, ...]) -> None:
    assert tuple(code.text for code in codes_in(body)) == texts


def test_the_frameworks_message_stands_in_for_missing_codes() -> None:
    assert message_in({"message": "Unauthenticated."}) == (Code(text="Unauthenticated."),)
    assert message_in({"message": ""}) == message_in([]) == message_in(None) == ()


def test_no_two_groups_of_the_table_overlap() -> None:
    groups = [DATA - LATER, BLOCKED, set(STALE), LATER, LOOK]
    assert len(list(chain(*groups))) == len(set(chain(*groups)))
