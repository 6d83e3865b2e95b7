"""A plan as people and programs read it: the JSON of `syncd plan --json`."""

from datetime import UTC, datetime
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
from syncd.mapping.planner import Plan
from syncd.mapping.reasons import why


def plan_json(plan: Plan) -> dict[str, Any]:
    """Documents and holds; amounts are strings with two decimals, unit prices as the service takes them."""
    return {
        "documents": [document_json(draft) for draft in plan.documents],
        "holds": [hold_json(hold) for hold in plan.holds],
        "reason": plan.reason,
    }


def hold_json(hold: Hold) -> dict[str, str]:
    return {"code": hold.code, "message": hold.message, "fix": hold.fix}


def document_json(draft: DocumentDraft) -> dict[str, Any]:
    customer = draft.customer
    return {
        "key": str(draft.key),
        "kind": draft.kind.value,
        "region": draft.region,
        "payment": draft.payment,
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
        "price_mode": draft.price_mode.value,
        "covers": [
            {"line_id": part.line_id, "gross": amount(part.gross), "quantity": plain(part.quantity)}
            for part in draft.covers
        ],
    }


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
    )


def _key(text: str) -> DocumentKey:
    account, shop, order_id, kind, part = text.split("/")
    return DocumentKey(account, shop, order_id, DocumentKind(kind), part)


def _draft_line(line: dict[str, Any]) -> DraftLine:
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
        discount=Decimal(line["discount"]),
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
        "discount": plain(line.discount),
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
