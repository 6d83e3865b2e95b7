"""The merchant's own rules: which orders are left alone, wait for a person, or become another document."""

from syncd.domain.order import Order
from syncd.mapping.policy import Policy, Rule
from syncd.mapping.taxes import destination


def rule_for(order: Order, policy: Policy) -> Rule | None:
    """The first rule whose conditions all hold."""
    return next((rule for rule in policy.rules if _fits(rule, order)), None)


def describe(rule: Rule) -> str:
    """The rule in words: the merchant's reason, else its conditions."""
    if rule.reason:
        return rule.reason
    said = [
        f"{name} {', '.join(sorted(values))}"
        for name, values in (("tag", rule.tags), ("country", rule.countries), ("payment", rule.gateways))
        if values
    ]
    said += [f"total from {rule.at_least}"] if rule.at_least is not None else []
    said += [f"total below {rule.below}"] if rule.below is not None else []
    return "; ".join(said) or "every order"


def _fits(rule: Rule, order: Order) -> bool:
    return (
        (not rule.tags or not rule.tags.isdisjoint(order.tags))
        and (not rule.countries or (destination(order).country or "PT") in rule.countries)
        and (not rule.gateways or any(payment.gateway in rule.gateways for payment in order.payments))
        and (rule.at_least is None or order.total >= rule.at_least)
        and (rule.below is None or order.total < rule.below)
    )
