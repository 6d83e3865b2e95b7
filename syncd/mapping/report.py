"""A plan as people and programs read it: the JSON of `syncd plan --json`."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from syncd.domain.customer import Customer, CustomerKind
from syncd.domain.document import (
    Amounts,
    Covered,
    DocumentDraft,
    DocumentKey,
    DocumentKind,
    DraftLine,
    Nature,
    PriceMode,
    Reference,
)
from syncd.domain.errors import SyncdError
from syncd.domain.hold import Hold
from syncd.domain.money import ZERO, Exchange, Money
from syncd.domain.registers import Consultation, Evidence, RateTable
from syncd.mapping.deadlines import Deadline, deadline_of
from syncd.mapping.discounts import effective
from syncd.mapping.planner import Plan
from syncd.mapping.reasons import why


@dataclass(slots=True)
class Forecast:
    """What would become of orders: documents and their gross by kind, orders that would wait, and the rest.

    An order waits for a person, or for the answer of a public register.
    """

    orders: int = 0
    documents: Counter[str] = field(default_factory=Counter)
    gross: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    waiting: int = 0
    nothing: int = 0

    def count(self, made: Plan) -> None:
        self.orders += 1
        waits = bool(made.holds or made.needs)
        self.waiting += waits
        self.nothing += not waits and not made.documents
        for draft in made.documents:
            self.documents[draft.kind.value] += 1
            self.gross[draft.kind.value] += draft.totals.gross


def plan_json(plan: Plan) -> dict[str, Any]:
    """Documents and holds; amounts are strings with two decimals, unit prices as the service takes them."""
    return {
        "documents": [document_json(draft) for draft in plan.documents],
        "annulments": [{"key": str(each.key), "reason": each.reason} for each in plan.annulments],
        "holds": [hold_json(hold) for hold in plan.holds],
        "needs": [need.key for need in plan.needs],
        "reason": plan.reason,
    }


def hold_json(hold: Hold) -> dict[str, str]:
    return {"code": hold.code, "message": hold.message, "fix": hold.fix}


def evidence_json(evidence: Evidence) -> dict[str, Any]:
    """What registers have said, as `evidence_of` reads it."""
    consultations, tables = evidence.consultations.values(), evidence.rates.values()
    return {
        "consultations": [
            {
                "number": each.number,
                "requester": each.requester,
                "valid": each.valid,
                "asked_at": each.asked_at.isoformat(),
                "reference": each.reference,
                "name": each.name,
                "address": each.address,
            }
            for each in consultations
        ],
        "rates": [
            {
                "day": str(each.day),
                "published": str(each.published),
                "source": each.source,
                "per_euro": {currency: plain(rate) for currency, rate in each.per_euro.items()},
            }
            for each in tables
        ],
    }


def evidence_of(printed: Any) -> Evidence:  # noqa: ANN401 - somebody's JSON
    """Evidence as `evidence_json` prints it; ReportError names what is missing."""
    try:
        consultations = [
            Consultation(**{**told, "asked_at": _aware(told["asked_at"])}) for told in printed.get("consultations", ())
        ]
        tables = [
            RateTable(
                day=date.fromisoformat(told["day"]),
                published=date.fromisoformat(told.get("published", told["day"])),
                source=told["source"],
                per_euro={currency: Decimal(rate) for currency, rate in told["per_euro"].items()},
            )
            for told in printed.get("rates", ())
        ]
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ReportError(f"the evidence is not as an order's timeline shows it: {error!r}") from error
    return Evidence(
        consultations={each.number: each for each in consultations}, rates={each.day: each for each in tables}
    )


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no offset")
    return moment


def deadline_json(deadline: Deadline) -> dict[str, str]:
    return {"last_day": deadline.last_day.isoformat(), "rule": deadline.rule}


def document_json(draft: DocumentDraft) -> dict[str, Any]:
    customer = draft.customer
    return {
        "key": str(draft.key),
        "kind": draft.kind.value,
        "region": draft.region,
        "payment": draft.payment,
        "series": draft.series,
        "why": draft.why,
        "customer": {
            "kind": customer.kind.value,
            "code": customer.code,
            "name": customer.name,
            "tax_id": customer.tax_id,
            "country": customer.country,
            "street": customer.street,
            "postcode": customer.postcode,
            "city": customer.city,
            "email": customer.email,
            "cut": list(customer.cut),
        },
        "lines": [_line(line) for line in draft.lines],
        "taxes": [
            {
                "rate": plain(tax.rate),
                "exemption": tax.exemption,
                "base": amount(tax.base),
                "tax": amount(tax.tax),
            }
            for tax in draft.taxes
        ],
        "totals": {
            "net": amount(draft.totals.net),
            "tax": amount(draft.totals.tax),
            "gross": amount(draft.totals.gross),
        },
        "expected_at_service": {
            "net": amount(draft.expected.net),
            "tax": amount(draft.expected.tax),
            "gross": amount(draft.expected.gross),
            "rounding": amount(draft.rounding),
        },
        "references": [
            {"key": str(reference.key), "amount": amount(reference.amount), "reason": reference.reason}
            for reference in draft.references
        ],
        "notes": draft.notes,
        "due_at": draft.due_at.isoformat(),
        "deadline": deadline_json(deadline_of(draft)),
        "price_mode": draft.price_mode.value,
        "covers": [
            {"line_id": part.line_id, "gross": amount(part.gross), "quantity": plain(part.quantity)}
            for part in draft.covers
        ],
        "exchange": exchange_json(draft.exchange) if draft.exchange else None,
    }


def exchange_json(exchange: Exchange) -> dict[str, str]:
    return {
        "paid": plain(exchange.paid.amount),
        "currency": exchange.paid.currency,
        "euro": amount(exchange.euro),
        "of": plain(exchange.of),
        "per_euro": plain(exchange.per_euro),
        "source": exchange.source,
        "day": str(exchange.day),
    }


def _exchange(told: dict[str, str]) -> Exchange:
    return Exchange(
        paid=Money(Decimal(told["paid"]), told["currency"]),
        euro=Decimal(told["euro"]),
        of=Decimal(told["of"]),
        per_euro=Decimal(told["per_euro"]),
        source=told["source"],
        day=date.fromisoformat(told["day"]),
    )


def drafts_of(printed: Any) -> list[DocumentDraft]:  # noqa: ANN401 - somebody's JSON
    """Documents as `document_json` printed them, for planning what follows them; ReportError names what is missing."""
    entries = printed.get("documents") if isinstance(printed, dict) else printed
    if not isinstance(entries, list):
        raise ReportError("expected an object with a list of documents, as printed by --json")
    try:
        return [_draft(entry) for entry in entries]
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ReportError(f"a document is not as printed by --json: {error!r}") from error


class ReportError(SyncdError):
    """A file of documents that cannot be read back."""


def _draft(entry: dict[str, Any]) -> DocumentDraft:
    lines = tuple(_draft_line(line) for line in entry["lines"])
    totals = Amounts(**{name: Decimal(entry["totals"][name]) for name in ("net", "tax", "gross")})
    customer = dict(entry["customer"])
    customer["kind"] = CustomerKind(customer.get("kind", CustomerKind.CONSUMER))
    customer.setdefault("code", customer["tax_id"])
    customer["cut"] = tuple(customer.get("cut", ()))
    return DocumentDraft(
        key=_key(entry["key"]),
        customer=Customer(**customer),
        lines=lines,
        taxes=(),
        totals=totals,
        expected_lines=(),
        expected=totals,
        region=entry.get("region", "PT"),
        payment=entry.get("payment", ""),
        series=entry.get("series", ""),
        why=entry.get("why", ""),
        due_at=datetime.fromisoformat(entry["due_at"]) if "due_at" in entry else datetime.now(UTC),
        price_mode=PriceMode(entry.get("price_mode", PriceMode.NET)),
        covers=tuple(
            Covered(part["line_id"], Decimal(part["gross"]), Decimal(part["quantity"]))
            for part in entry.get("covers", ())
        ),
        references=tuple(
            Reference(key=_key(told["key"]), amount=Decimal(told["amount"]), reason=told.get("reason", ""))
            for told in entry.get("references", ())
        ),
        exchange=_exchange(entry["exchange"]) if entry.get("exchange") else None,
    )


def _key(text: str) -> DocumentKey:
    account, shop, order_id, kind, part = text.split("/")
    return DocumentKey(account, shop, order_id, DocumentKind(kind), part)


def _draft_line(line: dict[str, Any]) -> DraftLine:
    told = line.get("discounts", [line["discount"]])  # one figure for all of them may be all that is told
    discounts = tuple(discount for discount in map(Decimal, told) if discount)
    return DraftLine(
        line_id=line.get("line_id", line["code"]),
        code=line["code"],
        description=line["description"],
        nature=Nature(line.get("nature", Nature.GOODS)),
        exemption=line["exemption"],
        original=line.get("original"),
        why=line.get("why_codes", ""),
        quantity=Decimal(line["quantity"]),
        unit_price=Decimal(line["unit_price"]),
        discount=discounts[0] if discounts else ZERO,
        successive=discounts[1:],
        vat_rate=Decimal(line["vat_rate"]),
        net=Decimal(line["net"]),
        tax=Decimal(line["tax"]),
        gross=Decimal(line["gross"]),
    )


def amount(value: Decimal) -> str:
    """Two decimals."""
    return f"{value:.2f}"


def plain(value: Decimal) -> str:
    """Without exponent and without needless zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _line(line: DraftLine) -> dict[str, Any]:
    return {
        "code": line.code,
        "description": line.description,
        "nature": line.nature.value,
        "quantity": plain(line.quantity),
        "unit_price": f"{line.unit_price:f}",
        "discount": plain(effective(line.discounts)),
        "discounts": [plain(discount) for discount in line.discounts],
        "vat_rate": plain(line.vat_rate),
        "exemption": line.exemption,
        "net": amount(line.net),
        "tax": amount(line.tax),
        "gross": amount(line.gross),
        "line_id": line.line_id,
        "original": line.original,
        "why": why(line),
        "why_codes": line.why,
    }
