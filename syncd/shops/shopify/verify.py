"""The signature of a webhook: base64 of HMAC-SHA256 over the raw body, keyed with the app's client secret."""

import base64
import hmac
from collections.abc import Iterable, Mapping

from pydantic import SecretStr

from syncd.domain.errors import SignatureError


def header(headers: Mapping[str, str], name: str) -> str:
    """A Shopify header by its name without prefix; the newer deliveries drop the `x-`."""
    return headers.get(f"x-shopify-{name}") or headers.get(f"shopify-{name}") or ""


def signature(body: bytes, secret: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()


def verify(headers: Mapping[str, str], body: bytes, secrets: Iterable[SecretStr]) -> None:
    """Raise SignatureError unless one of the secrets signed exactly these bytes."""
    given = header(headers, "hmac-sha256").strip().encode(errors="surrogatepass")
    if not given:
        raise SignatureError("the signature header is missing")
    keys = [secret.get_secret_value() for secret in secrets]
    # All are compared, so that the time does not tell which one fits; an empty key would be one that anybody knows.
    if not any([hmac.compare_digest(given, signature(body, key).encode()) for key in keys if key]):  # noqa: C419 - a generator would stop at the first
        raise SignatureError("the signature fits none of the shop's webhook secrets")
