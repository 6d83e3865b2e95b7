"""`make prove`: many schedules on all cores, a report beside this file, and a failing seed with its command."""

import argparse
import asyncio
import logging
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles

import structlog

from tests.prove.schedules import Result, run
from tests.prove.world import SETTLE, sqlite_in_the_loop
from tests.stores import PostgresServer, SqliteTemplate, postgres_server

REPORT = Path(__file__).with_name("REPORT.md")
MEMORY = Path("/dev/shm")


def main() -> int:
    """0 if no schedule went wrong."""
    asked = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    asked.add_argument("--schedules", type=int, default=10_000, help="on SQLite")
    asked.add_argument("--postgres", type=int, default=100, help="more of them on Postgres")
    asked.add_argument("--first", type=int, default=0, help="the first seed")
    asked.add_argument("--seed", type=int, help="replay one schedule and show what the program logs")
    asked.add_argument("--minutes", type=float, default=120, help="begin no schedule after that")
    asked.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    given = asked.parse_args()
    with _folder() as folder:
        template = SqliteTemplate(folder)
        if given.seed is not None:
            return _replay(given.seed, template, folder)
        seeds = range(given.first, given.first + given.schedules)
        started = time.monotonic()
        until = started + 60 * given.minutes
        results = list(_all(seeds, partial(_on_sqlite, template, folder), given.workers, until))
        on_sqlite = len(results)
        if given.postgres:
            with postgres_server() as server:
                results += _all(
                    range(given.first, given.first + given.postgres), partial(_on_postgres, server), 1, until + 120
                )
    text = _report(results, time.monotonic() - started, given.workers, len(results) - on_sqlite)
    REPORT.write_text(text, "utf-8")
    _say(text)
    return 1 if any(result.wrong for result in results) else 0


def _all(seeds: range, play: partial[Result], workers: int, until: float) -> Iterator[Result]:
    """The results in the order of their seeds; what went wrong is said at once."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_quiet) as pool:
        for done, result in enumerate(pool.map(play, seeds, chunksize=5), start=1):
            if result.wrong:
                _say(f"seed {result.seed}: {'; '.join(result.wrong)}\n  replay: {_command(result.seed)}")
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
    with sqlite_in_the_loop():
        return asyncio.run(run(seed, template.copy_to(own)))


def _on_postgres(server: PostgresServer, seed: int) -> Result:
    async def play() -> Result:
        url = await server.create()
        try:
            return await run(seed, url)
        finally:
            await server.drop(url)

    return asyncio.run(play())


def _replay(seed: int, template: SqliteTemplate, folder: Path) -> int:
    result = _on_sqlite(template, folder, seed)
    _say(f"met: {dict(result.met)}\nrequests: {dict(result.purposes)}\ndocuments: {result.documents}")
    _say("\n".join(result.wrong) or "nothing wrong")
    return 1 if result.wrong else 0


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="syncd-prove-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    # The emulator cannot answer those who have died, and says so.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


def _command(seed: int) -> str:
    return f"python -m tests.prove --seed {seed}"


def _report(results: list[Result], seconds: float, workers: int, on_postgres: int) -> str:
    met: Counter[str] = Counter()
    purposes: Counter[str] = Counter()
    for result in results:
        met += result.met
        purposes += result.purposes
    wrong = [result for result in results if result.wrong]
    issued = sum(result.documents for result in results)
    settled = sorted(value for result in results for value in result.settle_seconds)
    recovered = Counter(value for result in results for value in result.requests_of_recovered)
    said = [text for result in wrong for text in result.wrong]
    lines = [
        "# What the schedules proved",
        "",
        f"Written by `make prove`: {len(results)} schedules ({on_postgres} on Postgres),",
        f"{sum(result.orders for result in results)} orders, {issued} legal documents,",
        f"in {seconds / 60:.0f} minutes with {workers} workers.",
        "",
        "| | |",
        "|---|---|",
        f"| schedules that went wrong | {len(wrong)} |",
        f"| duplicate documents | {sum(' exists ' in text and ' 0 times' not in text for text in said)} |",
        f"| missing documents | {sum(' 0 times' in text for text in said)} |",
        f"| wrong amounts | {sum(' at the service' in text or 'kept' in text for text in said)} |",
        f"| drafts left behind, without legal effect | {sum(result.drafts_left for result in results)} |",
        "",
        "| what went wrong on purpose | times |",
        "|---|---|",
        *(f"| {name} | {number} |" for name, number in met.most_common()),
        "",
        f"{len(settled)} answers were lost. From the loss to the record, at a settle time of {SETTLE.seconds} s",
        f"and in simulated time: {_spread(settled)}.",
        "",
        f"Requests: {', '.join(f'{name} {number}' for name, number in purposes.most_common())};",
        f"{sum(purposes.values()) / max(1, issued):.2f} for each document, all faults, drafts and kills included.",
        f"Documents with a lost answer by the requests spent on them: {_table(recovered)}.",
        "",
        *(f"- seed {result.seed}: {'; '.join(result.wrong)} (`{_command(result.seed)}`)" for result in wrong),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return "too few to say"
    return f"median {median(values):.0f} s, 95 % within {quantiles(values, n=20)[-1]:.0f} s, longest {values[-1]:.0f} s"


def _table(counts: Counter[int]) -> str:
    return ", ".join(f"{requests}: {times}" for requests, times in sorted(counts.items())) or "none"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
