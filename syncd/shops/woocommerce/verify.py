"""The signature of a webhook: base64 of HMAC-SHA256 over the raw body, keyed with the webhook's own secret."""

import base64
import hmac
from collections.abc import Iterable
from html import unescape

from pydantic import SecretStr

from syncd.domain.errors import SignatureError

HEADER = "x-wc-webhook-signature"


def signature(body: bytes, key: bytes) -> bytes:
    return base64.b64encode(hmac.digest(key, body, "sha256"))


def keys_of(secrets: Iterable[SecretStr]) -> tuple[bytes, ...]:
    """The keys that may sign. An empty secret is none: its signature is one that anybody can make.

    WooCommerce decodes HTML entities in a secret before it signs, so `a&amp;b` in its table signs as `a&b`.
    """
    plain = [secret.get_secret_value() for secret in secrets]
    return tuple(dict.fromkeys(key.encode() for text in plain if text.strip() for key in (text, unescape(text))))


def verify(given: str, body: bytes, keys: Iterable[bytes]) -> None:
    """Raise SignatureError unless one of the keys signed exactly these bytes."""
    if not given:
        raise SignatureError("the signature header is missing", fix="send with the webhook's secret set")
    claimed = given.strip().encode(errors="surrogateescape")
    fits = False
    for key in keys:
        fits |= hmac.compare_digest(claimed, signature(body, key))
    if not fits:
        raise SignatureError(
            "the signature fits none of the shop's webhook secrets",
            fix="set webhook_secret to the secret of the webhook in WooCommerce, Settings, Advanced, Webhooks",
        )
