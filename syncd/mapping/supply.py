"""What the tax treatment of one order is decided from."""

from dataclasses import dataclass
from datetime import date

from syncd.domain.order import Order
from syncd.domain.registers import NO_EVIDENCE, Evidence
from syncd.mapping.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """An order, what the merchant and a person decided, and what public registers said of it."""

    order: Order
    policy: Policy
    day: date
    accepted: frozenset[str]
    evidence: Evidence = NO_EVIDENCE
