"""The operator's pages over real HTTP, from the real application, on both engines."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path

import aiohttp
import pytest
import sqlalchemy as sa
from multidict import CIMultiDictProxy

from syncd.app import Daemon
from syncd.domain.alert import Condition, changes
from syncd.domain.hold import Hold
from syncd.domain.states import OrderState
from syncd.settings import load
from syncd.store import accounts, alerts, attempts
from syncd.store.engine import Database
from syncd.store.tables import shop_order
from syncd.web.dashboard import PAGE_SIZE
from syncd.web.ledger import one_order
from syncd.web.sessions import FREE_TRIES
from tests.integration.test_listing import order
from tests.integration.test_reconciler import Office, a_state

PASSWORD = "correct horse battery"
TOKEN = "token-of-the-service-account"
SETTINGS = f"""
[database]
url = "{{url}}"
[http]
port = 0
{{dashboard}}
[accounts.main]
provider = "billpt"
base_url = "http://127.0.0.1:9"
token = "{TOKEN}"
[shops.loja]
platform = "generic"
account = "main"
url = "https://loja.example"
webhook_secret = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ="
"""
WITH_PASSWORD = f'[dashboard]\npassword = "{PASSWORD}"'
HELD = a_state(1, buyer={"name": "Ana", "tax_id": "123456780"})  # a wrong check digit


@dataclass(slots=True)
class Answer:
    status: int
    text: str
    headers: CIMultiDictProxy[str]


@dataclass(slots=True)
class Browser:
    """Keeps cookies, follows no redirect, and reads tokens out of forms."""

    http: aiohttp.ClientSession
    address: str
    _token: str = field(default="")

    async def get(self, path: str, **headers: str) -> Answer:
        async with self.http.get(self.address + path, headers=headers, allow_redirects=False) as answer:
            return await self._read(answer)

    async def post(self, path: str, **form: str) -> Answer:
        """As the last page's form would."""
        return await self.post_raw(path, {"token": self._token, **form})

    async def post_raw(self, path: str, form: dict[str, str], **headers: str) -> Answer:
        url = self.address + path
        async with self.http.post(url, data=form, headers=headers, allow_redirects=False) as answer:
            return await self._read(answer)

    async def login(self, password: str = PASSWORD, **form: str) -> Answer:
        await self.get("/login")
        return await self.post("/login", password=password, **form)

    async def decide(self, action: str, reason: str = "because", **form: str) -> Answer:
        """With the page open that shows order 1001."""
        page = await self.get("/order?shop=loja&id=1001")
        seen = re.search(r'name="seen" value="(\d+)"', page.text)
        assert seen is not None
        given = {"shop": "loja", "id": "1001", "seen": seen[1], "action": action, "reason": reason}
        return await self.post("/order", **{**given, **form})

    async def _read(self, answer: aiohttp.ClientResponse) -> Answer:
        text = await answer.text()
        if found := re.search(r'name="token" value="(\w+)"', text):
            self._token = found[1]
        return Answer(answer.status, text, answer.headers)


@asynccontextmanager
async def serving(
    url: str, folder: Path, *, roles: tuple[str, ...] = ("web",), dashboard: str = WITH_PASSWORD
) -> AsyncIterator[Browser]:
    file = folder / "syncd.toml"
    file.write_text(SETTINGS.format(url=url, dashboard=dashboard), "utf-8")
    daemon, stop = Daemon(load(file, {}), roles), asyncio.Event()
    running = asyncio.create_task(daemon.run(stop))
    await asyncio.wait({running, started := asyncio.create_task(daemon.started.wait())}, return_when="FIRST_COMPLETED")
    started.cancel()
    try:
        # An address is no site, so a cookie for it needs leave.
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            yield Browser(http, f"http://127.0.0.1:{daemon.port}")
    finally:
        stop.set()
        await running


@pytest.fixture
async def visitor(database_url: str, tmp_path: Path) -> AsyncIterator[Browser]:
    async with serving(database_url, tmp_path) as browser:
        yield browser


