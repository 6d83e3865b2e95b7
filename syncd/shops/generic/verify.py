"""The signature of a webhook by the Standard Webhooks scheme.

`webhook-signature` holds one or more `v1,<base64>` apart by spaces: HMAC-SHA256 over `id.timestamp.body`. The time is
part of what is signed, so that an old request cannot be sent again later.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import SecretStr

from syncd.domain.errors import ShopRefusedError, SignatureError

TOLERANCE = timedelta(minutes=5)
PREFIX = "whsec_"

_SECONDS = re.compile(r"[0-9]{1,12}")


def key_of(secret: SecretStr) -> bytes:
    """The key that a secret stands for: base64 after `whsec_`, any other text as it is."""
    text = secret.get_secret_value()
    if not text.startswith(PREFIX):
        return text.encode()
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ShopRefusedError(
            "a webhook_secret begins with whsec_ but is not base64 after it",
            code="webhook_secret",
            fix="copy the secret anew, or write one of your own without whsec_",
        ) from None
    return key


def signature(key: bytes, *, message_id: str, timestamp: str, body: bytes) -> str:
    """What `webhook-signature` must hold."""
    signed = b".".join((_raw(message_id), _raw(timestamp), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def verify(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], *, now: datetime) -> None:
    """Raise SignatureError unless one of the keys signed exactly these bytes within the last minutes."""
    message_id, timestamp, given = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (message_id and timestamp and given):
        raise SignatureError("one of the headers webhook-id, webhook-timestamp and webhook-signature is missing")
    if not _SECONDS.fullmatch(timestamp):
        raise SignatureError("webhook-timestamp is not a number of seconds since 1970")
    away = abs(now.timestamp() - int(timestamp))
    if away > TOLERANCE.total_seconds():
        raise SignatureError(f"webhook-timestamp is {away:.0f} s away from our clock; at most 300 are allowed")
    right = [signature(key, message_id=message_id, timestamp=timestamp, body=body).encode() for key in keys]
    # All are compared, so that the time does not tell which one fits.
    fits = [hmac.compare_digest(_raw(one), each) for one in given.split() for each in right]
    if not any(fits):
        raise SignatureError("webhook-signature fits none of the shop's webhook secrets")


def _raw(header: str) -> bytes:
    """A header's bytes as they came; the HTTP server shows undecodable ones as surrogates."""
    return header.encode("utf-8", "surrogateescape")
