"""One daemon per SQLite ledger: a lock that the kernel gives back whatever becomes of its holder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from syncd.domain.errors import SyncdError


@contextmanager
def sole_daemon(database_url: str) -> Iterator[None]:
    """Hold `<file>.lock` beside a SQLite ledger; on Postgres nothing, there leases decide who does what.

    Raises SyncdError naming the process that has it.
    """
    url = sa.make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        yield
        return
    path = Path(f"{url.database}.lock")
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise SyncdError(
                f"another syncd (process {file.read().strip() or 'unknown'}) works on {url.database}",
                code="database_locked",
                fix="stop it first; for several processes use Postgres",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
