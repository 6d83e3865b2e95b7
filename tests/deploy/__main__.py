"""Check what the linters of Python do not see: locks, TOML files, Dockerfile, manifests, unit file."""

import sys
import tomllib
from pathlib import Path

from tests.deploy import image, locks, manifests, unit
from tests.deploy.tools import ROOT

CHECKS = {"locks": locks.check, "Dockerfile": image.check, "manifests": manifests.check, "systemd unit": unit.check}


def toml(root: Path) -> list[str]:
    """The TOML files that do not parse, one line each."""
    problems = []
    for path in (root / "pyproject.toml", *(root / "config").rglob("*.toml"), *(root / "deploy").rglob("*.toml")):
        try:
            tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            problems.append(f"{path.relative_to(root)}: {error}")
    return problems


def main() -> int:
    """Print a line for each check and for each thing wrong; 1 if anything is."""
    bad = False
    for subject, check in {**CHECKS, "TOML": toml}.items():
        problems = check(ROOT)
        bad |= bool(problems)
        sys.stdout.write(f"{subject}: {'ok' if not problems else 'wrong'}\n")
        sys.stdout.writelines(f"  {problem}\n" for problem in problems)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
