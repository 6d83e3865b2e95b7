"""The operator's pages over real HTTP: what they show and what is found on them."""

import re
from datetime import UTC, datetime, timedelta
from html import escape, unescape
from html.parser import HTMLParser

import pytest

from syncd.domain.alert import Condition, changes
from syncd.domain.hold import Hold
from syncd.domain.states import OrderState
from syncd.store import accounts, alerts, attempts
from syncd.store.engine import Database
from syncd.web.dashboard import PAGE_SIZE
from tests.integration.dashboard.browser import PASSWORD, TOKEN, Browser
from tests.integration.test_listing import order
from tests.integration.test_reconciler import Office, a_state

# -- what is shown -----------------------------------------------------------------


async def test_the_overview_tells_what_stands_how_and_what_waits_for_a_person(
    office: Office, operator: Browser
) -> None:
    page = (await operator.get("/")).text
    assert re.search(r'state=held"><b>1</b>', page)
    assert "<code>invalid_nif</code>" in page
    assert "0 of 100" in page
    assert "2026" in page


async def test_a_paused_account_and_an_alert_say_why_and_what_to_do(database: Database, operator: Browser) -> None:
    now = datetime.now(UTC)
    condition = Condition(code="service_down", subject="main", message="main does not answer", fix="wait for <it>")
    async with database.write() as connection:
        hold = Hold(code="token", message="the token is refused", fix="make a new one")
        await accounts.pause(connection, "main", hold, now=now)
        await alerts.apply(connection, changes([], [condition], now=now, calm=timedelta()), now=now)
        await attempts.begin(connection, account="main", purpose="issue", label="POST /x", sent_at=now)
    page = (await operator.get("/")).text
    for said in ("paused", hold.message, hold.fix, condition.message, "wait for &lt;it&gt;", "1 of 100"):
        assert said in page


async def test_an_order_shows_its_hold_its_documents_and_its_timeline(office: Office, operator: Browser) -> None:
    page = (await operator.get("/order?shop=loja&id=1001")).text
    assert "invalid_nif" in page
    assert "What to do:" in page
    assert "<b>planned</b>" in page
    await office.tell(a_state(2, lines=[{"name": "Caneca", "quantity": 2, "gross": "24.60", "tax_rate": 23}]))
    await office.work()
    await office.issue_all()
    page = (await operator.get("/order?shop=loja&id=1001")).text
    assert "24.60&nbsp;€" in page
    assert "Caneca" in page
    assert (await operator.get("/order?shop=loja&id=nobody")).status == 404


HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'


async def test_whatever_a_buyer_writes_is_text(database: Database, operator: Browser) -> None:
    office = Office(database)
    line = {"name": HOSTILE, "sku": HOSTILE, "quantity": 2, "gross": "24.60", "tax_rate": 23}
    await office.tell(
        a_state(1, number=HOSTILE, lines=[line], buyer={"name": HOSTILE, "billing": {"country": "PT"}}),
        a_state(1, id=HOSTILE, number="2", buyer={"name": "Ana", "tax_id": HOSTILE}),
    )
    await office.work()
    pages = [await operator.get(path) for path in ("/", "/orders", "/order?shop=loja&id=1001")]
    link = re.search(r'href="(/order\?shop=loja&amp;id=%3C[^"]+)"', pages[1].text)
    assert link is not None
    pages += [await operator.get(unescape(link[1])), await operator.get("/orders?q=%3Cscript%3E&shop=%22%3E%3Cb%3E")]
    assert [page.status for page in pages] == [200] * 5
    for page in pages:
        assert "<script" not in page.text
        assert "<img" not in page.text
        assert 'value=""><b>' not in page.text
    assert escape(HOSTILE, quote=False)[:30] in pages[2].text.replace("&#34;", '"')


