"""Our documents held against somebody else's: what is missing, doubled or different. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

# An ordinary receipt is RG in the law's files, and RC at a service.
_RECEIPTS = ("RG ", "RC ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """A document as the ledger has it, issued."""

    shop: str
    order_id: str
    number: str
    provider_id: str
    issued_on: date
    gross: Decimal
    annulled: bool
    references: frozenset[str] = frozenset()  # numbers of the documents that it corrects or settles


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """A document as the service or the accountant's file has it."""

    number: str
    issued_on: date
    gross: Decimal
    annulled: bool
    provider_id: str = ""
    references: frozenset[str] | None = None  # None where they are not told


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is wrong, and how to mend it; `shop` and `order_id` are empty where no order is known."""

    code: str
    number: str
    message: str
    fix: str
    shop: str = ""
    order_id: str = ""


@dataclass(slots=True)
class Comparison:
    """Told of their documents one by one; `strangers` are those that no document of ours is."""

    ours: Iterable[Ours]
    where: str  # "at the service", "in the file"
    strangers: list[Theirs] = field(default_factory=list)
    _by_number: dict[str, Ours] = field(init=False)
    _by_id: dict[str, Ours] = field(init=False)
    _seen: dict[str, Theirs] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_number, self._by_id = {}, {}
        self.know(self.ours)

    def know(self, ours: Iterable[Ours]) -> None:
        """These are ours as well."""
        for each in ours:
            self._by_number[spelled(each.number)] = self._by_id[each.provider_id] = each

    def knows(self, theirs: Theirs) -> bool:
        return self._of(theirs) is not None

    def look(self, theirs: Theirs) -> Iterator[Difference]:
        """What is wrong with one of theirs."""
        ours = self._of(theirs)
        if ours is None:
            self.strangers.append(theirs)
            return
        earlier = self._seen.get(ours.number)
        if earlier is not None:
            yield self._wrong(
                "duplicate", ours, f"{ours.number} stands twice {self.where}", "have the accountant look at both"
            )
            return
        self._seen[ours.number] = theirs
        yield from self._differences(ours, theirs)

    def missing(self) -> Iterator[Difference]:
        """Once all of theirs were looked at: ours that are not among them."""
        for ours in self._by_number.values():
            if ours.number not in self._seen:
                yield self._wrong(
                    "missing",
                    ours,
                    f"{ours.number} of {ours.issued_on} over {ours.gross:.2f} is not {self.where}",
                    "look it up at the service by its number; if it is there, have a new file made",
                )

    def _of(self, theirs: Theirs) -> Ours | None:
        return self._by_id.get(theirs.provider_id) or self._by_number.get(spelled(theirs.number))

    def _differences(self, ours: Ours, theirs: Theirs) -> Iterator[Difference]:
        if spelled(theirs.number) != spelled(ours.number):
            yield self._wrong(
                "number",
                ours,
                f"{ours.number} is called {theirs.number} {self.where}",
                "the service has renumbered it: ask its support, and tell the accountant",
            )
        if theirs.issued_on != ours.issued_on:
            yield self._wrong(
                "day",
                ours,
                f"{ours.number} is of {theirs.issued_on} {self.where}, and of {ours.issued_on} in the ledger",
                "tell the accountant: the tax belongs to the day of the document",
            )
        if theirs.gross != ours.gross:
            yield self._wrong(
                "amount",
                ours,
                f"{ours.number} is {theirs.gross:.2f} {self.where}, and {ours.gross:.2f} in the ledger",
                "somebody has changed one of them: syncd audit --trail tells whether it was the ledger",
            )
        if theirs.annulled != ours.annulled:
            said = ("stands", "is annulled")
            yield self._wrong(
                "state",
                ours,
                f"{ours.number} {said[theirs.annulled]} {self.where}, and {said[ours.annulled]} in the ledger",
                "if it was annulled by hand, issue what the buyer is still owed by hand and skip the order",
            )
        if theirs.references is not None and not ours.references <= theirs.references:
            lost = ", ".join(sorted(ours.references - theirs.references))
            yield self._wrong(
                "references",
                ours,
                f"{ours.number} does not refer to {lost} {self.where}",
                "tell the accountant: a correction must name what it corrects",
            )

    def _wrong(self, code: str, ours: Ours, message: str, fix: str) -> Difference:
        return Difference(
            code=code, number=ours.number, message=message, fix=fix, shop=ours.shop, order_id=ours.order_id
        )


def spelled(number: str) -> str:
    """A number as both sides understand it."""
    plain = " ".join(number.split())
    return f"RC {plain[3:]}" if plain.startswith(_RECEIPTS) else plain
