"""Who bought, and the tax number, for which Shopify has no field of its own outside the checkout's localised ones."""

from collections.abc import Iterable, Sequence

from syncd.domain.order import Address, Buyer
from syncd.shops.shopify.fields import Record, record, records, text
from syncd.shops.taxids import find_tax_id

# The checkout's own fields; the names that themes and apps write into the cart are the usual ones of every platform.
TAX_ID_KEYS = ("TAX_CREDENTIAL_PT", "TAX_CREDENTIAL_ES", "TAX_CREDENTIAL_IT")


def read_buyer(order: Record, *, tax_id_keys: Sequence[str]) -> Buyer:
    customer = record(order.get("customer"), "customer")
    billing = read_address(record(order.get("billing_address"), "billing_address"))
    shipping = record(order.get("shipping_address"), "shipping_address")
    tax_id, source = find_tax_id(_pairs(order), texts=_texts(order), keys=(*tax_id_keys, *TAX_ID_KEYS))
    return Buyer(
        name=billing.name or _name(customer) or read_address(shipping).name,
        email=_first(order.get("email"), order.get("contact_email"), customer.get("email")),
        phone=_first(
            order.get("phone"),
            record(order.get("billing_address"), "billing_address").get("phone"),
            customer.get("phone"),
        ),
        tax_id=tax_id,
        tax_id_source=source,
        tax_exempt=_exempt(order, customer),
        billing=billing,
        shipping=read_address(shipping) if shipping else None,
    )


def read_address(address: Record) -> Address:
    return Address(
        name=text(address.get("name")) or _name(address),
        company=text(address.get("company")),
        street=", ".join(part for part in (text(address.get("address1")), text(address.get("address2"))) if part),
        postcode=text(address.get("zip")),
        city=text(address.get("city")),
        region=text(address.get("province_code")) or text(address.get("province")),
        country=text(address.get("country_code")).upper(),
    )


def _name(person: Record) -> str:
    return " ".join(part for part in (text(person.get("first_name")), text(person.get("last_name"))) if part)


def _first(*values: object) -> str:
    return next((found for value in values if (found := text(value))), "")


def _exempt(order: Record, customer: Record) -> bool:
    """The order's own flag is of its day; the customer's may have changed since."""
    flag = order.get("tax_exempt")
    return flag is True if flag is not None else customer.get("tax_exempt") is True


def _pairs(order: Record) -> Iterable[tuple[str, str]]:
    """Named values, the most trusted first."""
    for field in records(order.get("localized_fields"), "localized_fields"):
        yield text(field.get("key")), text(field.get("value"))
    for attribute in records(order.get("note_attributes"), "note_attributes"):
        yield text(attribute.get("name")), text(attribute.get("value"))
    # B2B: the buying company's registration, told by GraphQL only.
    yield "purchasing_entity/tax_id", text(order.get("tax_registration_id"))


def _texts(order: Record) -> dict[str, str]:
    billing = record(order.get("billing_address"), "billing_address")
    customer = record(order.get("customer"), "customer")
    return {
        "company": text(billing.get("company")),
        "address2": text(billing.get("address2")),
        "note": text(order.get("note")),
        "customer.note": text(customer.get("note")),
        "phone": text(order.get("phone")) or text(billing.get("phone")),
    }
