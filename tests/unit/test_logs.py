import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from syncd import logs

TOKEN = 'to/ken+"é" \\ of=ours'
ORDINARY = "an-ordinary-looking-value"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has its own registered values and leaves no set-up behind."""
    monkeypatch.setattr(logs, "_protected", logs._Protected())
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(params=["json", "console"])
def style(request: pytest.FixtureRequest) -> Any:
    return request.param


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_an_event_is_one_line_of_json_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    structlog.contextvars.bind_contextvars(shop="loja")
    structlog.get_logger().info(
        "document.issued",
        number="FR 2026/1",
        gross=Decimal("12.30"),
        at=datetime(2026, 11, 20, tzinfo=UTC),
        huge=10**30,
    )
    (event,) = said(capsys)
    assert datetime.fromisoformat(event.pop("timestamp")).tzinfo is not None
    assert event == {
        "event": "document.issued",
        "level": "info",
        "shop": "loja",
        "number": "FR 2026/1",
        "gross": "12.30",
        "at": "2026-11-20 00:00:00+00:00",
        "huge": str(10**30),
    }


def test_what_is_below_the_level_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", "json")
    log = structlog.get_logger()
    log.info("poll.done")
    log.warning("poll.failed")
    assert [event["event"] for event in said(capsys)] == ["poll.failed"]


def test_libraries_speak_from_warning_on_and_in_the_same_shape(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logging.getLogger("aiohttp.access").info("not said")
    logging.getLogger("aiohttp.server").warning("odd request from %s", "there")
    (event,) = said(capsys)
    assert (event["event"], event["level"], event["logger"]) == (
        "odd request from there",
        "warning",
        "aiohttp.server",
    )


def test_configuring_twice_says_everything_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logs.configure("info", "json")
    logging.getLogger("a.library").error("once")
    assert len(said(capsys)) == 1


def _raise_with(text: str) -> None:
    payload = {"inside": text}  # a local variable, as a payload would be
    try:
        int(payload["inside"])
    except ValueError as error:
        error.add_note(f"note {text}")
        raise RuntimeError(f"request with {text} failed") from error


def test_a_secret_that_is_no_proper_text_is_hidden_as_well() -> None:
    logs.protect(SecretStr("half \ud800 pair"))
    assert "pair" not in logs.masked("before half \ud800 pair after")


@pytest.mark.parametrize(
    "secret",
    [TOKEN, ORDINARY, "ñandú-seçret", "line\nbreak", "50%+tokens&more", "\U0001f511 key"],
    ids=["token", "ordinary", "accents", "line-break", "url-signs", "emoji"],
)
def test_a_registered_secret_never_comes_out(
    secret: str, style: logs.Style, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.protect(SecretStr(secret))
    logs.configure("info", style)
    log = structlog.get_logger().bind(bound=secret)
    log.info(
        secret,
        text=f"x{secret}y",
        nested={"a": [{"b": (secret, {secret})}]},
        raw=secret.encode("utf-8", "surrogatepass"),
    )
    log.info("keys", mapping={secret: 1}, error=ValueError(secret), wrapped=SecretStr(secret))
    for logger in (log, logging.getLogger("a.library")):
        try:
            _raise_with(secret)
        except RuntimeError:
            logger.exception("it failed")
    logging.getLogger("a.library").warning("args %s %r", secret, {"k": secret})
    err = capsys.readouterr().err
    assert err.count("***") >= 10
    for form in {
        secret,
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        secret.encode("utf-8", "backslashreplace").decode(),
    }:
        assert form not in err
    assert "_raise_with" in err  # the trace itself is there
    assert "'inside'" not in err  # and no local variable


@pytest.mark.parametrize(
    "name",
    ["token", "api_token", "download_token", "webhook_secret", "Authorization", "PASSWORD", "x-shopify-hmac-sha256",
     "webhook-signature", "consumer_key", "consumer_secret", "set-cookie", "apikey"],
)  # fmt: skip
def test_a_secret_name_hides_its_value(name: str, style: logs.Style, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", style)
    structlog.get_logger().info("x", **{name: ORDINARY}, headers={name: [ORDINARY]}, number={name: 987654321})
    err = capsys.readouterr().err
    assert ORDINARY not in err
    assert "987654321" not in err


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer abcdefghijk.lmn-o", "Authorization: Bearer ***"),
        ("sent with basic Y2tfMTpjc18y", "sent with basic ***"),
        ("GET https://host/api?page=2&api_token=abc123&x=1", "GET https://host/api?page=2&api_token=***&x=1"),
        ('body {"access_token": "abc123", "x": 1}', 'body {"access_token": "***", "x": 1}'),
        ("postgresql+asyncpg://syncd:pa55@db/syncd is away", "postgresql+asyncpg://syncd:***@db/syncd is away"),
        ("key whsec_c2VjcmV0 is short", "key *** is short"),
        ("ck_0123456789abcdef0123456789abcdef01234567", "***"),
        ("shpat_0123456789abcdef0123456789abcdef", "***"),
        ("FR 2026/12 for 12.30 EUR: the secret: none", "FR 2026/12 for 12.30 EUR: the secret: none"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_unregistered(text: str, left: str) -> None:
    assert logs.masked(text) == left


def test_a_secret_that_begins_with_another_leaves_no_end_in_the_open() -> None:
    logs.protect("first-part", "first-part-and-more")
    assert logs.masked("it is first-part-and-more, not first-part") == "it is ***, not ***"


def test_a_secret_in_a_url_is_hidden_as_the_url_writes_it() -> None:
    logs.protect("a b/c+d")
    assert logs.masked("q=a%20b%2Fc%2Bd r=a+b%2Fc%2Bd") == "q=*** r=***"


def test_a_secret_in_json_is_hidden_as_json_writes_it() -> None:
    logs.protect('quo"te-é')
    assert logs.masked(json.dumps({"a": 'quo"te-é'}) + ' {"b": "quo\\"te-é"}') == '{"a": "***"} {"b": "***"}'


def test_values_too_short_to_be_secret_do_not_shred_the_text() -> None:
    logs.protect("a", "")
    assert logs.masked("a paid order") == "a paid order"


class Broken:
    def __str__(self) -> str:
        raise ValueError("no text")


def test_nothing_that_is_logged_makes_logging_fail(style: logs.Style, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", style)
    itself: dict[str, Any] = {}
    itself["me"] = itself
    structlog.get_logger().info("odd", a=Broken(), b=itself, c=b"\xff", d={1: {2: 3}}, e="\ud800", f=float("nan"))
    assert "odd" in capsys.readouterr().err


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(ORDINARY),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.just(ORDINARY), inner),
    )
)
def test_any_value_is_rendered_without_the_secret(value: Any) -> None:
    logs.protect(ORDINARY)
    event = logs.redact(None, "info", {"event": "x", "value": value})
    assert ORDINARY not in json.dumps(event)


def test_automatic_style_is_for_eyes_only_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert logs.style_for("auto", Terminal()) == "console"
    assert logs.style_for("auto", io.StringIO()) == "json"
    assert logs.style_for("json", Terminal()) == "json"
    assert logs.style_for("console", io.StringIO()) == "console"


def test_importing_brings_in_no_heavy_library() -> None:
    code = (
        "import syncd.logs, sys; print([m for m in ('typer', 'sqlalchemy', 'aiohttp', 'alembic') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
