"""Asking a shop by REST v3: one request at a time, and only a JSON answer of the expected shape is an answer.

Between the shop and us stand caches, security plug-ins and PHP notices; a page of HTML never means "no orders".
"""

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from syncd.domain.errors import PayloadError, ShopError, ShopRefusedError, ShopUnavailableError
from syncd.shops.port import ShopConfig
from syncd.shops.woocommerce.fields import Record, loads, objects, record, text
from syncd.shops.woocommerce.signing import credentials_of

NAMESPACE = "wp-json/wc/v3"
GONE = "woocommerce_rest_shop_order_invalid_id"
LET_US_IN = "let our requests pass the shop's firewall or security plug-in"
MOVED = "set url to the address that the shop sends us on to"
OLD_SHOP = "see whether the shop's WooCommerce is older than 3.5, or a plug-in changes its API"
FIXES = {
    401: "check consumer_key and consumer_secret, and that the web server passes on the Authorization header",
    403: "give the key the right to read, and its owner the role of shop manager",
    404: "check url, and set permalinks in WordPress, Settings, Permalinks to anything but plain",
    406: LET_US_IN,
}


class GoneError(ShopRefusedError):
    """The shop has no such order (any more)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A page of a list: each object parsed and as it came. `pages` is 0 where the shop did not say how many."""

    items: tuple[tuple[Record, bytes], ...]
    pages: int


class RestApi:
    """One shop's API. Raises ShopUnavailableError (ask again later) or ShopRefusedError (settings)."""

    def __init__(self, config: ShopConfig, *, now: Callable[[], datetime]) -> None:
        self._config = config
        self._now = now
        self._one_at_a_time = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    @property
    def can_ask(self) -> bool:
        halves = (self._config.consumer_key, self._config.consumer_secret)
        return all(half is not None and half.get_secret_value() for half in halves)

    async def listing(self, path: str, query: Mapping[str, str]) -> Listing:
        """One page of a list."""
        headers, body = await self._get(path, query)
        try:
            items = objects(body) if body.strip().startswith(b"[") else None
        except PayloadError as error:
            raise _not_json() from error
        if items is None:
            raise _not_json()
        pages = headers.get("X-WP-TotalPages", "")
        return Listing(items=tuple(items), pages=int(pages) if pages.isdecimal() else 0)

    async def single(self, path: str) -> tuple[Record, bytes]:
        """One object, parsed and as it came. Raises GoneError where the shop knows no such order."""
        _, body = await self._get(path, {})
        try:
            return record(loads(body), "the answer"), body
        except PayloadError as error:
            raise _not_json() from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _get(self, path: str, query: Mapping[str, str]) -> tuple[Mapping[str, str], bytes]:
        try:
            base = URL(self._config.url).with_user(None)
            url = (base / NAMESPACE / path).with_query(dict(query))
        except ValueError as error:
            raise ShopRefusedError("the shop's url is no web address", fix='set url to "https://..."') from error
        credentials = credentials_of(self._config, base)
        if credentials is None:
            raise ShopRefusedError("no key for the shop's API", fix="set consumer_key and consumer_secret")
        proof = credentials.header(url, timestamp=int(self._now().timestamp()), nonce=secrets.token_hex(16))
        async with self._one_at_a_time:
            status, headers, body = await self._send(url, {"Authorization": proof, "Accept": "application/json"})
        if status != 200:
            raise failure_of(status, headers, body, now=self._now())
        return headers, body

    async def _send(self, url: URL, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._config.timeout_seconds)
            self._session = aiohttp.ClientSession(timeout=timeout, headers={"User-Agent": "syncd"})
        try:
            # A redirect could carry the key to another host, or from https to http.
            async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
                return answer.status, answer.headers, await answer.read()
        except aiohttp.ClientConnectorCertificateError as error:
            raise ShopUnavailableError("the shop's certificate is not valid", fix="renew it") from error
        except TimeoutError as error:
            raise ShopUnavailableError(f"no answer within {self._config.timeout_seconds:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ShopUnavailableError(f"the shop was not reached: {type(error).__name__}") from error


def failure_of(status: int, headers: Mapping[str, str], body: bytes, *, now: datetime) -> ShopError:
    """The error that an answer other than 200 means."""
    code, message = _error_in(body)
    told = f"HTTP {status} {code}: {message}" if code else f"HTTP {status} without a readable reason"
    if status == 404 and code == GONE:
        return GoneError(told, fix="look for the order in the shop")
    if status in {429, 503}:
        return ShopUnavailableError(told, retry_after=retry_after(headers.get("Retry-After", ""), now=now))
    if status >= 500 or status in {408, 425}:
        return ShopUnavailableError(told)
    if status == 403 and not code:
        return ShopRefusedError(told, fix=LET_US_IN)
    return ShopRefusedError(told, fix=FIXES.get(status, MOVED if status < 400 else OLD_SHOP))


def retry_after(value: str, *, now: datetime) -> timedelta | None:
    """What `Retry-After` asks for, in seconds or as a date; None where it asks for nothing."""
    if value.isdecimal():
        return timedelta(seconds=min(int(value[:9]), 86_400))
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(until - now, timedelta(0))


def _error_in(body: bytes) -> tuple[str, str]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(found, dict):
        return "", ""
    return text(found, "code")[:80], text(found, "message")[:200]


def _not_json() -> ShopUnavailableError:
    return ShopUnavailableError(
        "the shop answered 200 with something else than the JSON asked for",
        fix="look for a security plug-in's challenge, a cache, or PHP notices in front of the answer",
    )
