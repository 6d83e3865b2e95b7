"""The tree of settings: every key with its type, default and meaning.

`config/syncd.reference.toml` says the same to people; a test keeps the two in step.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from string import Formatter
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from syncd.mapping.tables import exemption_codes
from syncd.providers.port import AccountConfig, providers
from syncd.settings.kinds import (
    DatabaseUrl,
    Hook,
    Level,
    Name,
    Password,
    PaymentCode,
    PaymentCodeOrHold,
    Region,
    Seconds,
    Secret,
    Secrets,
    Text,
    Whole,
    did_you_mean,
    safe_url,
    wrong,
)
from syncd.shops.port import ShopConfig, platforms

NOTE_FIELDS = frozenset({"number", "id", "shop", "paid_on", "discounts"})
DOCUMENT_KINDS = ("FT", "FR", "FS", "RC", "NC", "ND")


def _exemption(value: str) -> str:
    if value not in exemption_codes():
        raise wrong(f"{value[:40]!r} is no exemption code", did_you_mean(value, exemption_codes()))
    return value


Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
ExemptionCode = Annotated[str, AfterValidator(_exemption)]


class Section(BaseModel):
    """What all sections share: nothing unknown goes in, nothing changes later, no value is shown in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class Database(Section):
    """The ledger."""

    url: DatabaseUrl = Field(default="sqlite+aiosqlite:///syncd.db", repr=False)  # may hold a password
    upgrade_on_start: bool = True


class Http(Section):
    """Where webhooks, health and the dashboard are served."""

    host: Text = "127.0.0.1"
    port: Whole = Field(default=8080, ge=0, le=65_535)  # 0: any free one
    max_body_bytes: Whole = Field(default=5_000_000, ge=100_000, lt=10_000_000)


class Dashboard(Section):
    """The operator's pages."""

    password: Password | None = None  # without one there are no pages
    session_hours: Whole = Field(default=12, ge=1, le=168)


class Log(Section):
    """What is said on standard error."""

    level: Level = "info"
    format: Literal["auto", "json", "console"] = "auto"


class Alerts(Section):
    """What a person is told of besides the log, and when."""

    url: Hook | None = None
    repeat_hours: Whole = Field(default=24, ge=0, le=8_760)  # 0: each alert once
    before_deadline_hours: Whole = Field(default=8, ge=0, le=720)


class Fiscal(Section):
    """What the merchant is before the law, and which documents it chose to issue."""

    region: Region = "PT"
    ship_from: Region = Field(default_factory=lambda known: known.get("region", "PT"))
    regime: Literal["normal", "art53"] = "normal"
    oss: bool = False
    retailer: bool = True
    nif: str = ""
    paid_document: Literal["FR", "FS", "FT+RC"] = "FR"
    unpaid_document: Literal["none", "FT"] = "none"
    arithmetic: Literal["auto", "line", "rate", "base"] = "auto"
    prices: Literal["net", "gross"] = "net"

    @field_validator("nif")
    @classmethod
    def _nif_has_the_right_check_digit(cls, value: str) -> str:
        from syncd.mapping.customers import valid_nif  # noqa: PLC0415 - its library is heavy, and few commands need it

        if value and not valid_nif(value):
            raise wrong("is no Portuguese tax number", "write its nine digits, without PT")
        return value


def _register_url(value: str) -> str:
    return safe_url(value, allow_http=False)


RegisterUrl = Annotated[str, AfterValidator(_register_url)]


class Vies(Section):
    """The Commission's register of VAT numbers."""

    enabled: bool = True
    url: RegisterUrl = "https://ec.europa.eu/taxation_customs/vies/rest-api"
    timeout_seconds: Seconds = 30


class Ecb(Section):
    """The European Central Bank's reference rates."""

    enabled: bool = True
    url: RegisterUrl = "https://www.ecb.europa.eu/stats/eurofxref"
    timeout_seconds: Seconds = 30


class Registers(Section):
    """Public registers that planning may ask."""

    vies: Vies = Vies()
    ecb: Ecb = Ecb()


def series_of_documents(value: dict[str, str]) -> dict[str, str]:
    """A table of series by kind of document."""
    for kind in value:
        if kind not in {*DOCUMENT_KINDS, "*"}:
            raise wrong(
                f"{kind[:40]!r} is no kind of document", f"use {', '.join(DOCUMENT_KINDS)}, or * for all others"
            )
    return value


