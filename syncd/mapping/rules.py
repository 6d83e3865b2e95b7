"""The merchant's own rules: which orders are left alone, wait for a person, or become another document."""

from dataclasses import replace

from syncd.domain.document import SALES
from syncd.domain.order import Order
from syncd.mapping.policy import Policy, Rule
from syncd.mapping.taxes import destination


def rule_for(order: Order, policy: Policy) -> tuple[Rule, str] | None:
    """The first rule whose conditions all hold, and what it is called: its place in the settings and its words."""
    found = ((rule, f"rule {number} ({_words(rule)})") for number, rule in enumerate(policy.rules, start=1))
    return next(((rule, name) for rule, name in found if _fits(rule, order)), None)


def under(rule: Rule, policy: Policy) -> Policy:
    """The policy for the orders that a rule fits."""
    if not (rule.series or rule.document):
        return policy
    series = {**policy.series, **dict.fromkeys(SALES, rule.series)} if rule.series else policy.series
    return replace(policy, paid_document=rule.document or policy.paid_document, series=series)


def _words(rule: Rule) -> str:
    """The merchant's reason, else the rule's conditions."""
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
