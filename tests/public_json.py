"""What `syncd plan --json` and `syncd orders --json` promise: more fields may come, none of these may go or change."""

from typing import Any

from jsonschema import Draft202012Validator

AMOUNT = {"type": "string", "pattern": r"^-?\d+\.\d{2}$"}
NUMBER = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}
TEXT = {"type": "string"}
KIND = {"enum": ["FT", "FR", "FS", "RC", "NC", "ND"]}
EXEMPTION = {"type": ["string", "null"], "pattern": r"^M\d{2}$"}


def _object(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(fields), "properties": fields}


def _list(entry: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": entry}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_TOTALS = _object(net=AMOUNT, tax=AMOUNT, gross=AMOUNT)
_LINE = _object(
    code=TEXT,
    description=TEXT,
    quantity=NUMBER,
    unit_price=NUMBER,
    discount=NUMBER,
    discounts=_list(NUMBER),
    vat_rate=NUMBER,
    exemption=EXEMPTION,
    net=AMOUNT,
    tax=AMOUNT,
    gross=AMOUNT,
)
PLAN = Draft202012Validator(
    _object(
        documents=_list(
            _object(
                key=TEXT,
                kind=KIND,
                customer=_object(name=TEXT, tax_id=TEXT, country={"type": "string", "pattern": "^[A-Z]{2}$"}),
                lines=_list(_LINE),
                taxes=_list(_object(rate=NUMBER, exemption=EXEMPTION, base=AMOUNT, tax=AMOUNT)),
                totals=_TOTALS,
                references=_list(_object(key=TEXT, amount=AMOUNT)),
            )
        ),
        holds=_list(_object(code=TEXT, message=TEXT, fix=TEXT)),
    )
)
ORDER = Draft202012Validator(
    _object(
        shop=TEXT,
        order_id=TEXT,
        order_number=TEXT,
        state={"enum": ["pending", "planned", "issuing", "issued", "held", "skipped"]},
        hold=_or_null(_object(code=TEXT, message=TEXT)),
        documents=_list(
            _object(
                key=TEXT,
                kind=KIND,
                state={
                    "enum": [
                        "waiting",
                        "planned",
                        "issuing",
                        "uncertain",
                        "issued",
                        "held",
                        "withdrawn",
                        "annulling",
                        "annulled",
                    ]
                },
                number=_or_null(TEXT),
                provider_id=_or_null(TEXT),
                net=_or_null(AMOUNT),
                tax=_or_null(AMOUNT),
                gross=_or_null(AMOUNT),
                issued_at=_or_null({"type": "string", "format": "date-time"}),
            )
        ),
    )
)
