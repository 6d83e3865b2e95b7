"""Counters that matter, in one place; `/metrics` prints them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """One registry per process, handed down, so that tests never share figures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter(
            "syncd_events_total",
            "Events by shop, way in and result.",
            ["shop", "source", "result"],
            registry=self.registry,
        )
        self.documents = Counter(
            "syncd_documents_total",
            "Documents by account, kind and result.",
            ["account", "kind", "result"],
            registry=self.registry,
        )
        self.requests = Counter(
            "syncd_service_requests_total",
            "Requests to invoicing services by purpose and status.",
            ["account", "purpose", "status"],
            registry=self.registry,
        )
        self.orders = Gauge("syncd_orders", "Orders by state.", ["state"], registry=self.registry)
        self.queue_age = Gauge(
            "syncd_queue_age_seconds", "Age of the oldest document that is due and not issued.", registry=self.registry
        )
        self.alerts = Gauge("syncd_alerts", "Open alerts by code.", ["code"], registry=self.registry)
        self.deadline = Gauge(
            "syncd_deadline_seconds",
            "Until the next last lawful day of a due document of an account ends; negative once it has passed.",
            ["account"],
            registry=self.registry,
        )
        self.throttle = Gauge(
            "syncd_budget_used_ratio",
            "Share of an account's request budget in use.",
            ["account"],
            registry=self.registry,
        )
        self.paused = Gauge(
            "syncd_account_paused", "1 while an account is paused.", ["account"], registry=self.registry
        )
        self.service_up = Gauge(
            "syncd_service_up",
            "0 while requests to an account's service get no usable answer.",
            ["account"],
            registry=self.registry,
        )
        self.issuing = Gauge(
            "syncd_account_issuing", "1 in the process that issues for an account.", ["account"], registry=self.registry
        )
        self.polls = Counter(
            "syncd_polls_total", "Polls of a shop by result.", ["shop", "result"], registry=self.registry
        )
        self.inquiries = Counter(
            "syncd_inquiries_total",
            "Questions to public registers by result.",
            ["register", "result"],
            registry=self.registry,
        )
        self.inquiry_age = Gauge(
            "syncd_inquiry_age_seconds",
            "Since when a public register has owed an answer that orders wait for.",
            ["register"],
            registry=self.registry,
        )
        self.issue_seconds = Histogram(
            "syncd_due_to_issued_seconds",
            "From becoming due to issued, live orders.",
            buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 86400),
            registry=self.registry,
        )
