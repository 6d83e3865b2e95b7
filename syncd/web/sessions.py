"""Who may see the pages: a password, a signed cookie, a token in every form, and patience with wrong tries. Pure.

The cookie holds what it says and a signature, so that any replica with the same password knows it and nothing is
stored; another password ends every session. Whoever finds a cookie cannot try passwords against it quickly.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

# To show the login form and send it; longer than anybody thinks about a password.
VISIT = timedelta(hours=1)
_SALT = b"syncd dashboard session"  # one for all replicas; what it guards against is the cost of trying, not tables

FREE_TRIES = 5
LONGEST_WAIT = timedelta(minutes=1)
FORGOTTEN_AFTER = timedelta(minutes=15)
_MOST_ADDRESSES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser for a while: a visitor who sees the login form, or the operator (`known`)."""

    known: bool
    until: datetime
    nonce: str

    @classmethod
    def begin(cls, *, known: bool, now: datetime, length: timedelta) -> "Session":
        return cls(known=known, until=now + length, nonce=secrets.token_urlsafe(18))


class Keeper:
    """Signs and reads sessions, and knows the password."""

    def __init__(self, password: SecretStr) -> None:
        self._password = _digest(password.get_secret_value())
        # Slow on purpose (some 50 ms): build it in a thread.
        self._key = hashlib.scrypt(password.get_secret_value().encode(), salt=_SALT, n=2**14, r=8, p=1)

    def right(self, password: str) -> bool:
        """Compared in constant time, whatever its length."""
        return hmac.compare_digest(_digest(password), self._password)

    def cookie(self, session: Session) -> str:
        said = f"{'operator' if session.known else 'visitor'}.{int(session.until.timestamp())}.{session.nonce}"
        return f"{said}.{self._signed('session', said)}"

    def session(self, cookie: str, now: datetime) -> Session | None:
        """What a cookie says, None if it is not ours or has run out."""
        said, _, signature = cookie.rpartition(".")
        if not _same(signature, self._signed("session", said)):
            return None
        who, until, nonce = said.split(".")
        session = Session(known=who == "operator", until=datetime.fromtimestamp(int(until), UTC), nonce=nonce)
        return session if now < session.until else None

    def token(self, session: Session) -> str:
        """What every form of this session carries, and a page elsewhere cannot know."""
        return self._signed("form", session.nonce)

    def has_token(self, session: Session, token: str) -> bool:
        return _same(token, self.token(session))

    def _signed(self, what: str, said: str) -> str:
        return hmac.digest(self._key, f"{what}:{said}".encode(errors="replace"), "sha256").hex()


class Patience:
    """Wrong tries by address: some are free, then each doubles the wait, up to a minute; a quiet while forgives all."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, tuple[int, datetime]] = OrderedDict()

    def wait(self, address: str, now: datetime) -> timedelta:
        """How long until the next try is looked at; zero for at once."""
        tries, last = self._tries.get(address, (0, now))
        if tries < FREE_TRIES:
            return timedelta()
        pause = min(timedelta(seconds=2 ** min(tries - FREE_TRIES + 1, 10)), LONGEST_WAIT)
        return max(timedelta(), last + pause - now)

    def failed(self, address: str, now: datetime) -> None:
        tries, last = self._tries.pop(address, (0, now))
        self._tries[address] = (1 if now - last > FORGOTTEN_AFTER else tries + 1, now)
        while len(self._tries) > _MOST_ADDRESSES:
            self._tries.popitem(last=False)

    def succeeded(self, address: str) -> None:
        self._tries.pop(address, None)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="replace")).digest()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())
