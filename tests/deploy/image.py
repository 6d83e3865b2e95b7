"""The Dockerfile: hadolint's rules, and what it copies is there and gets past .dockerignore."""

import re
from pathlib import Path

from tests.deploy.tools import beside_python, run


def check(root: Path) -> list[str]:
    """What is wrong with the Dockerfile of the project at `root`, one line each."""
    sent = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    code, said = run(beside_python("hadolint"), "--no-color", root / "Dockerfile")
    return [
        *(said or ["hadolint found fault and did not say which"] if code else []),
        *(f"Dockerfile copies {name}, which does not exist" for name in copied(root) if not (root / name).exists()),
        *(f"Dockerfile copies {name}, which .dockerignore keeps away" for name in copied(root) if name not in sent),
    ]


def copied(root: Path) -> list[str]:
    """The names that the Dockerfile takes from the project."""
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (root / "Dockerfile").read_text(), re.MULTILINE)
    return [name for sources in copies for name in sources.split()]
