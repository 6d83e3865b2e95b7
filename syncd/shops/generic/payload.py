"""The order document that other systems post: its fields, their meaning, and what may be left out.

`order.schema.json` beside this file is made from these models by `schema`; a test keeps the two in step.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticCustomError

from syncd.domain.order import Lifecycle, LineKind, PaymentState, RefundState
from syncd.shops.moments import EARLIEST, LATEST

SCHEMA_ID = "urn:syncd:order:1"

# A cent is the finest amount: whoever rounds must be the shop, which knows what the buyer paid.
_UNSIGNED = r"^[0-9]{1,12}(\.[0-9]{1,2})?$"
_SIGNED = r"^-?[0-9]{1,12}(\.[0-9]{1,2})?$"
# A piece may cost fractions of one: screws by the thousand, energy by the kilowatt-hour.
_PRICE = r"^[0-9]{1,12}(\.[0-9]{1,6})?$"
_COUNT = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"
_COUNT_ABOVE_ZERO = r"^(?!0+(\.0+)?$)[0-9]{1,9}(\.[0-9]{1,6})?$"
_RATE = r"^([0-9]{1,2}(\.[0-9]{1,3})?|100)$"


def _exact(pattern: str, hint: str, *, whole: tuple[int, int] | None = None) -> tuple[BeforeValidator, WithJsonSchema]:
    """A decimal written as text; with `whole`, also as a JSON integer within these bounds.

    Amounts are never JSON numbers: 1230 could mean cents, and 12.3 has lost digits in many a parser already.
    """
    expression = re.compile(pattern)
    text: dict[str, Any] = {"type": "string", "pattern": pattern}

    def read(value: object) -> Decimal:
        if whole and isinstance(value, int) and not isinstance(value, bool) and whole[0] <= value <= whole[1]:
            return Decimal(value)
        if isinstance(value, str) and expression.fullmatch(value) and value.isascii():
            return Decimal(value)
        raise PydanticCustomError("decimal", "{hint}", {"hint": hint})

    number = {"type": "integer", "minimum": whole[0], "maximum": whole[1]} if whole else None
    return BeforeValidator(read), WithJsonSchema({"anyOf": [text, number]} if number else text)


Amount = Annotated[Decimal, *_exact(_UNSIGNED, 'write it as a text with at most two decimals, such as "12.30"')]
SignedAmount = Annotated[Decimal, *_exact(_SIGNED, 'write it as a text with at most two decimals, such as "12.30"')]
UnitPrice = Annotated[Decimal, *_exact(_PRICE, 'write it as a text with at most six decimals, such as "0.0375"')]
Count = Annotated[Decimal, *_exact(_COUNT, 'write a whole number, or a text such as "1.5"', whole=(0, 999_999_999))]
CountAboveZero = Annotated[
    Decimal,
    *_exact(_COUNT_ABOVE_ZERO, 'write a whole number above 0, or a text such as "1.5"', whole=(1, 999_999_999)),
]
Rate = Annotated[Decimal, *_exact(_RATE, 'write it in per cent: 23, or a text such as "5.5"', whole=(0, 100))]
# Beyond these years a time leaves the calendar when it is moved to another zone.
Time = Annotated[
    AwareDatetime,
    Field(ge=EARLIEST, lt=LATEST),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Country = Annotated[str, Field(pattern=r"^([A-Z]{2})?$")]
Name = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    """What all parts share: types are taken at their word, and a misspelt field is an error, not a loss."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class AddressPart(Part):
    """An address as the buyer typed it."""

    name: str = ""
    company: str = ""
    street: str = ""
    postcode: str = ""
    city: str = ""
    region: str = ""
    country: Country = Field(default="", description="ISO 3166-1 alpha-2, such as PT.")


class BuyerPart(Part):
    """Who bought; everything may be missing for an anonymous sale."""

    name: str = ""
    email: str = ""
    phone: str = ""
    tax_id: str = Field(default="", description="NIF, or a foreign tax number with its prefix, as the buyer typed it.")
    tax_exempt: bool = Field(default=False, description="This buyer was charged no VAT on purpose.")
    billing: AddressPart = AddressPart()
    shipping: AddressPart | None = Field(default=None, description="Where the goods go; absent if nothing is shipped.")