class Account(Section):
    """An account at an invoicing service."""

    provider: str
    allow_http: bool = False
    base_url: str
    token: Secret
    rate_limit: Whole = Field(default=100, ge=1)  # requests per 60 s
    timeout_seconds: Seconds = 30
    settle_seconds: Seconds = 60
    lease_seconds: Seconds = Field(default=60, validate_default=True)
    series: dict[str, Text] = {}
    options: dict[str, str] = {}
    fiscal: Fiscal = Fiscal()

    @field_validator("provider")
    @classmethod
    def _provider_is_installed(cls, value: str) -> str:
        if value not in providers():
            raise wrong(f"{value[:40]!r} is no known invoicing service", did_you_mean(value, providers()))
        return value

    @field_validator("base_url")
    @classmethod
    def _base_url_is_safe(cls, value: str, info: ValidationInfo) -> str:
        return safe_url(value, allow_http=info.data.get("allow_http", False))

    @field_validator("lease_seconds")
    @classmethod
    def _lease_outlives_a_request(cls, value: float, info: ValidationInfo) -> float:
        # A lease that ends before the answer can come would let a second issuer start while the first one still sends.
        timeout = info.data.get("timeout_seconds")
        if timeout is not None and value <= timeout:
            raise wrong(
                f"{value:g} is not longer than timeout_seconds = {timeout:g}",
                "make the lease longer, or the time-out shorter",
            )
        return value

    _series_name_documents = field_validator("series")(series_of_documents)


class Rule(Section):
    """What happens to some of a shop's orders; every condition that is given must hold."""

    action: Literal["issue", "skip", "hold"] = "issue"
    tags: tuple[Text, ...] = ()
    countries: tuple[Country, ...] = ()
    payments: tuple[Text, ...] = ()
    at_least: Decimal | None = None  # of the order's total
    below: Decimal | None = None
    document: Literal["FR", "FS", "FT+RC"] | None = None
    series: str = ""
    reason: str = ""


class Shop(Section):
    """A shop whose orders become documents of one account."""

    platform: str
    account: str
    allow_http: bool = False
    url: str
    webhook_secret: Secrets
    consumer_key: Secret | None = None
    consumer_secret: Secret | None = Field(default=None, validate_default=True)
    access_token: Secret | None = None
    client_id: Text | None = None
    client_secret: Secret | None = Field(default=None, validate_default=True)
    api_version: str = ""
    timeout_seconds: Seconds = 30
    poll_interval: Whole = Field(default=60, ge=0, le=86_400)  # seconds; 0 = webhooks only
    options: dict[str, str] = {}

    paid_document: Literal["FR", "FS", "FT+RC"] | None = None  # instead of the account's
    series: dict[str, Text] = {}
    issue_on: tuple[Text, ...] = ()
    start_after: date | None = None
    tax_id_keys: tuple[Text, ...] = ()
    invalid_nif: Literal["hold", "final_consumer"] = "hold"
    payments: dict[str, PaymentCode] = {}
    unknown_payment: PaymentCodeOrHold = "OU"
    articles: dict[str, Text] = {}
    exemptions: dict[str, ExemptionCode] = {}
    services: tuple[Text, ...] = ()
    goods: tuple[Text, ...] = ()
    default_nature: Literal["goods", "service"] = "goods"
    shipping_code: Text = "PORTES"
    fee_code: Text = "TAXA"
    shipping_vat: Literal["shop", "follow_goods"] = "shop"
    on_rate_mismatch: Literal["hold", "follow_shop", "follow_law"] = "hold"
    gift_cards: Literal["multi_purpose", "multi_purpose_shown", "single_purpose"] = "multi_purpose"
    gift_card_vat: Decimal | None = Field(default=None, gt=0, le=100)
    non_supply: Literal["show", "leave_out"] = "show"
    non_supply_names: tuple[Text, ...] = ()
    zero_total: Literal["skip", "issue", "hold"] = "skip"
    on_cancel: Literal["credit", "annul"] = "credit"
    deposits: Literal["invoice", "wait"] = "invoice"
    rules: tuple[Rule, ...] = ()
    show_discounts: bool = False
    notes: Text = "Encomenda {number}"
    delay_minutes: Whole = Field(default=0, ge=0, le=1_440)

    @field_validator("platform")
    @classmethod
    def _platform_is_installed(cls, value: str) -> str:
        if value not in platforms():
            raise wrong(f"{value[:40]!r} is no known platform", did_you_mean(value, platforms()))
        return value

    @field_validator("url")
    @classmethod
    def _url_is_safe(cls, value: str, info: ValidationInfo) -> str:
        return safe_url(value, allow_http=info.data.get("allow_http", False))

    _series_name_documents = field_validator("series")(series_of_documents)

    @field_validator("notes")
    @classmethod
    def _notes_can_be_filled_in(cls, value: str) -> str:
        try:
            fields = {name for _, name, _, _ in Formatter().parse(value) if name is not None}
        except ValueError:
            raise wrong(
                "has a { or } without its other half", "write {{ and }} for the characters themselves"
            ) from None
        if strange := sorted(fields - NOTE_FIELDS):
            raise wrong(f"{strange[0][:40]!r} is nothing that can be filled in", did_you_mean(strange[0], NOTE_FIELDS))
        return value

    @field_validator("consumer_secret")
    @classmethod
    def _consumer_is_complete(cls, value: Secret | None, info: ValidationInfo) -> Secret | None:
        _both_or_none("consumer_secret", value, "consumer_key", info)
        return value

    @field_validator("client_secret")
    @classmethod
    def _client_is_complete(cls, value: Secret | None, info: ValidationInfo) -> Secret | None:
        _both_or_none("client_secret", value, "client_id", info)
        return value


