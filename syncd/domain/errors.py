"""Errors whose class says what happens next; the message says what and where, `fix` says how."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syncd.domain.capabilities import Profile


class SyncdError(Exception):
    """Everything that this program raises on purpose."""

    def __init__(self, message: str, *, code: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.fix = fix


class AmountError(SyncdError):
    """A number that is not exact, not finite or too large."""


# -- from a shop ---------------------------------------------------------------


class ShopError(SyncdError):
    """A shop or its payload did not do what we asked."""


class SignatureError(ShopError):
    """The signature is missing or wrong: answer 401 and keep nothing."""


class UnreadableError(ShopError):
    """The body is not what its content type says: answer 400 and keep nothing."""


class PayloadError(ShopError):
    """Signed and readable, but not an order we understand: keep the event and hold it."""


class ShopUnavailableError(ShopError):
    """The shop's API did not answer usefully: ask again later, keep the cursor."""

    def __init__(self, message: str, *, fix: str = "", retry_after: timedelta | None = None) -> None:
        super().__init__(message, code="shop_unavailable", fix=fix)
        self.retry_after = retry_after


class ShopRefusedError(ShopError):
    """The shop's API refused our credentials or request: a person must change the settings."""


# -- from an invoicing service ---------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAnswer:
    """What the service said, for the trail: no secret, no personal data beyond its own error text."""

    status: int | None = None
    codes: tuple[str, ...] = ()


class ServiceError(SyncdError):
    """An invoicing service did not do what we asked."""

    def __init__(self, message: str, *, code: str = "", fix: str = "", answer: ServiceAnswer | None = None) -> None:
        super().__init__(message, code=code, fix=fix)
        self.answer = answer or ServiceAnswer()


class RefusedError(ServiceError):
    """It refused this document's data: hold the order."""


class AccountBlockedError(ServiceError):
    """Token, plan, series or rights: pause the account, not the order."""


class NoEffectError(ServiceError):
    """Certainly nothing happened: send again later, after `retry_after` where the service said so."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        fix: str = "",
        answer: ServiceAnswer | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, code=code, fix=fix, answer=answer)
        self.retry_after = retry_after


class StaleReferenceError(NoEffectError):
    """It does not know an id that we had cached: forget the named references and send again."""

    def __init__(
        self, message: str, *, kinds: tuple[str, ...], code: str = "", answer: ServiceAnswer | None = None
    ) -> None:
        super().__init__(message, code=code, answer=answer)
        self.kinds = kinds


class MisjudgedAccountError(ServiceError):
    """Nothing of effect happened, and the account works as `seen`, not as planned: note it and plan the order anew.

    `otherwise` is what it means where planning anew changes nothing.
    """

    def __init__(self, *, seen: "Profile", otherwise: ServiceError) -> None:
        super().__init__(str(otherwise), code=otherwise.code, fix=otherwise.fix, answer=otherwise.answer)
        self.seen = seen
        self.otherwise = otherwise


class UncertainError(ServiceError):
    """It may have been issued: look for the marker before anything else is sent."""


class DiscrepancyError(ServiceError):
    """It answered with success, but not what was planned: hold with both figures, never issue again."""
