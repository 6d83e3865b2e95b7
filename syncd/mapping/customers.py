"""Whom the document names: a company or person by tax number, a named consumer, or the final consumer."""

from decimal import Decimal
from functools import lru_cache

from stdnum.eu import vat as eu_vat
from stdnum.pt import nif as pt_nif

from syncd.domain.customer import FINAL_CONSUMER_NAME, FINAL_CONSUMER_NIF, Customer, CustomerKind
from syncd.domain.order import Address, Order
from syncd.mapping import tables
from syncd.mapping.policy import Policy
from syncd.mapping.refusal import Undecidable
from syncd.mapping.texts import clean, fingerprint, folded, shorten

PLACEHOLDERS = frozenset({"", "-", "--", ".", "n/a", "na", "none", "test", "teste", "x", "xx", "xxx"})

# Companies, public bodies, funds and the like; 1, 2, 3 and 45 are people.
COMPANY_PREFIXES = ("5", "6", "70", "71", "72", "74", "75", "77", "79", "90", "91", "98", "99")


def customer_of(order: Order, policy: Policy, gross: Decimal, accepted: frozenset[str]) -> Customer:
    """The customer for a document of this gross amount."""
    buyer, limits = order.buyer, policy.capabilities.limits
    billing = buyer.billing
    country = billing.country or (buyer.shipping.country if buyer.shipping else "") or "PT"
    taxed = any(tax.amount for line in order.lines for tax in line.taxes)
    number = _number(buyer.tax_id, country, policy, accepted, taxed=taxed)
    company = clean(billing.company)
    person = clean(billing.name) or clean(buyer.name)
    name = company if number and company else person or company
    if name.lower() in PLACEHOLDERS:
        name = ""
    if not number and country == "PT" and (gross < policy.name_threshold or not (name and clean(billing.street))):
        if gross >= policy.name_threshold and "customer_incomplete" not in accepted:
            raise Undecidable(
                "customer_incomplete",
                f"a document of {gross} needs the buyer's name and address (from {policy.name_threshold} on)",
                fix="complete the billing address in the shop, or release the order to issue to the final consumer",
            )
        return Customer(
            kind=CustomerKind.ANONYMOUS,
            code="",
            name=FINAL_CONSUMER_NAME,
            tax_id=FINAL_CONSUMER_NIF,
            country="PT",
            email=clean(buyer.email),
        )
    if number and not name:
        raise Undecidable(
            "customer_incomplete",
            f"the buyer gave the tax number {number} but no name",
            fix="complete the billing address in the shop",
        )
    kind = CustomerKind.COMPANY if number and _is_company(number, company) else CustomerKind.CONSUMER
    texts = {
        "name": (name, limits.name),
        "street": (clean(billing.street), limits.street),
        "postcode": (_postcode(billing.postcode, country), limits.postcode),
        "city": (clean(billing.city), limits.city),
    }
    fitting = {field: shorten(text, limit) for field, (text, limit) in texts.items()}
    return Customer(
        kind=kind,
        code=_code(number, country, name, buyer.email, billing),
        name=fitting["name"] or FINAL_CONSUMER_NAME,
        tax_id=number or FINAL_CONSUMER_NIF,
        country=country,
        street=fitting["street"],
        postcode=fitting["postcode"],
        city=fitting["city"],
        email=clean(buyer.email),
        cut=tuple(
            f"{field} cut at {limit} characters, in full: {text}"
            for field, (text, limit) in texts.items()
            if len(text) > limit
        ),
    )


def taxable_person(order: Order, policy: Policy, accepted: frozenset[str]) -> bool:
    """Whether the buyer gave a company's tax number: services are taxed at such a customer's place."""
    buyer = order.buyer
    country = buyer.billing.country or (buyer.shipping.country if buyer.shipping else "") or "PT"
    taxed = any(tax.amount for line in order.lines for tax in line.taxes)
    number = _number(buyer.tax_id, country, policy, accepted, taxed=taxed)
    return bool(number) and _is_company(number, clean(buyer.billing.company))


def vat_number(raw: str, country: str) -> str:
    """A tax number in its printed form (foreign ones with their prefix), "" if its shape or check digit is wrong."""
    return _valid_number(_compact(raw), country)


def valid_nif(number: str) -> bool:
    """Whether nine digits carry the right check digit."""
    return len(number) == 9 and pt_nif.is_valid(number)


@lru_cache(maxsize=4096)
def _compact(raw: str) -> str:
    return "".join(c for c in raw.upper() if c.isalnum())


def _number(raw: str, country: str, policy: Policy, accepted: frozenset[str], *, taxed: bool) -> str:
    """The tax number for the document, '' for none. A mistyped one never silently becomes the final consumer."""
    compact = _compact(raw)
    if not compact or compact.removeprefix("PT") == FINAL_CONSUMER_NIF or set(compact) <= {"0"}:
        return ""
    if number := _valid_number(compact, country):
        return number
    if not policy.hold_invalid_nif or "invalid_nif" in accepted:
        return ""
    if country != "PT" and taxed:
        return ""  # abroad a number matters only for an exemption, and VAT was charged: a consumer as any other
    raise Undecidable(
        "invalid_nif",
        f"the buyer's tax number {raw!r} is not valid ({country})",
        fix="correct it in the shop, or release the order to issue to the final consumer",
    )


def _valid_number(compact: str, country: str) -> str:
    """The number in its printed form, '' if its check digit or shape is wrong; foreign ones carry their prefix."""
    digits = compact.removeprefix("PT")
    if digits.isdigit() and (country == "PT" or compact.startswith("PT")):
        return digits if valid_nif(digits) else ""
    if compact[:2].isalpha() and tables.vat_number_pattern("GR" if compact[:2] == "EL" else compact[:2]):
        return compact if eu_vat.is_valid(compact) else ""
    if not tables.is_member_state(country):
        return compact[:15]  # nobody here can check it, so it stands as given
    prefixed = tables.vat_prefix(country) + compact
    if eu_vat.is_valid(prefixed):
        return prefixed
    return digits if valid_nif(digits) else ""


def _is_company(number: str, company: str) -> bool:
    return bool(company) or not number.isdigit() or number.startswith(COMPANY_PREFIXES)


def _code(number: str, country: str, name: str, email: str, billing: Address) -> str:
    """By tax number; without one by e-mail and name, since the service has nothing else to know a buyer by.

    However they are written: letters, accents and blanks make nobody another person. A document shows the name as it
    was first written.
    """
    if number:
        return number if not number.isdigit() else ("PT" if valid_nif(number) else country) + number
    known_by = folded(email)
    return "C-" + fingerprint(known_by, folded(name), country, "" if known_by else folded(billing.street))


def _postcode(raw: str, country: str) -> str:
    """Portuguese codes as NNNN-NNN or NNNN, which is all that services take; others as typed."""
    text = clean(raw)
    if country != "PT":
        return text
    digits = "".join(c for c in text if c.isdigit())
    if len(digits) == 7:
        return f"{digits[:4]}-{digits[4:]}"
    return digits if len(digits) == 4 else ""
