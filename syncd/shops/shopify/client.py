"""Asking a shop by GraphQL: one query at a time, within its cost budget, and only whole answers accepted."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NoReturn
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from syncd.domain.errors import PayloadError, ShopRefusedError, ShopUnavailableError
from syncd.shops.port import ShopConfig
from syncd.shops.shopify.fields import Record, loads, record, records, text

DEFAULT_VERSION = "2026-10"
_SHOP_HOST = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com", re.ASCII)
_VERSION = re.compile(r"\d{4}-\d{2}|unstable", re.ASCII)
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_ATTEMPTS = 5
_LONGEST_WAIT = 60.0  # seconds; a shop that wants more is asked again by the next poll
_RENEW_EARLY = 300.0  # seconds before a token expires


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Time as the client needs it; tests bring their own."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random  # 0 to 1


def host_of(url: str) -> str:
    """The host of a shop's address in lower case, empty where there is none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def api_base(url: str) -> str:
    """The address that the API is asked at. Raises ShopRefusedError: a token must not travel to any other host."""
    fix = "set url to https://NAME.myshopify.com"
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise ShopRefusedError("the shop's url is no address", fix=fix) from error
    if parts.scheme in {"http", "https"} and host in _LOOPBACK:
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    if parts.scheme != "https" or port not in {None, 443} or not _SHOP_HOST.fullmatch(host):
        raise ShopRefusedError(f"{host[:80]!r} is no https://NAME.myshopify.com address", fix=fix)
    return f"https://{host}"


@dataclass(slots=True)
class _Budget:
    """The leaky bucket of this app at this shop, as the last answer told it."""

    clock: Clock
    available: float = 1000.0
    restore_rate: float = 50.0
    told_at: float = 0.0
    costs: dict[str, float] = field(default_factory=dict)  # by document

    def wait_for(self, document: str) -> float:
        """Seconds until the bucket holds what this document cost last time."""
        filled = self.available + (self.clock.monotonic() - self.told_at) * self.restore_rate
        return max(0.0, (self.costs.get(document, 0.0) - filled) / self.restore_rate)

    def note(self, document: str, answer: Record) -> None:
        cost = record(record(answer.get("extensions"), "extensions").get("cost"), "cost")
        status = record(cost.get("throttleStatus"), "throttleStatus")
        requested, available = _float(cost.get("requestedQueryCost")), _float(status.get("currentlyAvailable"))
        if requested is not None:
            self.costs[document] = requested
        if available is not None:
            self.available, self.told_at = available, self.clock.monotonic()
        self.restore_rate = _float(status.get("restoreRate")) or self.restore_rate


