"""Logging: structlog set up once, and the redaction that everything said passes on its way out.

Modules say `log = structlog.get_logger()` and nothing else. Redaction is the last step before rendering, for our own
events and for the records of libraries alike, so that no call can forget it.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from io import TextIOBase
from typing import Any, Literal, TextIO, cast
from urllib.parse import quote, quote_plus

import orjson
import structlog
from pydantic import SecretStr
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

Style = Literal["json", "console"]

HIDDEN = "***"
SHORTEST = 4  # shorter values occur by chance, and hiding them would shred every line
DEEPEST = 12
LARGEST_INT = 2**63

_SECRET_KEY = re.compile(
    r"token|secret|passw|authorization|signature|consumer_|api_?key|cookie|hmac|credential", re.IGNORECASE
)
# Secrets that show by their shape: HTTP authorization, parameters of a URL, a URL's user part, shops' own prefixes.
# Each comes with texts of which one must occur (in lower case), because nearly all texts hold none and `in` is cheap.
_SHAPES = (
    (("bearer", "basic"), re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (
        ("token", "secret", "password", "signature", "key"),
        re.compile(
            r"""((?:token|secret|password|signature|consumer_key|api_?key)(?:=["']?|["']\s*:\s*["']?))[^&\s"',;}]+""",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (("://",), re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), rf"\1{HIDDEN}@"),
    (
        ("whsec_", "shp", "ck_", "cs_"),
        re.compile(r"\b(?:whsec_[\w+/=-]+|shp[a-z]{2}_\w{16,}|c[ks]_[0-9a-f]{32,})"),
        HIDDEN,
    ),
)


class _Protected:
    """Values registered to be hidden wherever they occur."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, secret: str) -> None:
        in_url = {quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace")}
        in_text = {repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        forms = {secret, *in_url, *in_text}
        self._values |= {form for form in forms if len(form) >= SHORTEST}
        # The longest first, or a secret that begins with another one would leave its end in the open.
        longest_first = sorted(self._values, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def hide(self, text: str) -> str:
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


_protected = _Protected()


def protect(*secrets: SecretStr | str) -> None:
    """Register secret values: from now on they are masked wherever they occur in anything logged."""
    for secret in secrets:
        _protected.add(secret.get_secret_value() if isinstance(secret, SecretStr) else secret)
    _name.cache_clear()


def masked(text: str) -> str:
    """A text without secrets, registered ones and those that show by their shape."""
    text = _protected.hide(text)
    low = text.lower()
    for hints, shape, instead in _SHAPES:
        if any(hint in low for hint in hints):
            text = shape.sub(instead, text)
    return text


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The processor: plain JSON values without secrets, however deep; it never fails, whatever it is given."""
    return cast("EventDict", _plain(event, DEEPEST))


def style_for(setting: str, stream: TextIO) -> Style:
    """What `log.format` comes to: `auto` is for eyes on a terminal, else JSON."""
    if setting == "auto":
        return "console" if stream.isatty() else "json"
    return "console" if setting == "console" else "json"


def configure(level: str, style: Style) -> None:
    """Set up structlog and the standard library's root logger; both write to standard error."""
    # Frames' local variables would hold payloads and tokens, so they stay out.
    trace: Processor = (
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False, use_rich=False))
        if style == "json"
        else structlog.processors.format_exc_info
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, trace, redact, _renderer(style)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(cast("Any", _Stderr())),
        cache_logger_on_first_use=True,
    )
    handler = _Handler(cast("TextIO", _Stderr()))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, trace, redact, _text(style)],
        )
    )
    root = logging.getLogger()
    root.handlers = [*(other for other in root.handlers if not isinstance(other, _Handler)), handler]
    root.setLevel(logging.WARNING)


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that configuring again replaces it and leaves others alone."""


class _Stderr(TextIOBase):
    """Standard error as it is at the moment of writing, not as it was when logging was set up."""

    def write(self, data: str | bytes) -> int:
        text = data.decode() if isinstance(data, bytes) else data
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _text(style: Style) -> Processor:
    """The renderer for records of the standard library, which wants text."""
    if style == "json":
        return lambda _logger, _method, event: orjson.dumps(event).decode()
    return _console()


def _renderer(style: Style) -> Processor:
    if style == "json":
        return lambda _logger, _method, event: orjson.dumps(event)
    console = _console()
    return lambda logger, method, event: str(console(logger, method, event)).encode()


def _console() -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )


def _plain(value: object, depth: int) -> object:
    """Containers by their parts; what lies too deep, or holds itself, ends in dots."""
    if isinstance(value, str) or not isinstance(value, Mapping | list | tuple | AbstractSet):
        return _scalar(value)
    if depth == 0:
        return "..."
    if not isinstance(value, Mapping):
        return [_plain(below, depth - 1) for below in value]
    plain: dict[str, object] = {}
    for key, below in value.items():
        name, says_secret = _name(str(key))
        hidden = says_secret and not (below is None or isinstance(below, bool))  # a flag is no secret
        plain[name] = HIDDEN if hidden else _plain(below, depth - 1)
    return plain


@lru_cache(maxsize=1024)
def _name(key: str) -> tuple[str, bool]:
    """A key as it is written, and whether it says that its value is secret."""
    return _encodable(masked(key)), _SECRET_KEY.search(key) is not None


def _scalar(value: object) -> object:
    if isinstance(value, str):
        return _encodable(masked(value))
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < LARGEST_INT else str(value)
    if isinstance(value, SecretStr):
        return HIDDEN
    return _encodable(masked(_said(value)))


def _said(value: object) -> str:
    try:
        if isinstance(value, bytes | bytearray):
            return value.decode("utf-8", "backslashreplace")
        return repr(value) if isinstance(value, BaseException) else str(value)
    except Exception:  # noqa: BLE001 - a log entry about an error must not become one
        return f"<{type(value).__name__}>"


def _encodable(text: str) -> str:
    """JSON is UTF-8, in which half a surrogate pair has no place."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
