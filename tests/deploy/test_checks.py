"""A check that cannot fail proves nothing: each is shown a copy of the project with one thing broken."""

import shutil
from pathlib import Path

import pytest

from tests.deploy import image, locks, manifests, unit
from tests.deploy.__main__ import toml
from tests.deploy.tools import ROOT

CHECKS = {"locks": locks.check, "image": image.check, "manifests": manifests.check, "unit": unit.check, "toml": toml}
FILES = ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "LICENSE", "requirements.lock")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that the checks look at, to be broken."""
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("deploy", "config"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "syncd").mkdir()
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests/requirements.lock", tmp_path / "tests")
    return tmp_path


@pytest.mark.parametrize("subject", CHECKS)
def test_the_project_passes(subject: str) -> None:
    assert CHECKS[subject](ROOT) == []


@pytest.mark.parametrize(
    ("subject", "file", "good", "broken", "said"),
    [
        ("locks", "pyproject.toml", '"aiohttp>=3.12"', '"aiohttp>=99"', "aiohttp>=99"),
        ("locks", "pyproject.toml", '"aiohttp>=3.12"', '"aiohttp>=3.12", "unheard-of"', "unheard-of"),
        ("locks", "requirements.lock", "aiosqlite==", "aiosqlite>=", "not a hashed pin"),
        ("locks", "requirements.lock", "--hash=sha256:", "--hash=md5:", "not a hashed pin"),
        ("locks", "requirements.lock", "aiosqlite==0", "aiosqlite @ https://host/aiosqlite-0", "not a hashed pin"),
        ("locks", "requirements.lock", "aiosqlite==0", "-i https://host/simple\naiosqlite==0", "not a hashed pin"),
        ("locks", "tests/requirements.lock", "aiosqlite==0", "aiosqlite==9", "aiosqlite is 9"),
        ("image", "Dockerfile", "COPY syncd ./syncd", "COPY synced ./syncd", "does not exist"),
        ("image", ".dockerignore", "!LICENSE\n", "", "keeps away"),
        ("image", "Dockerfile", "EXPOSE 8080", "EXPOSE 80800", "DL3011"),
        ("manifests", "deploy/kubernetes/sqlite/deployment.yaml", "livenessProbe", "livenesProbe", "livenesProbe"),
        ("manifests", "deploy/kubernetes/postgres/worker.yaml", "replicas: 2", "replicas: two", "spec.replicas"),
        ("manifests", "deploy/kubernetes/sqlite/pvc.yaml", "PersistentVolumeClaim", "PersistentClaim", "no resource"),
        ("manifests", "deploy/kubernetes/sqlite/kustomization.yaml", "  - pvc.yaml\n", "", "pvc.yaml"),
        ("unit", "deploy/systemd/syncd.service", "ProtectHome=", "ProtectHouse=", "ProtectHouse"),
        ("unit", "deploy/systemd/syncd.service", "[Install]", "[Instal]", "WantedBy"),
        ("toml", "pyproject.toml", "[project]", "[project", "pyproject.toml"),
        ("toml", "deploy/kubernetes/sqlite/syncd.toml", "[shops.loja]", "[accounts.main]", "syncd.toml"),
    ],
)
def test_what_is_broken_is_named(copy: Path, subject: str, file: str, good: str, broken: str, said: str) -> None:
    path = copy / file
    assert good in path.read_text()
    path.write_text(path.read_text().replace(good, broken))
    problems = CHECKS[subject](copy)
    assert any(said in problem for problem in problems), problems


def test_keys_are_checked_where_systemd_is_not_installed(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert unit.check(copy) == []
    path = copy / unit.UNIT
    path.write_text(path.read_text() + "NoSuchKey=yes\n")
    assert unit.check(copy) == ["syncd.service: [Install] NoSuchKey=yes is not known"]
