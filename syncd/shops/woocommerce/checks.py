"""What `syncd check` says of a WooCommerce shop: address, secret, key, permalinks, and the webhooks as the shop has them."""

from collections.abc import Iterable, Sequence

from syncd.domain.errors import ShopError
from syncd.domain.findings import Finding
from syncd.shops.port import ShopConfig
from syncd.shops.woocommerce.client import RestApi
from syncd.shops.woocommerce.fields import Record, text

NEEDED = ("order.created", "order.updated", "order.deleted", "order.restored")
WHERE = "WooCommerce, Settings, Advanced, Webhooks"


async def check_shop(config: ShopConfig, api: RestApi) -> tuple[Finding, ...]:
    return (_secret(config), *await _asked(config, api))


def _secret(config: ShopConfig) -> Finding:
    subject = f"{config.name}: signatures"
    secrets = [secret.get_secret_value() for secret in config.webhook_secrets]
    if secrets and all(secret.strip() for secret in secrets):
        return Finding(subject=subject, message="a secret to verify webhooks is set")
    return Finding(
        subject=subject,
        message="the webhook secret is empty: anybody could sign, so nothing is taken in",
        fix=f"set webhook_secret to the secret of the webhooks in {WHERE}",
    )


async def _asked(config: ShopConfig, api: RestApi) -> tuple[Finding, ...]:
    subject = f"{config.name}: API"
    if not api.can_ask:
        # A valid choice, but one to know of: WooCommerce never repeats a delivery that failed.
        message = "no key: webhooks only; lost ones are never made up for, and refunds come without their lines"
        return (Finding(subject=subject, message=message),)
    try:
        await api.listing("orders", {"per_page": "1"})
    except ShopError as error:
        return (Finding(subject=subject, message=str(error), fix=error.fix or "try again later"),)
    works = Finding(subject=subject, message="the key works and orders can be read")
    try:
        listing = await api.listing("webhooks", {"per_page": "100"})
    except ShopError as error:
        unseen = Finding(
            subject=f"{config.name}: webhooks",
            message=f"cannot be looked at: {error}",
            fix=error.fix or "try again later",
        )
        return works, unseen
    return works, *_webhooks(config, [found for found, _ in listing.items])


def _webhooks(config: ShopConfig, found: Sequence[Record]) -> Iterable[Finding]:
    ours = [webhook for webhook in found if _is_ours(webhook, config.name)]
    subject = f"{config.name}: webhooks"
    if not ours:
        yield Finding(
            subject=subject,
            message="none delivers to us",
            fix=f"create {', '.join(NEEDED)} in {WHERE} with the delivery URL https://.../webhooks/{config.name}",
        )
        return
    active = {text(webhook, "topic") for webhook in ours if webhook.get("status") == "active"}
    for topic in NEEDED:
        yield _topic(f"{subject}: {topic}", topic, active, ours)
    # Newer versions do not show the API version; where it is shown it must be ours.
    if old := [webhook for webhook in ours if not _speaks_v3(webhook)]:
        ids = ", ".join(text(webhook, "id") for webhook in old)
        yield Finding(
            subject=f"{subject}: version",
            message=f"deliver an old API version: {ids}",
            fix=f"set their API version to WP REST API Integration v3 in {WHERE}",
        )


def _topic(subject: str, topic: str, active: set[str], ours: Sequence[Record]) -> Finding:
    if topic in active:
        return Finding(subject=subject, message="active")
    states = sorted({text(webhook, "status") for webhook in ours if text(webhook, "topic") == topic})
    if not states:
        return Finding(subject=subject, message="missing", fix=f"create it in {WHERE}")
    return Finding(
        subject=subject,
        message=f"{', '.join(states)}: WooCommerce disables a webhook after several failures in a row",
        fix=f"set it to active in {WHERE}; the poller makes up for what was lost",
    )


def _is_ours(webhook: Record, name: str) -> bool:
    return text(webhook, "delivery_url").partition("?")[0].rstrip("/").endswith(f"/webhooks/{name}")


def _speaks_v3(webhook: Record) -> bool:
    return text(webhook, "api_version") in {"", "3", "v3", "wp_api_v3"}
