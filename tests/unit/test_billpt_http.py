import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import orjson
import pytest
from pydantic import SecretStr

from syncd.domain.errors import AccountBlockedError, NoEffectError, ServiceError, UncertainError
from syncd.providers.billpt.errors import texts_in
from syncd.providers.http import JsonApi, Request, decode, encode, usage_of
from syncd.providers.port import Purpose
from tests.provider_parts import Behaviour, OpenGateway, everything_said, raw_server

TOKEN = "k3y-" + "x" * 120
WRITE = Request(method="POST", path="documentos", purpose=Purpose.ISSUE, writes=True, body={"nome": "Rita Lopes"})
READ = Request(method="GET", path="series", purpose=Purpose.LOOKUP, writes=False)


async def send(url: str, request: Request, *, timeout_seconds: float = 5, gateway: OpenGateway | None = None) -> object:
    api = JsonApi(
        url,
        SecretStr(TOKEN),
        gateway or OpenGateway(),
        timeout_seconds=timeout_seconds,
        error_codes=texts_in,
    )
    try:
        return (await api.send(request)).data
    finally:
        await api.close()


async def failure(url: str, request: Request, *, timeout_seconds: float = 5) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await send(url, request, timeout_seconds=timeout_seconds)
    said = everything_said(caught.value)
    assert TOKEN not in said
    assert "Bearer" not in said
    assert "Rita" not in said
    return caught.value


