"""The Kubernetes manifests, against the schemas of the oldest and the newest version that is supported."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

# 1.30 is the first one with a preStop sleep.
VERSIONS = ("1.30.0", "1.37.0")
FOLDER = Path("deploy/kubernetes")


def check(root: Path) -> list[str]:
    """What is wrong with the manifests of the project at `root`, one line each."""
    found = [(path, manifest) for path in sorted((root / FOLDER).rglob("*.yaml")) for manifest in load(path)]
    return [
        *(problem for path, manifest in found for problem in _problems(path, manifest)),
        *(problem for path, manifest in found if path.stem == "kustomization" for problem in _unlisted(path, manifest)),
        *([] if found else [f"no manifests in {FOLDER}"]),
    ]


def load(path: Path) -> list[dict[str, Any]]:
    """All documents of one file."""
    return list(yaml.safe_load_all(path.read_text()))


def _problems(path: Path, manifest: dict[str, Any]) -> Iterator[str]:
    # Kustomize's own file is no resource and has no schema.
    for version in VERSIONS if path.stem != "kustomization" else ():
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            where = ".".join(map(str, error.path))
            yield f"{path.parent.name}/{path.name} ({version}): {where}: {error.message}"
        except (kubernetes_validate.SchemaNotFoundError, KeyError):
            yield f"{path.parent.name}/{path.name} ({version}): no resource that Kubernetes knows"


def _unlisted(path: Path, kustomization: dict[str, Any]) -> list[str]:
    named = {name for generator in kustomization["configMapGenerator"] for name in generator["files"]}
    named |= set(kustomization["resources"])
    there = {file.name for file in path.parent.iterdir() if ".example." not in file.name} - {path.name}
    return [f"{path.parent.name}/kustomization.yaml: {name} is not both there and listed" for name in named ^ there]
