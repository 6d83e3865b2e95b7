"""What an account was seen to do, and the orders that are planned anew because of it."""

from syncd.domain.capabilities import Arithmetic, Profile
from syncd.domain.document import PriceMode
from syncd.store import orders, profiles
from syncd.store.engine import Database
from tests.integration.stored_documents import draft_of, issue, plan, take
from tests.integration.test_store_events import the_order
from tests.integration.test_store_orders import AT, arrive, due, settle


async def seen(db: Database, account: str = "main") -> Profile:
    async with db.read() as connection:
        return await profiles.of(connection, account)


async def note(db: Database, profile: Profile) -> None:
    async with db.write() as connection:
        await profiles.note(connection, "main", profile)


async def test_of_a_new_account_nothing_is_known(database: Database) -> None:
    assert await seen(database) == Profile()


async def test_what_is_seen_adds_to_what_was_and_is_the_accounts_own(database: Database) -> None:
    await note(database, Profile(arithmetic=Arithmetic.RATE))
    await note(database, Profile(price_modes={"FR": PriceMode.GROSS}))
    await note(database, Profile(price_modes={"NC NOTAS": PriceMode.NET}))
    await note(database, Profile(arithmetic=Arithmetic.BASE))
    modes = {"FR": PriceMode.GROSS, "NC NOTAS": PriceMode.NET}
    assert await seen(database) == Profile(arithmetic=Arithmetic.BASE, price_modes=modes)
    assert await seen(database, "other") == Profile()
    async with database.read() as connection:
        assert await profiles.noted_at(connection, "main", profiles.ARITHMETIC) is not None
        assert await profiles.noted_at(connection, "other", profiles.ARITHMETIC) is None


async def test_only_orders_with_something_unsent_are_planned_anew(database: Database) -> None:
    for number in ("issued", "unsent", "nothing due"):
        await arrive(database, number)
    await plan(database, draft_of("issued"))
    await issue(database, await take(database))
    await plan(database, draft_of("unsent"))
    for number in ("issued", "unsent", "nothing due"):
        await settle(database, await the_order(database, number))
    assert await due(database) == []
    async with database.write() as connection:
        await orders.replan_unsent(connection, "other", now=AT)
    assert await due(database) == []
    async with database.write() as connection:
        await orders.replan_unsent(connection, "main", now=AT)
    assert await due(database) == ["unsent"]
