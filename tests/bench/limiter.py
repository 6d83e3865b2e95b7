"""How much of the request budget is used with work waiting, and how much is refused: real requests, a shorter minute."""

import time
from dataclasses import replace

from pydantic import SecretStr

from syncd.dispatch.gateway import AccountGateway
from syncd.dispatch.throttle import PERIOD_SECONDS, Budget
from syncd.metrics import Metrics
from syncd.providers.http import JsonApi, Request
from syncd.providers.port import Purpose
from syncd.sandbox.billpt import BillPt, RateMode, Settings
from syncd.sandbox.server import serve
from syncd.store.engine import Database

LIMIT, WINDOW, WINDOWS = 100, 12.0, 3
READ = Request(method="GET", path="impostos", purpose=Purpose.LOOKUP, writes=False)


async def measure(database: Database, mode: RateMode) -> dict[str, float]:
    """Over some windows, each request written ahead as always: share of the limit used, refused, fullest window."""
    sandbox = BillPt(replace(Settings(), rate_limit=LIMIT, rate_window=WINDOW, rate_mode=mode))
    budget = Budget(LIMIT, period=WINDOW * PERIOD_SECONDS / 60)
    async with await serve(sandbox) as serving:
        gateway = AccountGateway("main", database, budget, Metrics())
        api = JsonApi(f"{serving.url}/api/1.0", SecretStr(sandbox.token), gateway, timeout_seconds=5)
        end = time.monotonic() + WINDOW * WINDOWS
        while time.monotonic() < end:
            await api.send(READ)
        await api.close()
    # The first window begins with a burst; what lasts shows behind it.
    lasting = [at for at in sandbox.limiter.arrivals if at > sandbox.limiter.arrivals[0] + WINDOW]
    return {
        "used": (len(lasting) - 1) / (lasting[-1] - lasting[0]) * WINDOW / LIMIT,
        "refused": float(sandbox.limiter.refused),
        "fullest": float(sandbox.limiter.worst_window()),
    }
