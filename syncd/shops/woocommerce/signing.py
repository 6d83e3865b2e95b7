"""How a request proves that it is ours: HTTP Basic, or OAuth 1.0a without a token where nothing encrypts.

Both go in the `Authorization` header, which WooCommerce reads for OAuth as well, so that no key is ever in a URL. Pure.
"""

import base64
import hmac
from dataclasses import dataclass
from urllib.parse import quote

from pydantic import SecretStr
from yarl import URL

from syncd.domain.errors import ShopRefusedError
from syncd.shops.port import ShopConfig

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A REST key and its secret; `sign` where the way to the shop is in the clear."""

    key: SecretStr
    secret: SecretStr
    sign: bool

    def header(self, url: URL, *, timestamp: int, nonce: str) -> str:
        """The `Authorization` of a GET of this URL."""
        key, secret = self.key.get_secret_value(), self.secret.get_secret_value()
        if not self.sign:
            return "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()
        oauth = {
            "oauth_consumer_key": key,
            "oauth_nonce": nonce,
            "oauth_signature_method": "HMAC-SHA256",
            "oauth_timestamp": str(timestamp),
        }
        oauth["oauth_signature"] = oauth_signature(url, oauth, secret)
        return "OAuth " + ", ".join(f'{name}="{_escape(value)}"' for name, value in oauth.items())


def credentials_of(config: ShopConfig, base: URL) -> Credentials | None:
    """What to prove ourselves with, None without both halves of the key. Raises ShopRefusedError.

    Plain HTTP is for the same machine, where Basic betrays nothing to anybody, and for those who ask for it with
    `allow_http = "true"`: then requests are signed, as WooCommerce wants it without TLS, on loopback as well.
    """
    if not config.consumer_key or not config.consumer_secret:
        return None
    if not config.consumer_key.get_secret_value() or not config.consumer_secret.get_secret_value():
        return None
    allowed = config.extra.get("allow_http", "").lower() == "true"
    if base.scheme not in {"http", "https"} or not base.host:
        raise ShopRefusedError("the shop's url is no web address", fix='set url to "https://..."')
    if base.scheme == "http" and not allowed and base.host not in LOOPBACK:
        raise ShopRefusedError(
            "the shop's url is plain http, where buyers' data can be read on the way",
            fix='set url to "https://...", or allow_http = "true" if there is no other way',
        )
    sign = base.scheme == "http" and allowed
    return Credentials(key=config.consumer_key, secret=config.consumer_secret, sign=sign)


def oauth_signature(url: URL, oauth: dict[str, str], secret: str) -> str:
    """HMAC-SHA256 as RFC 5849 makes it, without a token."""
    fields = sorted((_escape(name), _escape(value)) for name, value in [*url.query.items(), *oauth.items()])
    said = "&".join(f"{name}={value}" for name, value in fields)
    address = str(url.with_query(None))
    message = "&".join(("GET", _escape(address), _escape(said)))
    return base64.b64encode(hmac.digest(f"{secret}&".encode(), message.encode(), "sha256")).decode()


def _escape(text: str) -> str:
    return quote(text, safe="~")
