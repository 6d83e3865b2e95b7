"""Who bought, and where plug-ins put the tax number."""

from collections.abc import Sequence
from decimal import Decimal

from syncd.domain.order import Address, Buyer
from syncd.shops.taxids import find_tax_id
from syncd.shops.woocommerce.fields import Record, name, plain, record, records, text


def read_buyer(order: Record, *, tax_id_keys: Sequence[str]) -> Buyer:
    """The buyer of the order. Raises PayloadError."""
    billing, shipping = _address_of(order, "billing"), _address_of(order, "shipping")
    bill_to, ship_to = _address(billing), _address(shipping)
    pairs = _pairs(order)
    tax_id, source = find_tax_id(pairs, texts=_texts(order, billing, shipping), keys=tax_id_keys)
    return Buyer(
        name=bill_to.name or ship_to.name,
        email=text(billing, "email"),
        phone=text(billing, "phone") or text(shipping, "phone"),
        tax_id=plain(tax_id),
        tax_id_source=plain(source),
        tax_exempt=("is_vat_exempt", "yes") in pairs,
        billing=bill_to,
        # Without anything to ship every field is there and blank.
        shipping=None if ship_to == Address() else ship_to,
    )


def _address_of(order: Record, key: str) -> Record:
    value = order.get(key)
    return {} if value is None or value == [] else record(value, key)  # PHP writes an empty object as []


def _address(source: Record) -> Address:
    return Address(
        name=_joined(" ", name(source, "first_name"), name(source, "last_name")),
        company=name(source, "company"),
        street=_joined(", ", name(source, "address_1"), name(source, "address_2")),
        postcode=name(source, "postcode"),
        city=name(source, "city"),
        region=name(source, "state"),
        country=name(source, "country").upper(),
    )


def _joined(separator: str, *parts: str) -> str:
    return separator.join(part for part in parts if part)


def _pairs(order: Record) -> list[tuple[str, str]]:
    """The metadata that are texts or numbers; plug-ins store anything."""
    return [
        (key, str(value))
        for entry in records(order, "meta_data")
        if isinstance(key := entry.get("key"), str)
        and isinstance(value := entry.get("value"), str | int | Decimal)
        and not isinstance(value, bool)
    ]


def _texts(order: Record, billing: Record, shipping: Record) -> dict[str, str]:
    return {
        "billing.company": text(billing, "company"),
        "billing.address_2": text(billing, "address_2"),
        "customer_note": text(order, "customer_note"),
        # Named so that a bare number is not taken from them, nor theirs from elsewhere.
        "billing.phone": text(billing, "phone"),
        "shipping.phone": text(shipping, "phone"),
    }
