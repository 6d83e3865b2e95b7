"""What an endpoint is given and what it gives back, and the two things that most of them share: ids and pages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from syncd.sandbox.billpt.intake import Values
from syncd.sandbox.billpt.records import Account, Document, Ids, Row, Table
from syncd.sandbox.billpt.settings import Clock, Settings
from syncd.sandbox.billpt.validation import Refusal

PAGE = 20


@dataclass(slots=True)
class World:
    """What all accounts of a sandbox share."""

    settings: Settings
    clock: Clock
    ids: Ids
    accounts: dict[str, Account] = field(default_factory=dict)  # by token


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request of a known account: its parameters, and the ids in its path. `lag` hides what it creates."""

    world: World
    account: Account
    values: Values
    path_ids: Mapping[str, str]
    url: str
    lag: float = 0.0

    @property
    def settings(self) -> Settings:
        return self.world.settings

    def row(self, table: Table, code: str) -> Row:
        """The record that the path names; 404 if this account has none."""
        row = table.get(int(self.path_ids["id"]))
        if row is None:
            raise Refusal(code, status=404)
        return row

    def document(self, number: int | None) -> Document:
        """A document of this account, whether a read would see it yet or not; 404 if there is none."""
        document = self.account.books.all.get(number or 0)
        if document is None:
            raise Refusal(self.settings.unknown_document_code, status=404)
        return document

    def visible(self, document: Document) -> bool:
        return document.visible_at <= self.world.clock.monotonic()

    def page(self, rows: Sequence[Any], show: Callable[[Any], object], *, size: int = PAGE) -> "Reply":
        """One page of a list, as Laravel's paginator shows it."""
        total = len(rows)
        last = max(1, -(-total // size))
        number = _page_number(self.values.get("page"))
        first = (number - 1) * size
        data = [show(row) for row in rows[first : first + size]]
        return Reply(
            {
                "total": total,
                "per_page": size,
                "current_page": number,
                "last_page": last,
                "next_page_url": f"{self.url}?page={number + 1}" if number < last else None,
                "prev_page_url": f"{self.url}?page={number - 1}" if number > 1 else None,
                "from": first + 1 if data else None,
                "to": first + len(data) if data else None,
                "data": data,
            }
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; a body of None is sent empty."""

    body: object
    status: int = 200


Endpoint = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Search:
    """The `pesquisa` of a request: exact and containing filters, and sort columns with their direction."""

    exact: dict[str, str]
    containing: dict[str, str]
    order: tuple[tuple[str, bool], ...]  # column, descending

    @classmethod
    def read(cls, call: Call, known: frozenset[str], sortable: frozenset[str] = frozenset()) -> "Search":
        """Filters on other columns than the known are ignored or refused, as the settings say."""
        given = call.values.get("pesquisa")
        given = given if isinstance(given, Mapping) else {}
        containing = _texts(given.get("texto"))
        exact = _texts({name: value for name, value in given.items() if name not in ("texto", "order_by")})
        order = _texts(given.get("order_by"))
        unknown = [name for name in (*exact, *containing) if name not in known]
        unknown += [name for name in order if name not in sortable]
        if unknown and call.settings.filters_known_only:
            raise Refusal(*(f"9.{name}" for name in unknown))
        return cls(
            exact={name: value for name, value in exact.items() if name in known},
            containing={name: value for name, value in containing.items() if name in known},
            order=tuple((name, way.lower() == "desc") for name, way in order.items() if name in sortable),
        )

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Text is compared without case, as the service's database does."""
        return all(str(_number(row[name])).casefold() == value for name, value in self.exact.items()) and all(
            value in str(row[name]).casefold() for name, value in self.containing.items()
        )


def _texts(given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        return {}
    return {str(name): str(_number(value)).casefold() for name, value in given.items() if value not in (None, "")}


def _number(value: object) -> object:
    return int(value) if isinstance(value, bool) else value


def _page_number(value: object) -> int:
    text = str(value)
    return int(text) if text.isdigit() and text != "0" else 1