class AdminApi:
    """One shop's Admin API. Raises ShopUnavailableError (ask again later) or ShopRefusedError (settings)."""

    def __init__(self, config: ShopConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._budget = _Budget(clock)
        self._one_at_a_time = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None
        self._granted: SecretStr | None = None
        self._granted_until = 0.0

    @property
    def can_ask(self) -> bool:
        return self._config.access_token is not None or self._can_grant

    @property
    def _can_grant(self) -> bool:
        return bool(self._config.client_id) and self._config.client_secret is not None

    async def query(self, document: str, variables: Mapping[str, object]) -> Record:
        """The `data` of an answer without any error."""
        version = self._config.api_version or DEFAULT_VERSION
        if not _VERSION.fullmatch(version):
            raise ShopRefusedError(f"{version[:20]!r} is no API version", fix="set api_version to a YYYY-MM")
        url = f"{api_base(self._config.url)}/admin/api/{version}/graphql.json"
        body = {"query": document, "variables": dict(variables)}
        renewed = False
        async with self._one_at_a_time:
            for _ in range(_ATTEMPTS):
                await self._pause(self._budget.wait_for(document))
                token = await self._token()
                status, headers, answer = await self._post(
                    url, headers={"X-Shopify-Access-Token": token.get_secret_value()}, json=body
                )
                if status == 401 and self._can_grant and self._config.access_token is None and not renewed:
                    self._granted, renewed = None, True
                elif status == 429:
                    await self._pause(_retry_after(headers))
                elif (data := self._data(document, status, answer)) is not None:
                    return data
                else:
                    await self._pause(max(self._budget.wait_for(document), 1.0))
        raise ShopUnavailableError("the shop kept throttling", retry_after=timedelta(seconds=_LONGEST_WAIT))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _data(self, document: str, status: int, raw: bytes) -> Record | None:
        """The answer's data; None where it was throttled."""
        if status != 200:
            _raise_for(status)
        try:
            answer = record(loads(raw), "the answer")
            errors = records(answer.get("errors"), "errors") if not isinstance(answer.get("errors"), str) else []
            data = record(answer.get("data"), "data")
            self._budget.note(document, answer)
            codes = {text(record(error.get("extensions"), "extensions").get("code")) for error in errors}
        except PayloadError as error:
            raise ShopUnavailableError("the shop's answer is not what GraphQL answers") from error
        if "THROTTLED" in codes:
            return None
        if codes & {"ACCESS_DENIED", "MAX_COST_EXCEEDED"}:
            raise ShopRefusedError(
                f"the shop refused the query: {', '.join(sorted(codes))}",
                fix="grant the app read_orders (and approval for protected customer data), or pin another api_version",
            )
        # Beside errors the data may be partly null, which would pass for an order without lines.
        if answer.get("errors") or not data:
            told = text(errors[0].get("message"))[:200] if errors else "no data"
            raise ShopUnavailableError(f"the shop answered with errors: {told}")
        return data

    async def _pause(self, seconds: float) -> None:
        if seconds > _LONGEST_WAIT:
            raise ShopUnavailableError("the shop asks to wait", retry_after=timedelta(seconds=seconds))
        if seconds > 0:
            await self._clock.sleep(seconds * (1 + 0.1 * self._clock.jitter()))

    async def _token(self) -> SecretStr:
        if self._config.access_token is not None:
            return self._config.access_token
        if self._granted is None or self._clock.monotonic() >= self._granted_until:
            self._granted, lifetime = await self._grant()
            self._granted_until = self._clock.monotonic() + max(lifetime - _RENEW_EARLY, lifetime / 2)
        return self._granted

    async def _grant(self) -> tuple[SecretStr, float]:
        """A new token by the client-credentials grant, and how many seconds it lives."""
        if not self._can_grant or self._config.client_secret is None:
            raise ShopRefusedError("no credentials for the shop's API", fix="set access_token, or client_id and secret")
        form = {
            "grant_type": "client_credentials",
            "client_id": self._config.client_id,
            "client_secret": self._config.client_secret.get_secret_value(),
        }
        status, _, raw = await self._post(f"{api_base(self._config.url)}/admin/oauth/access_token", data=form)
        if status == 429 or status >= 500:
            raise ShopUnavailableError(f"the shop gave no token: HTTP {status}")
        if status != 200:
            raise ShopRefusedError(
                f"the shop gave no token: HTTP {status}",
                fix="check client_id and client_secret; app and shop must be of one organisation",
            )
        try:
            answer = record(loads(raw), "the answer")
        except PayloadError as error:
            raise ShopUnavailableError("the shop's answer to the token request is not JSON") from error
        token = text(answer.get("access_token"))
        if not token:
            raise ShopUnavailableError("the shop's answer to the token request holds no token")
        return SecretStr(token), _float(answer.get("expires_in")) or 3600.0

    async def _post(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        data: object = None,
    ) -> tuple[int, Mapping[str, str], bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._config.timeout_seconds))
        try:
            # A redirect would carry the token to another host.
            async with self._session.post(url, headers=headers, json=json, data=data, allow_redirects=False) as answer:
                return answer.status, answer.headers, await answer.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ShopUnavailableError(f"the shop did not answer: {type(error).__name__}") from error
        except ValueError as error:
            # aiohttp refuses to send a header with a line break in it.
            raise ShopRefusedError("the token cannot be sent", fix="write access_token on one line") from error


def _raise_for(status: int) -> NoReturn:
    if status in {401, 403}:
        raise ShopRefusedError(
            f"the shop refused the token: HTTP {status}",
            fix="give a new access_token, or client_id and client_secret of an app that is installed in the shop",
        )
    if 300 <= status < 500:
        raise ShopRefusedError(
            f"the shop refused the request: HTTP {status}", fix="check url and api_version; is the shop open?"
        )
    raise ShopUnavailableError(f"the shop answered HTTP {status}")


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds, which Shopify may write with decimals."""
    return max(_float(headers.get("Retry-After")) or 0.0, 1.0)


def _float(value: object) -> float | None:
    try:
        found = float(text(value))
    except ValueError:
        return None
    return found if 0 <= found < 1e9 else None