def answering(content: bytes) -> Behaviour:
    """Read the whole request, send these bytes, close."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0
        )
        await reader.readexactly(length)
        writer.write(content)
        await writer.drain()

    return behave


def http(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def reset_before_reading(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def never_answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


HALF = http("200 OK", b'{"id": 3501}').replace(b"Content-Length: 12", b"Content-Length: 400")

BROKEN: Mapping[str, Behaviour] = {
    "reset before an answer": reset_before_reading,
    "closed without an answer": answering(b""),
    "half of the body": answering(HALF),
    "no HTTP": answering(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "500": answering(http("500 Internal Server Error", b'{"error":["Undefined index: pais"]}')),
    "502 with a page": answering(http("502 Bad Gateway", b"<html>Bad Gateway</html>")),
    "200 with a page": answering(http("200 OK", b"<html>Em manutencao</html>")),
    "200 with nothing": answering(http("200 OK")),
    "half a JSON": answering(http("200 OK", b'{"id": 35')),
    "no number": answering(http("200 OK", b'{"id": NaN}')),
    "no text": answering(http("200 OK", b'{"id": "\xff\xfe\xfa"}')),
    "endlessly nested": answering(http("200 OK", b"[" * 100_000)),
}


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN)
async def test_without_a_complete_readable_answer_a_writing_request_is_uncertain(behaviour: Behaviour) -> None:
    async with raw_server(behaviour) as url:
        assert type(await failure(url, WRITE)) is UncertainError


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN)
async def test_a_reading_request_has_no_effect_whatever_happens_to_it(behaviour: Behaviour) -> None:
    async with raw_server(behaviour) as url:
        assert type(await failure(url, READ)) is NoEffectError


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize("how", ["reset before an answer", "closed without an answer"])
async def test_a_request_leaves_once_whatever_becomes_of_it(how: str, method: str) -> None:
    connections = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await BROKEN[how](reader, writer)

    gateway = OpenGateway()
    async with raw_server(count) as url:
        with pytest.raises(NoEffectError):
            await send(url, replace(READ, method=method), gateway=gateway)
    assert (connections, len(gateway.booked)) == (1, 1)


async def test_an_answer_that_takes_too_long_is_uncertain() -> None:
    async with raw_server(never_answer) as url:
        assert type(await failure(url, WRITE, timeout_seconds=1)) is UncertainError


async def test_a_body_that_stalls_is_uncertain_and_its_status_is_told() -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(HALF)(reader, writer)
        await reader.read()

    async with raw_server(stall) as url:
        error = await failure(url, WRITE, timeout_seconds=1)
    assert type(error) is UncertainError
    assert error.answer.status == 200


async def test_what_never_connected_had_no_effect() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        error = await failure(f"http://127.0.0.1:{taken.getsockname()[1]}", WRITE)
    assert type(error) is NoEffectError
    assert error.code == "not_reached"


async def test_a_host_without_an_address_had_no_effect() -> None:
    error = await failure("http://no-such-host.invalid", WRITE)
    assert type(error) is NoEffectError


async def test_a_failed_tls_handshake_had_no_effect() -> None:
    async with raw_server(answering(b"no TLS here\r\n")) as url:
        # The handshake's bytes are no HTTP head, so the server closes when the client does.
        error = await failure(url.replace("http:", "https:"), WRITE, timeout_seconds=0.5)
    assert type(error) is NoEffectError


async def test_a_connection_that_never_comes_about_had_no_effect() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        host, port = full.getsockname()
        with socket.create_connection((host, port)):  # takes the only place in the queue
            error = await failure(f"https://{host}:{port}", WRITE, timeout_seconds=0.1)
    assert type(error) is NoEffectError


@pytest.mark.parametrize(
    ("given", "wait"),
    [("7", timedelta(seconds=7)), ("0", timedelta()), ("999999999", timedelta(hours=1)), ("soon", None), ("", None)],
)
async def test_over_the_limit_nothing_happened_and_the_wait_is_told(given: str, wait: timedelta | None) -> None:
    async with raw_server(answering(http("429 Too Many Requests", b"{}", Retry_After=given))) as url:
        error = await failure(url, WRITE)
    assert isinstance(error, NoEffectError)
    assert error.retry_after == wait


async def test_over_the_limit_is_known_even_if_the_body_is_lost() -> None:
    answer = http("429 Too Many Requests", b"{", Retry_After="7").replace(b"Length: 1", b"Length: 99")
    async with raw_server(answering(answer)) as url:
        assert type(await failure(url, WRITE)) is NoEffectError


def test_retry_after_may_be_a_date() -> None:
    headers = {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)}
    wait = usage_of(429, headers).retry_after
    assert wait is not None
    assert timedelta(seconds=80) < wait <= timedelta(seconds=90)
    past = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert usage_of(429, past).retry_after == timedelta()


async def test_the_token_is_not_carried_to_another_address() -> None:
    async with raw_server(answering(http("302 Found", Location="http://127.0.0.1:1/elsewhere"))) as url:
        error = await failure(url, WRITE)
    assert type(error) is AccountBlockedError
    assert error.answer.status == 302
    assert "base_url" in error.fix


@pytest.mark.parametrize("token", ["", "with\nline", "olá", "a\x00b"])
async def test_a_token_that_no_header_can_carry_blocks_the_account_without_a_request(token: str) -> None:
    gateway = OpenGateway()
    api = JsonApi("http://127.0.0.1:1", SecretStr(token), gateway, timeout_seconds=1)
    with pytest.raises(AccountBlockedError):
        await api.send(READ)
    assert gateway.booked == []


async def test_a_request_carries_its_token_in_the_header_only() -> None:
    received = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.readuntil(b"}"))
        writer.write(http("200 OK", b"{}"))
        await writer.drain()

    gateway = OpenGateway()
    async with raw_server(listen) as url:
        await send(url, WRITE, gateway=gateway)
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    assert f"Authorization: Bearer {TOKEN}".encode() in head
    assert head.startswith(b"POST /documentos HTTP/1.1")
    assert b"Accept: application/json" in head
    assert b"Content-Type: application/json" in head
    assert bytes(received).count(TOKEN.encode()) == 1
    assert orjson.loads(body) == {"nome": "Rita Lopes"}
    assert gateway.labels == ["POST documentos"]


async def test_a_request_without_a_body_claims_none() -> None:
    received = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.readuntil(b"\r\n\r\n"))
        writer.write(http("200 OK", b"[]"))
        await writer.drain()

    async with raw_server(listen) as url:
        await send(url, READ)
    assert b"content-type" not in bytes(received).lower()


async def test_an_answer_that_comes_again_is_not_taken_for_the_next_ones() -> None:
    numbers = iter(range(1, 9))

    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        earlier = b""
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                answer = http("200 OK", b'{"id": %d}' % next(numbers))
                writer.write(earlier + answer)
                await writer.drain()
                earlier = answer

    async with raw_server(twice) as url:
        api = JsonApi(url, SecretStr(TOKEN), OpenGateway(), timeout_seconds=5)
        found = [(await api.send(READ)).data for _ in range(3)]
        await api.close()
    assert found == [{"id": 1}, {"id": 2}, {"id": 3}]


async def test_the_budget_is_told_as_soon_as_the_status_is_there() -> None:
    headers = {"X_RateLimit_Limit": "100", "x_ratelimit_remaining": "93"}
    cut = http("200 OK", b"{", **headers).replace(b"Length: 1", b"Length: 99")
    gateway = OpenGateway()
    async with raw_server(answering(cut)) as url:
        with pytest.raises(UncertainError):
            await send(url, WRITE, gateway=gateway)
    usage = gateway.booked[0].usage
    assert usage is not None
    assert (usage.status, usage.limit, usage.remaining) == (200, 100, 93)


async def test_an_unanswered_request_tells_nothing_of_the_budget() -> None:
    gateway = OpenGateway()
    async with raw_server(reset_before_reading) as url:
        with pytest.raises(UncertainError):
            await send(url, WRITE, gateway=gateway)
    assert gateway.booked[0].usage is None


@pytest.mark.parametrize("text", ["-1", "1e3", "٣", "ten", "99999999999999999999", ""])
def test_headers_that_are_no_numbers_say_nothing(text: str) -> None:
    usage = usage_of(200, {"X-RateLimit-Limit": text, "X-RateLimit-Remaining": text})
    assert (usage.limit, usage.remaining) == (None, None)


async def test_a_refusal_is_handed_over_with_its_json() -> None:
    async with raw_server(answering(http("400 Bad Request", b'{"error":["206"]}'))) as url:
        assert await send(url, WRITE) == {"error": ["206"]}


async def test_a_refusal_in_no_json_is_handed_over_empty() -> None:
    async with raw_server(answering(http("404 Not Found", b"<html>"))) as url:
        assert await send(url, WRITE) is None


async def test_the_codes_of_a_failure_are_kept_for_the_trail() -> None:
    async with raw_server(answering(http("500 Oops", b'{"error":["Undefined index: pais"]}'))) as url:
        error = await failure(url, WRITE)
    assert error.answer.codes == ("Undefined index: pais",)
    assert error.answer.status == 500


async def test_a_request_that_needs_no_json_takes_any_success() -> None:
    request = Request(method="DELETE", path="documentos/7", purpose=Purpose.ISSUE, writes=True, needs_json=False)
    async with raw_server(answering(http("204 No Content"))) as url:
        assert await send(url, request) is None


@pytest.mark.parametrize(
    "digits", ["0.1", "10.5", "8.1300813008", "1E+3", "1E-10", "0E-5", "99999999999999.9999999999", "-0.03", "12.30"]
)
def test_decimals_leave_and_come_back_with_exactly_their_digits(digits: str) -> None:
    written = encode({"preco_unitario": Decimal(digits)})
    literal = written.removeprefix(b'{"preco_unitario":').removesuffix(b"}")
    assert b"E" not in literal.upper()
    assert not literal.startswith(b'"')
    assert Decimal(literal.decode()) == Decimal(digits)
    assert decode(written) == {"preco_unitario": Decimal(digits)}


def test_amounts_are_never_read_as_floats() -> None:
    assert repr(decode(b'{"total": 28.10}')) == "{'total': Decimal('28.10')}"


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), object()])
def test_what_is_no_number_is_not_written(value: object) -> None:
    with pytest.raises(TypeError):
        encode({"quantidade": value})
