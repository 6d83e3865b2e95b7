"""What the sandbox may be told: one switch for each point that Bill.pt's documentation leaves open, and its clock.

The defaults are the documented behaviour, or the stricter reading where nothing is documented.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

LISBON = ZoneInfo("Europe/Lisbon")

UNAUTHORISED = ("200", "202", "203", "208", "248")
FORBIDDEN = ("245", "255", "256", "257", "258", "259", "260", "261", "262", "308")


class Arithmetic(StrEnum):
    """How the lines of a document become its totals."""

    LINE = "line"  # net and tax of each line rounded, then added
    RATE = "rate"  # base and tax of each rate rounded independently from exact sums
    BASE = "base"  # tax of each rate taken from its rounded base


class RateMode(StrEnum):
    """How requests are counted."""

    SLIDING = "sliding"  # no window of that length holds more than the limit
    FIXED = "fixed"  # a window starts at its first request
    BUCKET = "bucket"  # tokens flow back evenly


class Credit(StrEnum):
    """What a credit note uses up of the line that it corrects."""

    QUANTITY = "quantity"
    VALUE = "value"


class Anonymous(StrEnum):
    """Who counts as anonymous above the limit of error 244."""

    IDENTITY = "identity"  # no tax number and no address
    TAX_NUMBER = "tax_number"  # no tax number


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Time as the sandbox sees it; `now` is aware, `monotonic` in seconds."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def lisbon(self) -> datetime:
        """Mainland time without zone and fraction, as the service writes it."""
        return self.now().astimezone(LISBON).replace(tzinfo=None, microsecond=0)


def _statuses() -> dict[str, int]:
    return dict.fromkeys(UNAUTHORISED, 401) | dict.fromkeys(FORBIDDEN, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Behaviour of one sandbox. Amounts in EUR, `rate_window` in seconds; `rate_limit` None counts without refusing."""

    # the account
    retailer: bool = True
    old_taxes: bool = False  # the vendor's sample list: Madeira 5, Azores 18
    new_series_reported: bool = False  # a series created over the API is known to the tax authority at once
    default_series: str = "B2026"  # or IVA2026, whose prices hold the VAT
    login_email: str = "api@loja.example"
    login_password: str = "sandbox"  # noqa: S105 - the sandbox's own, guards nothing
    # counting
    rate_limit: int | None = 100
    rate_window: float = 60.0
    rate_mode: RateMode = RateMode.SLIDING
    # amounts
    arithmetic: Arithmetic = Arithmetic.LINE
    rounding_limit: Decimal = Decimal("0.03")
    anonymous_limit: Decimal = Decimal(1000)
    anonymous_by: Anonymous = Anonymous.IDENTITY
    simplified_net_codes: frozenset[str] = frozenset({"302"})  # of 302 to 305, those whose limit is meant without VAT
    # input
    name_limit: int = 30  # documented; public clients send up to 150
    filters_known_only: bool = False  # True refuses an unknown filter, False ignores it
    existing_code_refused: bool = False  # an inline article whose code exists: 231 instead of using it
    articles_by_name: bool = True  # a line with neither article id nor code makes an article
    anonymous_number_matches: bool = True  # an inline contact with 999999990 is the default consumer
    draft_edit_merges: bool = False  # editing a draft keeps the fields that are not sent again
    manual_reference_must_exist: bool = False
    credit_uses: Credit = Credit.QUANTITY
    # answers
    created_status: int = 200
    error_status: int | None = None  # one status for all errors, even 200
    statuses: Mapping[str, int] = field(default_factory=_statuses)
    numbers_in_contacts: bool = True  # codes and tax numbers made of digits come as JSON numbers
    newest_first: bool = False  # order of GET documentos without order_by
    draft_number: str = ""
    currency: str = "EUR_€"
    too_many_body: Mapping[str, object] = field(default_factory=lambda: {"error": ["Too Many Attempts."]})
    missing_country: str = "Undefined index: pais"  # a raw server fault, as seen by a public client
    missing_country_status: int = 500
    # codes for refusals that are documented without one
    later_date_code: str = "102"  # or 242
    unknown_document_code: str = "209"
    over_credit_code: str = "209"
    over_payment_code: str = "209"

    def status_of(self, codes: tuple[str, ...]) -> int:
        """The status of an error answer; what it should be is documented nowhere."""
        if self.error_status is not None:
            return self.error_status
        return max((self.statuses.get(code.split(".")[0], 400) for code in codes), default=400)
