"""Addresses of our own pages, and nobody else's."""

import re
from urllib.parse import urlencode

_OWN_PAGE = re.compile(r"/(orders|order)?(\?[^\\\s]*)?")


def address(path: str, **query: object) -> str:
    """A link to one of our pages; what is None or empty is left out."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given, errors='replace')}" if given else path


def own(target: str) -> str:
    """Where to go on after the login: never to somebody else's page."""
    return target if _OWN_PAGE.fullmatch(target) else "/"
