"""Reading a request as PHP does: query string, form or JSON body, with brackets for arrays."""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

Values = dict[str, Any]

_KEYS = re.compile(r"\[([^\]]*)\]")


def read_input(query: Iterable[tuple[str, str]], content_type: str, body: bytes) -> Values:
    """All parameters of a request; the body wins. An unreadable body counts as empty, as it does at the service."""
    values = nested(query)
    if body:
        if "json" in content_type:
            values |= _from_json(body)
        elif "form-urlencoded" in content_type:
            values |= nested(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return values


def nested(pairs: Iterable[tuple[str, str]]) -> Values:
    """`produtos[0][nome]=x` becomes {"produtos": {"0": {"nome": "x"}}}; a list is told by `rows`."""
    values: Values = {}
    for name, value in pairs:
        head, bracket, rest = name.partition("[")
        keys = [head, *_KEYS.findall(bracket + rest)]
        level = values
        for key in keys[:-1]:
            inner = level.setdefault(key or str(len(level)), {})
            if not isinstance(inner, dict):
                break
            level = inner
        else:
            level[keys[-1] or str(len(level))] = value
    return values


def rows(value: object) -> list[Any] | None:
    """A JSON array, or the object that PHP makes of `name[0]=…`; None for anything else."""
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping) and all(str(key).isdigit() for key in value):
        return list(value.values())
    return None


def _from_json(body: bytes) -> Values:
    try:
        parsed = json.loads(body, parse_float=Decimal)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
