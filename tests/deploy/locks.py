"""The lock files pin, with hashes, all that pyproject.toml asks for, and nothing from an odd place."""

import re
import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;]+)(?P<marker> ; .+)?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def check(root: Path) -> list[str]:
    """What is wrong with the locks of the project at `root`, one line each."""
    asked = tomllib.loads((root / "pyproject.toml").read_text())
    project, groups = asked["project"], asked["dependency-groups"]
    needed = [*project["dependencies"], *chain(*project["optional-dependencies"].values()), *groups["build"]]
    run, run_problems = _read(root / "requirements.lock")
    dev, dev_problems = _read(root / "tests/requirements.lock")
    return [
        *run_problems,
        *dev_problems,
        *_unmet(needed, run, "requirements.lock"),
        *_unmet([*needed, *groups["dev"]], dev, "tests/requirements.lock"),
        *(
            f"tests/requirements.lock: {name} is {dev.get(name)}, not {run[name]}"
            for name in run
            if dev.get(name) != run[name]
        ),
    ]


def _read(path: Path) -> tuple[dict[str, str], list[str]]:
    """Versions by name, and every entry that is not exactly `name==version`, a marker and SHA-256 hashes."""
    pins: dict[str, str] = {}
    problems: list[str] = []
    for entry in path.read_text().replace("\\\n", " ").splitlines():
        pin, *hashes = re.split(r"\s+(?=--)", entry.strip())
        match = PINNED.fullmatch(pin)
        if match is None or not hashes or not all(map(HASH.fullmatch, hashes)):
            problems.append(f"{path.name}: not a hashed pin: {pin[:60]}")
        else:
            pins[canonicalize_name(match["name"])] = match["version"]
    return pins, problems


def _unmet(needed: list[str], pins: dict[str, str], lock: str) -> list[str]:
    problems = []
    for requirement in map(Requirement, needed):
        pinned = pins.get(canonicalize_name(requirement.name))
        if pinned is None or not requirement.specifier.contains(pinned):
            problems.append(f"{lock}: {requirement} is asked for, {pinned or 'nothing'} is pinned")
    return problems
