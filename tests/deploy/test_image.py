"""What the image will hold and do, as far as it can be seen without an engine that builds it."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.deploy import image
from tests.deploy.tools import ROOT, run

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_wheel_of_what_is_copied_holds_the_whole_package(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    for name in image.copied(ROOT):
        take = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        take(ROOT / name, source / name)
    build = "pip wheel --no-index --no-deps --no-build-isolation --wheel-dir"
    assert f"{build} /wheels ." in DOCKERFILE
    code, said = run(sys.executable, "-m", *build.split(), tmp_path / "wheels", source)
    assert code == 0, said
    (wheel,) = (tmp_path / "wheels").iterdir()
    package = {str(path.relative_to(ROOT)) for path in (ROOT / "syncd").rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in package if "__pycache__" not in name} <= set(archive.namelist())


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
async def test_the_health_check_asks_the_daemon(status: int, healthy: bool) -> None:
    async def healthz(request: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    async with TestServer(app) as server:
        assert await _exit_code(server.port) == (0 if healthy else 1)


async def test_the_health_check_fails_when_nobody_listens() -> None:
    async with TestServer(web.Application()) as server:
        port = server.port
    assert await _exit_code(port) == 1


async def _exit_code(port: int | None) -> int:
    """Of the Dockerfile's own HEALTHCHECK; a proxy in the environment must not stand between."""
    command = re.search(r"^HEALTHCHECK .*\\\n +CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    assert command is not None
    _, *arguments = json.loads(command[1])
    environ = os.environ | {"SYNCD_HTTP__PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environ, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    return await process.wait()


@pytest.mark.parametrize(
    "line",
    [
        "USER 10001:10001",
        "EXPOSE 8080",
        "STOPSIGNAL SIGTERM",
        'ENTRYPOINT ["syncd"]',
        'CMD ["run"]',
    ],
)
def test_the_runtime_stage_says(line: str) -> None:
    assert line in DOCKERFILE.partition("\nFROM python:${PYTHON}\n")[2].splitlines()
