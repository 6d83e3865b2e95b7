"""One request to a JSON service: its budget, its time-out, and what a failure of the way means.

Whoever issues legal documents must know one thing of a failed request: whether it can have had an effect. It cannot
before a connection stood. After that, only a complete and readable answer tells; without one, a request that writes
is uncertain, and one that only reads may simply be sent again.
"""

import json
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import NoReturn

import aiohttp
import orjson
from pydantic import SecretStr

from syncd.domain.errors import AccountBlockedError, NoEffectError, ServiceAnswer, ServiceError, UncertainError
from syncd.providers.port import Call, Gateway, Purpose, Usage
from syncd.providers.redaction import told

CONNECTIONS = 4
# A server that asks for more is asked again after this long all the same.
LONGEST_RETRY_AFTER = timedelta(hours=1)

_UNREADABLE = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; `path` is relative to the API.

    `writes` says that losing its answer leaves something unknown, `needs_json` that a success is told by a body.
    """

    method: str
    path: str
    purpose: Purpose
    writes: bool
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None  # JSON values and Decimals; None for no body
    needs_json: bool = True

    @property
    def label(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer of status 2xx or 4xx; `data` is its JSON, None where it carries none that is readable."""

    status: int
    data: object

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class JsonApi:
    """A service's API under one base address, for one account.

    `error_codes` reads a service's own codes out of an error's JSON, for the trail. `kept` names the fields of its
    requests and answers that the trail keeps.
    """

    def __init__(
        self,
        base_url: str,
        token: SecretStr,
        gateway: Gateway,
        *,
        timeout_seconds: float,
        error_codes: Callable[[object], tuple[str, ...]] = lambda _: (),
        kept: AbstractSet[str] = frozenset(),
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._gateway = gateway
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._error_codes = error_codes
        self._kept = kept
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Answer:
        """Send once.

        Raises NoEffectError (not reached, 429, a reading request that failed), UncertainError (a writing request
        without a usable answer) and AccountBlockedError (redirected: the base address is wrong; unusable token).
        """
        # Before anything is booked, so that what cannot be sent costs no request.
        headers = self._authorised()
        body = None if request.body is None else encode(request.body)
        if body is not None:
            headers["Content-Type"] = "application/json"
        async with self._gateway.request(request.purpose, request.label) as call:
            call.note("request", told(body or b"", request.body, self._kept, query=request.query))
            return await self._exchange(request, headers, body, call)

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(self, request: Request, headers: Mapping[str, str], body: bytes | None, call: Call) -> Answer:
        progress = _Progress()
        try:
            async with self._open_session().request(
                request.method,
                f"{self._base_url}/{request.path}",
                params=dict(request.query),
                data=body,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=progress,
            ) as response:
                progress.status = response.status
                usage = usage_of(response.status, response.headers)
                call.answered(usage)
                _refuse_by_status(request, usage)
                raw = await response.read()
        except aiohttp.ClientResponseError as error:
            # An answer that is no HTTP. Its repr shows the request's headers, the token among them, so no cause.
            raise _lost(request, progress, error) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _lost(request, progress, error) from error
        data = decode(raw) if raw.strip() else None
        call.note("answer", told(raw, None if data is _UNREADABLE else data, self._kept))
        return self._read(request, progress.status, data)

    def _read(self, request: Request, status: int, data: object) -> Answer:
        if status >= 500:
            codes = () if data is _UNREADABLE else self._error_codes(data)
            said = f" ({', '.join(codes)})" if codes else ""
            _raise_unknown(request, f"failed with status {status}{said}", ServiceAnswer(status=status, codes=codes))
        if status < 300 and request.needs_json and (data is None or data is _UNREADABLE):
            _raise_unknown(request, "was answered with no readable JSON", ServiceAnswer(status=status))
        return Answer(status=status, data=None if data is _UNREADABLE else data)

    def _authorised(self) -> dict[str, str]:
        token = self._token.get_secret_value()
        if not token or not token.isascii() or not token.isprintable():
            raise AccountBlockedError(
                "the token is empty or holds characters that cannot be sent",
                code="token_unusable",
                fix="set the account's token again, on one line and without quotes",
            )
        return {"Authorization": f"Bearer {token}"}

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_connection_create_end.append(_note_connected)
            self._session = aiohttp.ClientSession(
                # A connection carries one exchange. HTTP has no number by which an answer belongs to its request, so
                # that an answer that comes twice would be taken for the next one's; and a request on a connection
                # that is just being closed is uncertain. The budget leaves time enough for a handshake.
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json", "User-Agent": "syncd"},
                timeout=self._timeout,
                trace_configs=[trace],
            )
            # Else it sends a reading or deleting request whose exchange broke off again by itself: unseen by the budget.
            self._session._retry_connection = False  # noqa: SLF001 - there is no public way
        return self._session


def encode(body: object) -> bytes:
    """JSON in which a Decimal is a number with exactly its digits and no exponent."""
    return orjson.dumps(body, default=_number)


def decode(raw: bytes) -> object:
    """JSON with its fractions as Decimals; a marker of its own for what is not JSON."""
    try:
        return json.loads(raw, parse_float=Decimal, parse_constant=_not_json)
    except (ValueError, RecursionError):
        return _UNREADABLE


def usage_of(status: int, headers: Mapping[str, str]) -> Usage:
    """What an answer's headers say of the budget; unreadable ones say nothing."""
    return Usage(
        status=status,
        limit=_count(headers.get("X-RateLimit-Limit", "")),
        remaining=_count(headers.get("X-RateLimit-Remaining", "")),
        retry_after=_delay(headers.get("Retry-After", "")),
    )


@dataclass(slots=True)
class _Progress:
    """How far a request came."""

    connected: bool = False
    status: int = 0


async def _note_connected(_session: aiohttp.ClientSession, context: SimpleNamespace, _event: object) -> None:
    context.trace_request_ctx.connected = True


def _refuse_by_status(request: Request, usage: Usage) -> None:
    """What the status alone decides, whatever becomes of the body."""
    answer = ServiceAnswer(status=usage.status)
    if usage.status == 429:
        raise NoEffectError(
            f"{request.label}: over the request limit",
            code="over_limit",
            fix="nothing to do, it is sent again; look for other users of the token if it lasts",
            answer=answer,
            retry_after=usage.retry_after,
        )
    if usage.status is not None and 300 <= usage.status < 400:
        raise AccountBlockedError(
            f"{request.label}: redirected elsewhere with status {usage.status}",
            code="redirected",
            fix="correct the account's base_url: the token is not sent to another address",
            answer=answer,
        )


def _lost(request: Request, progress: _Progress, error: Exception) -> ServiceError:
    """What an exchange that broke off means. Only the kind of error is told: its text may quote what was sent."""
    why = "timed out" if isinstance(error, TimeoutError) else f"broke off ({type(error).__name__})"
    if not progress.connected:
        return NoEffectError(
            f"{request.label}: the service was not reached, the connection {why}",
            code="not_reached",
            fix="look at base_url, the network and the service's own status",
        )
    answer = ServiceAnswer(status=progress.status or None)
    if request.writes:
        return UncertainError(f"{request.label}: the exchange {why}", code="no_answer", answer=answer)
    return NoEffectError(f"{request.label}: the exchange {why}", code="no_answer", answer=answer)


def _raise_unknown(request: Request, what: str, answer: ServiceAnswer) -> NoReturn:
    kind = UncertainError if request.writes else NoEffectError
    raise kind(f"{request.label}: {what}", code="no_usable_answer", answer=answer)


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(format(value, "f").encode())
    raise TypeError(f"{type(value).__name__} has no place in a request")


def _not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.strip().isdigit() and len(text) < 10 else None


def _delay(text: str) -> timedelta | None:
    """Retry-After in either form, seconds or a date."""
    if (seconds := _count(text)) is not None:
        return min(timedelta(seconds=seconds), LONGEST_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    left = until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)
    return min(max(left, timedelta()), LONGEST_RETRY_AFTER)
