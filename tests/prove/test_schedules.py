"""A short set of the schedules of `make prove`; `python -m tests.prove --seed N` replays one."""

import asyncio
import gc
import warnings

import pytest

from tests.prove.clock import SimulatedLoop
from tests.prove.judge import Result
from tests.prove.schedules import run
from tests.stores import SqliteTemplate

ON_SQLITE, ON_POSTGRES = 40, 3


def play(seed: int, url: str) -> Result:
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(run(seed, url))


@pytest.mark.parametrize("seed", range(ON_SQLITE))
def test_whatever_fails_every_due_document_exists_exactly_once(seed: int, sqlite_url: str) -> None:
    assert play(seed, sqlite_url).wrong == []


@pytest.mark.parametrize("seed", range(ON_POSTGRES))
def test_the_same_holds_on_postgres(seed: int, postgres_url: str) -> None:
    with warnings.catch_warnings():
        # A process that dies while it connects leaves its socket to nobody.
        warnings.simplefilter("ignore", ResourceWarning)
        assert play(seed, postgres_url).wrong == []
        gc.collect()


def test_a_seed_is_replayed_exactly(sqlite_template: SqliteTemplate, tmp_path_factory: pytest.TempPathFactory) -> None:
    first, second = [play(7, sqlite_template.copy_to(tmp_path_factory.mktemp("ledger"))) for _ in range(2)]
    assert (first.met, first.purposes, first.kinds) == (second.met, second.purposes, second.kinds)
    assert [entry["event"] for entry in first.log] == [entry["event"] for entry in second.log]
    assert first.recoveries == second.recoveries