class LinePart(Part):
    """One position. Amounts are for the whole line, after discounts. A line has one tax rate: else split it."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["tax_rate"]}, {"required": ["net"]}]})

    id: Id | None = Field(default=None, description="Unique in the order; the line's position (1, 2, ...) if absent.")
    kind: LineKind = LineKind.ARTICLE
    name: Name
    sku: str = ""
    quantity: CountAboveZero = Decimal(1)
    gross: SignedAmount = Field(description="What the buyer paid for the line, tax included; negative for a deduction.")
    tax_rate: Rate | None = Field(default=None, description="VAT in per cent; needed unless net is given.")
    net: SignedAmount | None = Field(
        default=None, description="gross without tax. Computed from tax_rate if absent and prices_include_tax is true."
    )
    list_gross: SignedAmount | None = Field(default=None, description="gross before discounts; gross if absent.")
    list_net: SignedAmount | None = Field(default=None, description="net before discounts.")
    unit_price: UnitPrice | None = Field(
        default=None,
        description="What one piece costs before discounts; without tax if prices_include_tax is false. The document "
        "shows it where it comes to the line's cents, else what follows from them.",
    )
    tax_class: str = Field(default="", description="Your own word, for the table of articles.")
    product_type: str = Field(default="", description="Your own word, for the table of articles.")

    @model_validator(mode="after")
    def _tax_is_told(self) -> Self:
        if self.tax_rate is None and self.net is None:
            raise PydanticCustomError("tax_untold", "give tax_rate or net")
        return self


class PaymentPart(Part):
    """Money received."""

    gateway: Name = Field(description="The means of payment, as in the shop's table of payments.")
    amount: Amount
    currency: Currency | None = Field(default=None, description="The order's currency if absent.")
    paid_at: Time | None = None
    id: str = ""


class RefundLinePart(Part):
    """What was given back of a line."""

    line_id: Id
    quantity: Count = Field(default=Decimal(0), description="Pieces that came back; 0 for a lower price only.")
    gross: Amount = Field(description="What was given back for the line, tax included.")
    net: Amount | None = Field(default=None, description="gross without tax; as on the line if absent.")


class RefundPart(Part):
    """Money given back. Every later version of the order must still list it."""

    id: Id = Field(description="Unique in the order and never used again.")
    created_at: Time
    amount: Amount = Field(description="All that was given back, tax included; lines may explain less of it.")
    lines: tuple[RefundLinePart, ...] = ()
    state: RefundState = Field(default=RefundState.DONE, description="Only a refund that is done is credited.")
    reason: str = ""


class OrderPart(Part):
    """An order's whole present state: post it again after every change, with a later updated_at."""

    model_config = ConfigDict(
        title="Order",
        json_schema_extra={
            "if": {"properties": {"prices_include_tax": {"const": False}}, "required": ["prices_include_tax"]},
            "then": {"properties": {"lines": {"items": {"required": ["net"]}}}},
        },
    )

    id: Id = Field(description="Never changes; the same for every version of the order.")
    number: str = Field(default="", description="Shown to people; id if absent.")
    created_at: Time
    updated_at: Time = Field(description="Last change. The version with the latest time counts, whatever comes when.")
    payment: PaymentState = Field(description="Money received, not only authorised.")
    state: str = Field(default="", description="Your own word, compared with issue_on; the value of payment if absent.")
    lifecycle: Lifecycle | None = Field(
        default=None, description="If absent: cancelled with cancelled_at, refunded if all was given back, else open."
    )
    currency: Currency = "EUR"
    prices_include_tax: bool = Field(
        default=True, description="false: net is what was agreed with the buyer, and every line gives it."
    )
    total: Amount = Field(description="The sale before refunds, tax included; the sum of the lines' gross.")
    lines: tuple[LinePart, ...] = Field(min_length=1, description="Articles, and shipping and fees as well.")
    buyer: BuyerPart = BuyerPart()
    paid_at: Time | None = None
    payments: tuple[PaymentPart, ...] = Field(default=(), description="Together the total once payment is paid.")
    refunds: tuple[RefundPart, ...] = ()
    cancelled_at: Time | None = None
    note: str = ""
    tags: tuple[str, ...] = ()
    discount_codes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        for what, ids in (("lines", self.line_ids), ("refunds", tuple(refund.id for refund in self.refunds))):
            for position, each in enumerate(ids):
                if each in ids[:position]:
                    raise PydanticCustomError(
                        "repeated", "{what}[{position}].id repeats another one", {"what": what, "position": position}
                    )
        return self

    @model_validator(mode="after")
    def _agreed_nets_are_told(self) -> Self:
        for position, line in enumerate(self.lines):
            if not self.prices_include_tax and line.net is None:
                raise PydanticCustomError(
                    "net_untold",
                    "lines[{position}].net is missing, which prices_include_tax = false asks for",
                    {"position": position},
                )
        return self

    @property
    def line_ids(self) -> tuple[str, ...]:
        return tuple(line.id or str(position) for position, line in enumerate(self.lines, start=1))


class Identity(BaseModel):
    """What must be readable for a document to be kept as a version of an order, however wrong the rest is."""

    model_config = ConfigDict(strict=True)

    id: Id
    updated_at: Time


class _Untitled(GenerateJsonSchema):
    """Without a title for every field, which would only repeat its name."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of an order."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **OrderPart.model_json_schema(schema_generator=_Untitled),
    }