@pytest.fixture
async def operator(visitor: Browser) -> Browser:
    assert (await visitor.login()).status == 303
    return visitor


@pytest.fixture
async def office(database: Database) -> Office:
    """One order, held for its buyer's tax number."""
    made = Office(database)
    await made.tell(HELD)
    await made.work()
    assert await made.state() is OrderState.HELD
    return made


# -- the door --------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/orders", "/orders?state=held", "/order?shop=loja&id=1001"])
async def test_a_stranger_sees_the_login_and_comes_back_to_what_he_wanted(visitor: Browser, path: str) -> None:
    sent = await visitor.get(path)
    assert (sent.status, sent.text) == (303, "")
    shown = await visitor.get(sent.headers["Location"])
    assert shown.status == 200
    target = re.search(r'name="next" value="([^"]+)"', shown.text)
    assert target is not None
    logged_in = await visitor.post("/login", password=PASSWORD, next=unescape(target[1]))
    assert (logged_in.status, logged_in.headers["Location"]) == (303, path)


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "/logout", "/orders\r\nX: y"]
)
async def test_a_login_leads_nowhere_else(visitor: Browser, elsewhere: str) -> None:
    assert (await visitor.login(next=elsewhere)).headers["Location"] == "/"


@pytest.mark.parametrize(("proto", "secure"), [("https", True), ("https, http", True), ("http", False), ("", False)])
async def test_the_cookie_is_out_of_reach_and_bound_to_tls_where_there_is_tls(
    visitor: Browser, proto: str, secure: bool
) -> None:
    page = await visitor.get("/login", **({"X-Forwarded-Proto": proto} if proto else {}))
    (cookie,) = page.headers.getall("Set-Cookie")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert ("Secure" in cookie.split("; ")) is secure
    assert "Max-Age" in cookie


async def test_a_wrong_password_opens_nothing_and_many_of_them_make_even_the_right_one_wait(visitor: Browser) -> None:
    for _ in range(FREE_TRIES):
        refused = await visitor.login("wrong horse battery")
        assert (refused.status, "That is not the password" in refused.text) == (401, True)
        assert (await visitor.get("/")).status == 303
    late = await visitor.login()
    assert late.status == 429
    assert int(late.headers["Retry-After"]) > 0
    assert (await visitor.get("/")).status == 303


async def test_a_logout_ends_what_the_browser_has(operator: Browser) -> None:
    assert (await operator.get("/")).status == 200
    assert (await operator.post("/logout")).status == 303
    assert (await operator.get("/")).status == 303


async def test_without_a_password_there_are_no_pages_and_they_say_how(database_url: str, tmp_path: Path) -> None:
    async with serving(database_url, tmp_path, dashboard="") as browser:
        for path in ("/", "/orders", "/login"):
            page = await browser.get(path)
            assert page.status == 404
            assert "SYNCD_DASHBOARD__PASSWORD" in page.text
        assert (await browser.post_raw("/order", {"action": "skip"})).status == 404
        assert (await browser.get("/healthz")).status == 200


async def test_only_the_role_web_has_pages(database_url: str, tmp_path: Path) -> None:
    async with serving(database_url, tmp_path, roles=("receiver",)) as browser:
        assert (await browser.get("/")).status == 404
        assert (await browser.get("/login")).status == 404


# -- forms of others ----------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "", "0" * 64])
@pytest.mark.parametrize("path", ["/order", "/logout"])
async def test_a_form_that_was_not_from_here_does_nothing(
    office: Office, operator: Browser, path: str, token: str | None
) -> None:
    form = {"shop": "loja", "id": "1001", "seen": "1", "action": "skip", "reason": "because"}
    refused = await operator.post_raw(path, form if token is None else {**form, "token": token})
    assert refused.status == 403
    await office.work()
    assert await office.state() is OrderState.HELD
    assert (await operator.get("/")).status == 200


