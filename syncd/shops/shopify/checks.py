"""What `syncd check` says of a Shopify shop: address, secrets, token, scopes and webhook subscriptions."""

from collections.abc import Iterable

from syncd.domain.errors import ShopError
from syncd.domain.findings import Finding
from syncd.shops.port import ShopConfig
from syncd.shops.shopify import graphql
from syncd.shops.shopify.client import AdminApi, api_base
from syncd.shops.shopify.fields import Record, record, text

_TOPICS = ("ORDERS_CREATE", "ORDERS_PAID", "ORDERS_UPDATED", "ORDERS_CANCELLED", "REFUNDS_CREATE")


async def check_shop(config: ShopConfig, api: AdminApi) -> tuple[Finding, ...]:
    return (*_secrets(config), *await _asked(config, api))


def _secrets(config: ShopConfig) -> Iterable[Finding]:
    if any(secret.get_secret_value() for secret in config.webhook_secrets):
        yield Finding(subject=f"{config.name}: webhooks", message="a secret to verify signatures is set")
    else:
        yield Finding(
            subject=f"{config.name}: webhooks",
            message="no secret to verify signatures",
            fix="set webhook_secret to the app's client secret, or the key under Settings > Notifications > Webhooks",
        )


async def _asked(config: ShopConfig, api: AdminApi) -> tuple[Finding, ...]:
    subject = f"{config.name}: API"
    if not api.can_ask:
        return (
            Finding(
                subject=subject,
                message="no credentials: webhooks only; lost ones and checkout tax numbers stay unknown",
            ),
        )
    try:
        api_base(config.url)
        data = await api.query(graphql.CHECK, {"topics": list(_TOPICS)})
        scopes = _scopes(data)
        topics = {text(found.get("topic")) for found in graphql.nodes(data, "webhookSubscriptions")}
    except ShopError as error:
        return (Finding(subject=subject, message=str(error), fix=error.fix or "try again later"),)
    return (
        Finding(subject=subject, message="the token works"),
        *_about_scopes(config.name, scopes),
        *_about_topics(config, topics),
    )


def _scopes(data: Record) -> set[str]:
    installation = record(data.get("currentAppInstallation"), "currentAppInstallation")
    return {text(scope.get("handle")) for scope in graphql.nodes(installation, "accessScopes")}


def _about_scopes(shop: str, scopes: set[str]) -> Iterable[Finding]:
    subject = f"{shop}: scopes"
    if not scopes & {"read_orders", "write_orders"}:
        yield Finding(subject=subject, message="orders cannot be read", fix="grant the app the scope read_orders")
    elif "read_all_orders" in scopes:
        yield Finding(subject=subject, message="all orders can be read")
    else:
        yield Finding(subject=subject, message="orders of the last 60 days can be read (no scope read_all_orders)")


def _about_topics(config: ShopConfig, topics: set[str]) -> Iterable[Finding]:
    subject = f"{config.name}: subscriptions"
    if lacking := [topic for topic in _TOPICS if topic not in topics]:
        if config.extra.get("subscriptions") == "app":
            yield Finding(subject=subject, message="declared in the app's configuration, which the API does not show")
            return
        # Shopify deletes a subscription after eight failed deliveries.
        yield Finding(
            subject=subject,
            message=f"not subscribed: {', '.join(lacking)}",
            fix='create them for /webhooks/NAME, or set subscriptions = "app" if app or admin declares them',
        )
    else:
        yield Finding(subject=subject, message="all order topics are subscribed")
