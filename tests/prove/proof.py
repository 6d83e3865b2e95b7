"""`make prove`: many schedules and stories on all cores, every cut, a report beside this file, each failure's command."""

import argparse
import asyncio
import gc
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tests.prove import cuts
from tests.prove.clock import SimulatedLoop
from tests.prove.judge import Result
from tests.prove.report import command, report
from tests.prove.schedules import run
from tests.stores import PostgresServer, SqliteTemplate, postgres_server

REPORT = Path(__file__).with_name("REPORT.md")
MEMORY = Path("/dev/shm")
# What those have to say who talk with the dead.
GRAVEDIGGERS = ("aiohttp.server", "asyncio", "sqlalchemy.pool")


def main() -> int:
    """0 if nothing went wrong."""
    asked = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    asked.add_argument("--schedules", type=int, default=10_000, help="on SQLite")
    asked.add_argument("--postgres", type=int, default=100, help="more of them on Postgres")
    asked.add_argument("--stories", type=int, default=1_000, help="told against a model; 0 for none")
    asked.add_argument("--cuts", choices=("all", "some", "none"), default="all", help="kill a real daemon there")
    asked.add_argument("--first", type=int, default=0, help="the first seed")
    asked.add_argument("--seed", type=int, help="replay one schedule and show what the program logs")
    asked.add_argument("--minutes", type=float, default=120, help="begin no schedule after that")
    asked.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = asked.parse_args()
    with _folder() as folder:
        template = SqliteTemplate(folder)
        if given.seed is not None:
            return _replay(given.seed, template, folder)
        started = time.monotonic()
        until = started + 60 * given.minutes
        seeds = range(given.first, given.first + given.schedules)
        results = list(_all(seeds, partial(_on_sqlite, template, folder), given.workers, until))
        on_postgres = []
        if given.postgres:
            with postgres_server() as server:
                seeds = range(given.first, given.first + given.postgres)
                on_postgres = list(_all(seeds, partial(_on_postgres, server), given.workers, until + 120))
        seconds = time.monotonic() - started
        told = cuts.tell(given.stories, workers=given.workers) if given.stories else None
        swept = [] if given.cuts == "none" else cuts.sweep(folder, every=given.cuts == "all", workers=given.workers)
    text = report(results, on_postgres, told, swept, seconds=seconds, workers=given.workers)
    REPORT.write_text(text, "utf-8")
    _say(text)
    wrong = any(result.wrong for result in (*results, *on_postgres)) or any(sweep.failed for sweep in swept)
    return 1 if wrong or (told and told.failed) else 0


def _all(seeds: range, play: partial[Result], workers: int, until: float) -> Iterator[Result]:
    """The results in the order of their seeds; what went wrong is said at once."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_quiet) as pool:
        for done, result in enumerate(pool.map(play, seeds, chunksize=5), start=1):
            if result.wrong:
                _say(f"seed {result.seed}: {'; '.join(result.wrong)}\n  replay: {command(result.seed)}")
            if done % 100 == 0:
                _say(f"{done} of {len(seeds)}")
            yield result
            if time.monotonic() > until:
                pool.shutdown(cancel_futures=True)
                return


def _on_sqlite(template: SqliteTemplate, folder: Path, seed: int) -> Result:
    own = folder / str(os.getpid())
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return _slim(runner.run(run(seed, template.copy_to(own))))


def _on_postgres(server: PostgresServer, seed: int) -> Result:
    url = asyncio.run(server.create())
    try:
        with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
            return _slim(runner.run(run(seed, url)))
    finally:
        asyncio.run(server.drop(url))


def _slim(result: Result) -> Result:
    """Its log stays where it was written: a replay shows it."""
    result.log.clear()
    return result


def _replay(seed: int, template: SqliteTemplate, folder: Path) -> int:
    _quiet()
    (folder / "replay").mkdir()
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        result = runner.run(run(seed, template.copy_to(folder / "replay")))
    for entry in result.log:
        said = {name: value for name, value in entry.items() if name not in ("at", "event", "log_level", "account")}
        _say(f"{entry['at']:%H:%M:%S.%f} {entry['event']:24} {said}")
    _say(f"met: {dict(result.met)}\nrequests: {dict(result.purposes)}\ndocuments: {dict(result.kinds)}")
    _say("\n".join(result.wrong) or "nothing wrong")
    return 1 if result.wrong else 0


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="syncd-prove-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def _quiet() -> None:
    for name in GRAVEDIGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # What is loaded by now stays for ever: looking through it again and again would take a tenth of the time.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
