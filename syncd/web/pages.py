"""HTML out of templates: everything that is not written in a template is escaped. Loaded with the first page."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from syncd import __version__
from syncd.domain.states import OrderState
from syncd.mapping.deadlines import WHEN_LATE
from syncd.mapping.sale import LISBON
from syncd.web.links import address

_TEMPLATES = Path(__file__).parent / "templates"
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


class Pages:
    """The templates, compiled when they are first used."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {"moment": moment, "day": day, "span": span, "pretty": pretty, "late": late}
        self._environment.globals |= {
            "address": address,
            "order_states": list(OrderState),
            "version": __version__,
            "when_late": WHEN_LATE,
        }

    def render(self, name: str, **values: object) -> str:
        """The page of a template; a value that it needs and is not given is an error."""
        page: str = self._environment.get_template(f"{name}.html").render(**values)
        return page


def moment(value: datetime | str) -> str:
    """A time as it is in Portugal, with the exact one for machines."""
    return _time(value, "%Y-%m-%d %H:%M:%S")


def day(value: datetime | str) -> str:
    """The same without the hour: the end of a legal deadline is the end of its day."""
    return _time(value, "%Y-%m-%d")


def late(value: datetime | str) -> bool:
    """Whether a moment has passed."""
    return _at(value) < datetime.now(UTC)


def span(seconds: float | timedelta) -> str:
    """A length of time in its largest unit."""
    whole = int(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)
    for name, length in _UNITS:
        if whole >= length:
            count = whole // length
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{whole} s"


def pretty(value: Any) -> str:  # noqa: ANN401 - JSON is of any shape
    """JSON for eyes."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


def _time(value: datetime | str, form: str) -> str:
    at = _at(value)
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), at.astimezone(LISBON).strftime(form))


def _at(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