async def test_a_login_form_of_another_visit_is_refused(visitor: Browser) -> None:
    await visitor.get("/login")
    visitor.http.cookie_jar.clear()
    assert (await visitor.post("/login", password=PASSWORD)).status == 303  # to the login: there is no session
    await visitor.get("/login")
    assert (await visitor.post_raw("/login", {"password": PASSWORD, "token": "0" * 64})).status == 403
    assert (await visitor.get("/")).status == 303


async def test_a_visitor_may_not_decide(office: Office, visitor: Browser) -> None:
    await visitor.get("/login")
    form = {"shop": "loja", "id": "1001", "seen": "1", "action": "skip", "reason": "because"}
    sent = await visitor.post("/order", **form)
    assert (sent.status, sent.headers["Location"]) == (303, "/login")
    await office.work()
    assert await office.state() is OrderState.HELD


async def test_only_small_plain_forms_are_read(operator: Browser) -> None:
    assert (await operator.post_raw("/order", {}, **{"Content-Type": "application/json"})).status == 415
    assert (await operator.post("/order", reason="x" * 70_000)).status == 413


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


# -- deciding ----------------------------------------------------------------------


async def decisions(database: Database) -> list[tuple[str, str, object]]:
    found = await one_order(database, "loja", "1001")
    assert found is not None
    made = [entry for entry in found["timeline"] if entry["action"] in {"release", "retry", "skip"}]
    return [(entry["actor"], entry["action"], entry["detail"]["reason"]) for entry in made]


@pytest.mark.parametrize(
    ("action", "becomes"),
    [("release", OrderState.PLANNED), ("retry", OrderState.HELD), ("skip", OrderState.SKIPPED)],
)
async def test_a_decision_takes_effect_and_stands_in_the_timeline(
    office: Office, operator: Browser, action: str, becomes: OrderState
) -> None:
    done = await operator.decide(action, "asked by <b>phone</b>")
    assert (done.status, done.headers["Location"]) == (303, "/order?shop=loja&id=1001")
    async with office.database.read() as connection:
        due = (await connection.execute(sa.select(shop_order.c.plan_at))).scalar_one()
    assert due is not None
    await office.work()
    assert await office.state() is becomes
    assert await decisions(office.database) == [("dashboard", action, "asked by <b>phone</b>")]
    assert "asked by &lt;b&gt;phone" in (await operator.get("/order?shop=loja&id=1001")).text


async def test_a_running_daemon_acts_on_a_decision(office: Office, database_url: str, tmp_path: Path) -> None:
    async with serving(database_url, tmp_path, roles=("web", "dispatcher")) as browser:
        await browser.login()
        assert (await browser.decide("skip")).status == 303
        while await office.state() is not OrderState.SKIPPED:
            await browser.get("/order?shop=loja&id=1001")


async def test_an_order_that_changed_since_it_was_shown_is_not_decided_on(office: Office, operator: Browser) -> None:
    page = await operator.get("/order?shop=loja&id=1001")
    seen = re.search(r'name="seen" value="(\d+)"', page.text)
    assert seen is not None
    await office.tell(a_state(2, total="99.99"))  # held for another reason now
    await office.work()
    stale = await operator.decide("release", seen=seen[1])
    assert (stale.status, "while you looked at it" in stale.text) == (409, True)
    assert await decisions(office.database) == []
    assert (await operator.decide("skip")).status == 303
    assert (await operator.decide("release", seen=seen[1])).status == 409


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"reason": "  "}, 400),
        ({"reason": "x" * 501}, 400),
        ({"action": "destroy"}, 400),
        ({"seen": "x"}, 400),
        ({"seen": "9" * 5_000}, 400),
        ({"seen": ""}, 400),
        ({"id": "nobody"}, 409),
        ({"shop": "\0"}, 409),
    ],
)
async def test_a_decision_without_reason_or_sense_is_refused(
    office: Office, operator: Browser, form: dict[str, str], status: int
) -> None:
    assert (await operator.decide(**{"action": "skip", **form})).status == status
    assert await decisions(office.database) == []


def test_a_start_does_not_load_what_only_pages_need() -> None:
    code = "import sys, syncd.app; print([name for name in ('jinja2', 'syncd.web.pages') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
