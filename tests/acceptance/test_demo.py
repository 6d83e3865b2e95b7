"""`syncd demo --serve`: what it prints is enough to look at what it made."""

import re
from pathlib import Path

import aiohttp

from tests.acceptance.processes import running_demo
from tests.integration.dashboard.browser import Browser


async def test_the_demo_prints_where_its_dashboard_is_and_what_opens_it(tmp_path: Path) -> None:
    with running_demo(tmp_path, 2) as said:
        shown = re.fullmatch(r"Dashboard: (http://127\.0\.0\.1:\d+)/ with the password (\S+)", said)
        assert shown is not None, said
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            browser = Browser(http, shown[1])
            assert (await browser.login(shown[2])).status == 303
            page = (await browser.get("/orders")).text
    assert len(re.findall(r"<th scope=\"row\">", page)) == 2
    assert "FR B2026/1" in page
