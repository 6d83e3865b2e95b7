"""Who comes in to the operator's pages, and whose forms are heard."""

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from syncd.domain.states import OrderState
from syncd.web.sessions import FREE_TRIES
from tests.integration.dashboard.browser import PASSWORD, Browser, serving
from tests.integration.test_reconciler import Office

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


def test_a_start_does_not_load_what_only_pages_need() -> None:
    code = "import sys, syncd.app; print([name for name in ('jinja2', 'syncd.web.pages') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


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
