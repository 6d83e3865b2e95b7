"""Whether a buyer in another member state is a taxable person: only what VIES confirmed counts, dated."""

from syncd.domain.registers import FRESH, LATE, Confirmation, Consultation
from syncd.mapping.customers import vat_number
from syncd.mapping.policy import Policy
from syncd.mapping.refusal import Undecidable
from syncd.mapping.supply import Sale

CORRECT_SHOP = "correct the tax settings of the shop, or"
TRUSTED = frozenset({"vies_unconfirmed", "vies_invalid"})  # released holds: a person has seen to the number


def check_business(sale: Sale, country: str) -> None:
    """Nothing leaves without VAT for another member state unless VIES, or a person, confirmed the buyer's number."""
    raw = sale.order.buyer.tax_id
    if not raw:
        raise Undecidable(
            "untaxed_line",
            f"the shop charged no VAT on a sale to {country}, and the buyer gave no VAT number",
            fix=f"{CORRECT_SHOP} invoice by hand and skip the order",
        )
    if TRUSTED & sale.accepted:
        return
    number = vat_number(raw, country)
    if not number or number.isdigit():
        raise Undecidable(
            "vies_invalid",
            f"no VAT was charged on a sale to {country}, but {raw!r} is no VAT number of another member state",
            fix=f"{CORRECT_SHOP} invoice by hand and skip the order",
        )
    need = Confirmation(number=number, requester=_requester(sale.policy), sold_at=sale.order.sold_at)
    consultation = sale.evidence.consultations.get(number)
    if consultation is None or not speaks_of(consultation, need):
        raise _unconfirmed(need, country, "must be valid in VIES at the sale")
    asked = consultation.asked_at.date()
    if not consultation.valid:
        raise Undecidable(
            "vies_invalid",
            f"no VAT was charged to {number} in {country}, but VIES did not know the number on {asked}",
            fix=f"{CORRECT_SHOP} charge the buyer the VAT, invoice by hand and skip the order; once VIES knows the "
            "number, retry it",
        )
    if consultation.asked_at - need.sold_at > LATE:
        raise _unconfirmed(need, country, f"was confirmed by VIES on {asked} only, too long after the sale", ask=False)


def speaks_of(consultation: Consultation, need: Confirmation) -> bool:
    """Whether a consultation answers the need: a no counts if given after the sale, a yes a little before as well."""
    earliest = need.sold_at - FRESH if consultation.valid else need.sold_at
    return consultation.requester == need.requester and consultation.asked_at >= earliest


def _requester(policy: Policy) -> str:
    return f"PT{policy.seller_nif}" if policy.seller_nif else ""


def _unconfirmed(need: Confirmation, country: str, what: str, *, ask: bool = True) -> Undecidable:
    fix = "check the number in VIES, keep the consultation number as the release's reason, and release the order"
    return Undecidable(
        "vies_unconfirmed",
        f"no VAT was charged to {need.number} in {country}: the number {what}",
        fix=fix if need.requester else f"set fiscal.nif, so that syncd can ask VIES itself; or {fix}",
        # Without the seller's own number VIES gives no consultation number, and so no proof.
        need=need if ask and need.requester else None,
    )
