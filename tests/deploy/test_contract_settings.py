"""What the deployments set are settings that the program knows."""

import re
from pathlib import Path

import pytest

from syncd.domain.errors import SyncdError
from syncd.settings import Settings, load
from tests.deploy import manifests
from tests.deploy.tools import ROOT

FOLDERS = ("sqlite", "postgres")
KUBERNETES = ROOT / manifests.FOLDER


def secrets(folder: str) -> dict[str, str]:
    (secret,) = manifests.load(KUBERNETES / folder / "secret.example.yaml")
    return dict(secret["stringData"])


def load_with(files: dict[str, str], *, folder: str, into: Path) -> Settings:
    # As Kubernetes mounts a Secret: each file is a link through ..data to a folder that is swapped as a whole.
    current = into / "..2026_01_31"
    current.mkdir()
    (into / "..data").symlink_to(current.name)
    for name, value in files.items():
        (current / name).write_text(value)
        (into / name).symlink_to(f"..data/{name}")
    image = dict(re.findall(r"(SYNCD_\w+)=(\S+)", (ROOT / "Dockerfile").read_text()))
    return load(KUBERNETES / folder / "syncd.toml", image | {"CREDENTIALS_DIRECTORY": str(into)})


@pytest.mark.parametrize("folder", FOLDERS)
def test_configuration_secrets_and_image_make_complete_settings(folder: str, tmp_path: Path) -> None:
    settings = load_with(secrets(folder), folder=folder, into=tmp_path)
    assert settings.accounts["main"].token.get_secret_value() == "fill in"
    assert (settings.http.host, settings.http.port) == ("0.0.0.0", 8080)
    assert settings.database.url.startswith(folder)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_secret_of_an_unknown_name_stops_the_start(folder: str, tmp_path: Path) -> None:
    with pytest.raises(SyncdError):
        load_with(secrets(folder) | {"SYNCD_ACCOUNTS__MAIN__TOKE": "x"}, folder=folder, into=tmp_path)