def _both_or_none(mine: str, value: object, other: str, info: ValidationInfo) -> None:
    # A key that was refused is not among the data: its own error is enough.
    if other in info.data and (value is None) != (info.data[other] is None):
        missing, given = (mine, other) if value is None else (other, mine)
        raise wrong(f"{given} is given without {missing}", f"give both {other} and {mine}, or neither")


class Settings(BaseSettings):
    """Everything; `load` reads it, and building it by hand takes nothing from the surroundings."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    database: Database = Database()
    http: Http = Http()
    dashboard: Dashboard = Dashboard()
    log: Log = Log()
    registers: Registers = Registers()
    alerts: Alerts = Alerts()
    accounts: dict[Name, Account] = {}
    shops: dict[Name, Shop] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the hook's signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @model_validator(mode="after")
    def _shops_name_their_accounts(self) -> Self:
        lost = list(strangers({name: shop.account for name, shop in self.shops.items()}, self.accounts))
        if lost:
            raise ValidationError.from_exception_data(
                "Settings", [InitErrorDetails(type=error, loc=loc, input=None) for loc, error in lost]
            )
        return self

    def account_config(self, name: str) -> AccountConfig:
        """The share of an account's settings that its adapter is given."""
        account = self.accounts[name]
        return AccountConfig(
            name=name,
            base_url=account.base_url,
            token=account.token,
            timeout_seconds=account.timeout_seconds,
            series=account.series,
            options=account.options,
        )

    def shop_config(self, name: str) -> ShopConfig:
        """The share of a shop's settings that its adapter is given."""
        shop = self.shops[name]
        return ShopConfig(
            name=name,
            url=shop.url,
            webhook_secrets=shop.webhook_secret,
            consumer_key=shop.consumer_key,
            consumer_secret=shop.consumer_secret,
            access_token=shop.access_token,
            client_id=shop.client_id,
            client_secret=shop.client_secret,
            tax_id_keys=shop.tax_id_keys,
            timeout_seconds=shop.timeout_seconds,
            api_version=shop.api_version,
            extra=shop.options,
        )


Place = tuple[str, ...]


def strangers(wanted: Mapping[str, str], accounts: Mapping[str, Any]) -> Iterator[tuple[Place, PydanticCustomError]]:
    """The shops, by name with the account that each wants, whose account is not there."""
    for shop, account in wanted.items():
        if account not in accounts:
            error = wrong(f"there is no account {account[:40]!r}", did_you_mean(account, accounts))
            yield ("shops", shop, "account"), error
