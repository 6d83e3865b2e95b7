"""How an order's trail holds together: each entry carries a hash of itself and of all entries before it. Pure.

What a chain proves: nobody has taken out, changed, added or moved an entry without making every later hash of that
order anew, or taking out the whole order with all that belongs to it. It holds no key, so it does not stop somebody who
may write the whole ledger and takes that trouble. What shows it even then is a copy outside: `syncd audit --trail` prints
an anchor, one hash over the heads of all orders, which a restored backup of that moment must give again.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from syncd.store.types import microseconds

# Begins every link, so that a later form can stand beside this one.
FORM = "1:"


def canonical(values: Mapping[str, object]) -> str:
    """The one text of these values, all ASCII; the same before they are stored and after, on both engines."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)


def link(head: str, entry: str) -> str:
    """The head of a chain that ends in `head`, once this entry is added; the database computes the same in SQL."""
    return FORM + sha256(head + entry)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return microseconds(value)
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in the trail")
