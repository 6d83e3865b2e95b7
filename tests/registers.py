"""Public registers on loopback, as strict as the real ones: what they do not understand they refuse.

VIES after the Commission's description of its REST service and the shapes that its test service answers; the numbers
of that test service (100 valid ... 601) mean the same here. The ECB's files after the published ones.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

TEST_NUMBERS = {
    "201": "INVALID_INPUT",
    "202": "INVALID_REQUESTER_INFO",
    "300": "SERVICE_UNAVAILABLE",
    "301": "MS_UNAVAILABLE",
    "302": "TIMEOUT",
    "400": "VAT_BLOCKED",
    "401": "IP_BLOCKED",
    "500": "GLOBAL_MAX_CONCURRENT_REQ",
    "501": "GLOBAL_MAX_CONCURRENT_REQ_TIME",
    "600": "MS_MAX_CONCURRENT_REQ",
    "601": "MS_MAX_CONCURRENT_REQ_TIME",
}
MEMBER_STATES = frozenset(
    [
        "AT",
        "BE",
        "BG",
        "CY",
        "CZ",
        "DE",
        "DK",
        "EE",
        "EL",
        "ES",
        "FI",
        "FR",
        "HR",
        "HU",
        "IE",
        "IT",
        "LT",
        "LU",
        "LV",
        "MT",
        "NL",
        "PL",
        "PT",
        "RO",
        "SE",
        "SI",
        "SK",
        "XI",
    ]
)
FIELDS = {"countryCode", "vatNumber", "requesterMemberStateCode", "requesterNumber"}
ECB_FILES = {"eurofxref-daily.xml": 1, "eurofxref-hist-90d.xml": 64, "eurofxref-hist.xml": 10_000}


@dataclass
class Emulator:
    """Both registers, and what they were asked. `trouble` is an error code, a status or a body for all of VIES' answers."""

    valid: set[str] = field(default_factory=set)
    trouble: str | int | bytes = ""
    rates: dict[date, dict[str, str]] = field(default_factory=dict)
    ecb_status: int = 200
    vies_asked: list[Mapping[str, Any]] = field(default_factory=list)
    ecb_asked: list[str] = field(default_factory=list)
    hang: asyncio.Event | None = None
    url: str = ""

    @property
    def vies_url(self) -> str:
        return f"{self.url}/vies/rest-api"

    @property
    def ecb_url(self) -> str:
        return f"{self.url}/stats/eurofxref"

    def publish(self, rates: dict[str, str], *, days: int = 5) -> None:
        """These rates for every working day up to the newest that the ECB can have published by now."""
        frankfurt = datetime.now(ZoneInfo("Europe/Berlin"))
        newest = frankfurt.date() if frankfurt.hour >= 16 else frankfurt.date() - timedelta(days=1)
        run = (newest - timedelta(days=back) for back in range(days))
        self.rates = {day: rates for day in run if day.weekday() < 5}

    async def check(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.vies_asked.append(asked)
        if self.hang is not None:
            await self.hang.wait()
        return self._in_trouble() or self._answer(asked)

    def _in_trouble(self) -> web.Response | None:
        match self.trouble:
            case int(status):
                return web.Response(status=status, text="<html>Service Unavailable</html>")
            case bytes(body):
                return web.Response(body=body)
            case code:
                return _refusal(code) if code else None

    def _answer(self, asked: Mapping[str, Any]) -> web.Response:
        country, number = asked.get("countryCode"), asked.get("vatNumber")
        if set(asked) != FIELDS or country not in MEMBER_STATES or not str(number).isalnum():
            return _refusal("INVALID_INPUT")
        if asked["requesterMemberStateCode"] not in MEMBER_STATES or not asked["requesterNumber"].isalnum():
            return _refusal("INVALID_REQUESTER_INFO")
        if number in TEST_NUMBERS:
            return _refusal(TEST_NUMBERS[number])
        valid = number == "100" or f"{country}{number}" in self.valid
        return web.json_response(
            {
                "countryCode": country,
                "vatNumber": number,
                "requestDate": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "valid": valid,
                "requestIdentifier": f"WAPIAAAA{len(self.vies_asked):08}" if valid else "",
                "name": "Beispiel GmbH" if valid else "---",
                "address": "Allee 8\n20095 Hamburg" if valid else "---",
                "traderName": "---",
                "traderNameMatch": "NOT_PROCESSED",
            }
        )

    async def table(self, request: web.Request) -> web.Response:
        name = request.match_info["file"]
        self.ecb_asked.append(name)
        if self.ecb_status != 200 or name not in ECB_FILES:
            return web.Response(status=self.ecb_status if self.ecb_status != 200 else 404, text="<html></html>")
        days = sorted(self.rates, reverse=True)[: ECB_FILES[name]]
        cubes = "".join(
            f'<Cube time="{day}">'
            + "".join(f'<Cube currency="{name}" rate="{rate}"/>' for name, rate in self.rates[day].items())
            + "</Cube>"
            for day in days
        )
        return web.Response(
            text='<?xml version="1.0" encoding="UTF-8"?><gesmes:Envelope '
            'xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" '
            'xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><gesmes:subject>Reference rates</gesmes:subject>'
            "<gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender>"
            f"<Cube>{cubes}</Cube></gesmes:Envelope>",
            content_type="text/xml",
        )


def _refusal(code: str) -> web.Response:
    return web.json_response({"actionSucceed": False, "errorWrappers": [{"error": code}]})


@asynccontextmanager
async def emulated() -> AsyncIterator[Emulator]:
    """Both registers on a free port."""
    emulator = Emulator()
    application = web.Application()
    application.router.add_post("/vies/rest-api/check-vat-number", emulator.check)
    application.router.add_get("/stats/eurofxref/{file}", emulator.table)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    emulator.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield emulator
    finally:
        await runner.cleanup()
