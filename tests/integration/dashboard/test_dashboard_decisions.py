"""What the operator decides takes effect, once and with a reason."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from syncd.domain.states import OrderState
from syncd.store.engine import Database
from syncd.store.tables import shop_order
from syncd.web.ledger import one_order
from tests.integration.dashboard.browser import Browser, serving
from tests.integration.test_reconciler import Office, a_state


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
