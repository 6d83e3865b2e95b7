"""Unit, manifests, image and program call the same things by the same names."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

import syncd
from syncd.app import GRACE_SECONDS
from tests.deploy import manifests, unit
from tests.deploy.tools import ROOT

KUBERNETES = ROOT / manifests.FOLDER
DEPLOYMENTS = ("sqlite/deployment.yaml", "postgres/receiver.yaml", "postgres/worker.yaml")


def a_pod(file: str) -> dict[str, Any]:
    (deployment,) = manifests.load(KUBERNETES / file)
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("file", DEPLOYMENTS)
def test_a_pod_may_write_only_where_it_must(file: str) -> None:
    pod = a_pod(file)
    (container,) = pod["containers"]
    assert pod["securityContext"].items() >= {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001}.items()
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == ({"/tmp", "/var/lib/syncd"} if file.startswith("sqlite") else {"/tmp"})


@pytest.mark.parametrize("file", DEPLOYMENTS)
def test_a_pod_reads_what_the_daemon_looks_for(file: str) -> None:
    pod = a_pod(file)
    (container,) = pod["containers"]
    paths = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert paths["config"] == "/etc/syncd"
    assert paths["secrets"] == "/run/secrets"
    assert set(paths) == {volume["name"] for volume in pod["volumes"]}
    (port,) = container["ports"]
    assert port["containerPort"] == 8080
    assert [container[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")] == [
        {"path": path, "port": port["name"]} for path in ("/healthz", "/healthz", "/readyz")
    ]


@pytest.mark.parametrize("file", DEPLOYMENTS)
def test_kubernetes_adds_no_setting_of_its_own(file: str) -> None:
    """A Service called syncd would put SYNCD_PORT=tcp://... into the environment: an unknown setting, so no start."""
    assert a_pod(file)["enableServiceLinks"] is False


def test_together_the_postgres_pods_take_every_role_once() -> None:
    roles = [a_pod(file)["containers"][0]["args"] for file in DEPLOYMENTS[1:]]
    assert [args[:2] for args in roles] == [["run", "--role"]] * 2
    assert sorted(",".join(args[2] for args in roles).split(",")) == ["dispatcher", "poller", "receiver", "web"]


def test_on_sqlite_there_is_never_a_second_process() -> None:
    (deployment,) = manifests.load(KUBERNETES / "sqlite/deployment.yaml")
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("folder", ["sqlite", "postgres"])
def test_the_service_reaches_the_pods_that_take_webhooks(folder: str) -> None:
    (service,) = manifests.load(KUBERNETES / folder / "service.yaml")
    (deployment,) = manifests.load(KUBERNETES / (DEPLOYMENTS[0] if folder == "sqlite" else DEPLOYMENTS[1]))
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= service["spec"]["selector"].items()
    assert labels.items() >= deployment["spec"]["selector"]["matchLabels"].items()


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    images = [a_pod(file)["containers"][0]["image"] for file in DEPLOYMENTS]
    tags = [
        manifests.load(KUBERNETES / folder / "kustomization.yaml")[0]["images"] for folder in ("sqlite", "postgres")
    ]
    assert project["version"] == syncd.__version__
    assert images == [f"syncd:{syncd.__version__}"] * 3
    assert [tag["newTag"] for (tag,) in tags] == [syncd.__version__] * 2


def test_a_stop_leaves_time_for_the_request_in_flight() -> None:
    """Cut off, its outcome would be unknown."""
    values = {key: value for _, key, value in unit.entries((ROOT / unit.UNIT).read_text())}
    assert int(values["TimeoutStopSec"]) > GRACE_SECONDS
    for pod in map(a_pod, DEPLOYMENTS):
        waits = pod["containers"][0].get("lifecycle", {"preStop": {"sleep": {"seconds": 0}}})["preStop"]["sleep"][
            "seconds"
        ]
        assert pod["terminationGracePeriodSeconds"] > GRACE_SECONDS + waits


def test_the_unit_gives_credentials_the_names_of_settings() -> None:
    """systemd calls each file of a folder ID_FILENAME, and a setting is called SYNCD_..."""
    values = {key: value for _, key, value in unit.entries((ROOT / unit.UNIT).read_text())}
    identifier, _, folder = values["LoadCredential"].partition(":")
    assert (identifier, Path(folder)) == ("SYNCD", Path("/etc/syncd/credentials"))
    assert values["ExecStart"] == "/opt/syncd/bin/syncd run -c /etc/syncd/syncd.toml"
    assert values["WorkingDirectory"] == f"/var/lib/{values['StateDirectory']}"
    assert values["Type"] == "notify"
