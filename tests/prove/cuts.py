"""What pytest plays for the report, in processes of its own: all cuts of a real daemon, and many stories."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[2]
TESTS = "tests/acceptance/test_cuts.py"
STORIES = "tests/prove/test_stateful.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """All cuts of one kind, and how many of them ended wrong."""

    where: str
    cuts: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """So many stories were asked for, and so many of the processes that played them met one that ended wrong."""

    stories: int
    failed: int


def tell(stories: int, *, workers: int) -> Told:
    """Stories drawn at random; each process plays its share of them, and shows the one that went wrong."""
    share = -(-stories // workers)
    environ = os.environ | {"PROVE_STORIES": str(share)}
    command = [sys.executable, "-m", "pytest", "-q", STORIES]
    playing = [subprocess.Popen(command, cwd=ROOT, env=environ) for _ in range(workers)]
    return Told(stories=share * workers, failed=sum(each.wait() != 0 for each in playing))


def sweep(folder: Path, *, every: bool, workers: int) -> list[Sweep]:
    """Kill a real daemon at each cut, or at a sample of them."""
    found = folder / "cuts.xml"
    environ = os.environ | ({"PROVE_EVERY_CUT": "1"} if every else {})
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(workers), f"--junitxml={found}", TESTS]
    subprocess.run(command, cwd=ROOT, env=environ, check=False)
    cuts: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for case in ET.parse(found).iter("testcase"):
        where = case.get("name", "").partition("[")[2].rstrip("] 0123456789")
        cuts[where] += 1
        failed[where] += any(child.tag in ("failure", "error") for child in case)
    return [Sweep(where=where, cuts=number, failed=failed[where]) for where, number in sorted(cuts.items())]
