from collections.abc import Iterator

import pytest

from tests.prove.world import sqlite_in_the_loop


@pytest.fixture(autouse=True)
def _sqlite_in_the_loop() -> Iterator[None]:
    with sqlite_in_the_loop():
        yield
