"""The systemd unit: known keys only, and tight; systemd's own word is taken where it is installed."""

import shutil
import tempfile
from pathlib import Path

from tests.deploy.tools import run

UNIT = Path("deploy/systemd/syncd.service")
# On systemd's scale of 0 to 100, as `systemd-analyze security` rates it: 20 shows as 2.0.
MOST_EXPOSED = 20

# The machine that runs this may have no systemd, and a misspelt key is only a warning to it: the line has no effect.
KNOWN = {
    "Unit": "Description Documentation Wants Requires After Before StartLimitBurst StartLimitIntervalSec",
    "Service": """
        Type NotifyAccess ExecStart Environment LoadCredential LoadCredentialEncrypted User Group DynamicUser
        SupplementaryGroups StateDirectory StateDirectoryMode WorkingDirectory TimeoutStartSec TimeoutStopSec
        WatchdogSec Restart RestartSec KillSignal LimitNOFILE MemoryMax TasksMax
        AmbientCapabilities CapabilityBoundingSet DeviceAllow DevicePolicy IPAddressAllow IPAddressDeny KeyringMode
        LockPersonality MemoryDenyWriteExecute NoNewPrivileges PrivateDevices PrivateMounts PrivateNetwork PrivateTmp
        PrivateUsers ProcSubset ProtectClock ProtectControlGroups ProtectHome ProtectHostname ProtectKernelLogs
        ProtectKernelModules ProtectKernelTunables ProtectProc ProtectSystem ReadOnlyPaths ReadWritePaths RemoveIPC
        RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID SystemCallArchitectures
        SystemCallErrorNumber SystemCallFilter UMask""",
    "Install": "WantedBy Alias",
}


def check(root: Path) -> list[str]:
    """What is wrong with the unit of the project at `root`, one line each."""
    text = (root / UNIT).read_text()
    return [*unknown(text), *_systemd_says(text)]


def entries(text: str) -> list[tuple[str, str, str]]:
    """Section, key and value of each line; a line that is none of it is a key without a name."""
    found: list[tuple[str, str, str]] = []
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith(("#", ";")):
            key, equals, value = line.partition("=")
            found.append((section, key if equals else "", value))
    return found


def unknown(text: str) -> list[str]:
    """The keys that systemd would not understand, or not in that section."""
    return [
        f"{UNIT.name}: [{section}] {key}={value} is not known"
        for section, key, value in entries(text)
        if key not in KNOWN.get(section, "").split()
    ]


def _systemd_says(text: str) -> list[str]:
    if (analyze := shutil.which("systemd-analyze")) is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, UNIT.name)
        # verify wants to see the program; it is installed on the machine that runs it, not on this one.
        copy.write_text(text.replace("ExecStart=/opt/syncd/bin/syncd ", f"ExecStart={shutil.which('true')} "))
        code, warnings = run(analyze, "verify", "--man=no", copy)
        # verify exits 0 on an unknown key, so what it prints counts as well.
        broken = warnings or ([f"systemd-analyze verify: exit code {code}"] if code else [])
        code, rating = run(analyze, "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", "--no-pager", copy)
    return [*broken, *(rating[-1:] or ["systemd-analyze security: failed"] if code else [])]
