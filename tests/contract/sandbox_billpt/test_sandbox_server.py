"""Sandboxes by name."""

import aiohttp
import pytest

from syncd.sandbox.server import serve


async def test_a_sandbox_is_served_by_its_name() -> None:
    async with await serve("billpt", "127.0.0.1", 0) as serving, aiohttp.ClientSession() as http:
        headers = {"Authorization": f"Bearer {serving.sandbox.token}"}
        async with http.get(f"{serving.url}/api/1.0/series", headers=headers) as response:
            assert response.status == 200


async def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="known: billpt"):
        await serve("nobody")


async def test_a_port_in_use_is_reported() -> None:
    async with await serve("billpt") as serving:
        with pytest.raises(OSError, match="address already in use"):
            await serve("billpt", port=serving.runner.addresses[0][1])
