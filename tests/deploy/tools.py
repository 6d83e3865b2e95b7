"""How the checks of this folder find the project and run the tools they need."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*command: str | Path) -> tuple[int, list[str]]:
    """A tool's exit code, and the lines that it printed on either stream."""
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=120)
    return ran.returncode, [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]


def beside_python(tool: str) -> Path:
    """A tool that came as a wheel: it lies where the interpreter of the venv does."""
    return Path(sys.executable).parent / tool
