"""Settings: one TOML file, the environment and secret files, read once into one frozen tree."""

from syncd.settings.describe import describe, secrets_in
from syncd.settings.load import load
from syncd.settings.problems import SettingsError
from syncd.settings.tree import Account, Database, Fiscal, Http, Log, Settings, Shop

__all__ = [
    "Account",
    "Database",
    "Fiscal",
    "Http",
    "Log",
    "Settings",
    "SettingsError",
    "Shop",
    "describe",
    "load",
    "secrets_in",
]
