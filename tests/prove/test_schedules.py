"""A short set of the schedules of `make prove`; `python -m tests.prove --seed N` replays one."""

import pytest

from tests.prove.schedules import run
from tests.stores import SqliteTemplate

ON_SQLITE, ON_POSTGRES = 40, 3


@pytest.mark.parametrize("seed", range(ON_SQLITE))
async def test_whatever_fails_every_due_document_exists_exactly_once(seed: int, sqlite_url: str) -> None:
    assert (await run(seed, sqlite_url)).wrong == []


@pytest.mark.parametrize("seed", range(ON_POSTGRES))
async def test_the_same_holds_on_postgres(seed: int, postgres_url: str) -> None:
    assert (await run(seed, postgres_url)).wrong == []


async def test_a_seed_is_replayed_exactly(
    sqlite_template: SqliteTemplate, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first, second = [await run(7, sqlite_template.copy_to(tmp_path_factory.mktemp("ledger"))) for _ in range(2)]
    assert (first.met, first.purposes, first.documents) == (second.met, second.purposes, second.documents)
