"""The customer on a document, and tax numbers."""

from dataclasses import dataclass
from enum import StrEnum

FINAL_CONSUMER_NIF = "999999990"
FINAL_CONSUMER_NAME = "Consumidor final"


class CustomerKind(StrEnum):
    ANONYMOUS = "anonymous"  # the account's shared final consumer
    CONSUMER = "consumer"
    COMPANY = "company"  # a taxable person


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """`code` identifies the customer at the service and is empty for the anonymous one.

    `tax_id` is a Portuguese NIF of nine digits, a foreign number with its prefix, or the final consumer's number.
    `country` is ISO 3166-1 alpha-2. `cut` says of each text that is too long for the service what it was in full.
    """

    kind: CustomerKind
    code: str
    name: str
    tax_id: str
    country: str
    street: str = ""
    postcode: str = ""
    city: str = ""
    email: str = ""
    cut: tuple[str, ...] = ()