async def test_no_page_shows_a_secret(office: Office, operator: Browser) -> None:
    secrets = (PASSWORD, TOKEN, "c2VjcmV0LXNlY3JldC1zZWNyZXQ=")
    for path in ("/", "/orders", "/order?shop=loja&id=1001", "/readyz", "/metrics"):
        page = await operator.get(path)
        assert not [secret for secret in secrets if secret in page.text]


@pytest.mark.parametrize(
    "path", ["/", "/orders", "/order?shop=loja&id=1001", "/order?shop=x&id=y", "/login", "/style.css"]
)
async def test_no_page_can_be_framed_sniffed_kept_or_made_to_run_anything(
    office: Office, operator: Browser, path: str
) -> None:
    page = await operator.get(path)
    policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["style-src"] == policy["form-action"] == "'self'"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cache-Control"] == ("max-age=3600" if path == "/style.css" else "no-store")
    assert not re.search(r"<script| on\w+=| style=|https?://|//[a-z]", page.text)


class Outline(HTMLParser):
    """What a screen reader goes by: headings, the labels of fields, the headers of tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.fields: list[dict[str, str | None]] = []
        self.labelled: set[str | None] = set()
        self.tables = self.columns = 0
        self._label = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in {"h1", "h2", "h3"}:
            self.headings.append(tag)
        elif tag == "label":
            self._label = True
            self.labelled.add(given.get("for"))
        elif tag in {"input", "select", "textarea"} and given.get("type") != "hidden":
            self.fields.append({**given, "inside": "yes" if self._label else None})
        elif tag == "table":
            self.tables += 1
        elif tag == "th":
            self.columns += given.get("scope") == "col"

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._label = False

    @property
    def nameless(self) -> list[dict[str, str | None]]:
        return [
            each
            for each in self.fields
            if not (each["inside"] or each.get("aria-label") or each.get("id") in self.labelled - {None})
        ]


@pytest.mark.parametrize("path", ["/", "/orders", "/order?shop=loja&id=1001"])
async def test_a_page_can_be_read_without_seeing_it(office: Office, operator: Browser, path: str) -> None:
    page = Outline((await operator.get(path)).text)
    assert page.headings.count("h1") == 1
    assert page.headings[0] == "h1"
    assert page.nameless == []
    assert (page.columns > 0) is (page.tables > 0)


# -- finding -----------------------------------------------------------------------


async def test_a_list_is_shown_page_by_page_and_each_order_once(database: Database, operator: Browser) -> None:
    total = 2 * PAGE_SIZE + 7
    for number in range(total):
        await order(database, "loja", str(number), OrderState.SKIPPED, number=f"n{number}")
    await order(database, "montra", "x", OrderState.ISSUED, number="other")
    shown: list[str] = []
    path: str | None = "/orders?state=skipped&shop=loja"
    pages = 0
    while path is not None:
        page = (await operator.get(path)).text
        shown += re.findall(r"<bdi>(n\d+)</bdi>", page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        path, pages = (unescape(older[1]) if older else None), pages + 1
    assert shown == [f"n{number}" for number in reversed(range(total))]
    assert pages == 3


async def test_an_order_is_found_by_its_number(database: Database, operator: Browser) -> None:
    await order(database, "loja", "5550001", number="#1001")
    await order(database, "loja", "5550002", number="#1002")
    page = (await operator.get("/orders?q=1001")).text
    assert "#1001" in page
    assert "#1002" not in page
    assert "There is none" in (await operator.get("/orders?q=100")).text


@pytest.mark.parametrize(
    "query",
    [
        "before=-1",
        "before=99999999999999999999",
        "before=x",
        "before=%D9%A1",
        "state=nonsense",
        "q=%00",
        "shop=%00",
        "q=%ED%A0%80",
    ],
)
async def test_a_query_that_makes_no_sense_is_no_error(office: Office, operator: Browser, query: str) -> None:
    assert (await operator.get(f"/orders?{query}")).status == 200
    assert (await operator.get(f"/order?id=1&{query.replace('q=', 'shop=')}")).status == 404
