"""What the trail keeps of a request and of its answer: a hash of all of it, and the harmless fields. Pure.

Harmless is what tells no secret and nothing of a person. Fields are named one by one, so that whatever a service adds
tomorrow is left out until somebody has looked at it.
"""

import hashlib
import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal

# A list's page has twenty records; more than this is no evidence any more, only its hash.
LONGEST_BYTES = 16 * 1024
LONGEST_TEXT = 120
DEEPEST = 8


def told(
    raw: bytes, data: object, kept: AbstractSet[str], *, query: Mapping[str, str] | None = None
) -> dict[str, object]:
    """`raw` as it travelled and `data`, the JSON in it; None where there was none that is readable."""
    said: dict[str, object] = {}
    if query:
        said["query"] = {name: value for name, value in query.items() if name in kept}
    if raw:
        said |= {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    fields = _kept(data, kept)
    if fields and len(json.dumps(fields)) <= LONGEST_BYTES:
        said["fields"] = fields
    return said


def _kept(value: object, kept: AbstractSet[str], depth: int = 0) -> object:
    if depth > DEEPEST:
        return None
    match value:
        case Mapping():
            return {name: _kept(inner, kept, depth + 1) for name, inner in value.items() if name in kept}
        case list() | tuple():
            return [_kept(inner, kept, depth + 1) for inner in value]
        case Decimal():
            return format(value, "f")
        case bool() | int() | None:
            return value
        case _:
            # A lone surrogate is text in JSON and nowhere else.
            return str(value)[:LONGEST_TEXT].encode(errors="replace").decode()
