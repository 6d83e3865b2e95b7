from collections.abc import Callable, Mapping

import pytest

from tests.prove.clock import SimulatedLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], SimulatedLoop]]:
    """A world simulates its loop's time; outside of one it is an ordinary loop."""
    return {"simulated": SimulatedLoop}
