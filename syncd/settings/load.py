"""Reading the settings: which file, what overrides it, and everything that is wrong at once.

The environment comes before secret files, and those before the file.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from syncd.domain.findings import Finding
from syncd.settings import names
from syncd.settings.kinds import did_you_mean
from syncd.settings.names import Named
from syncd.settings.problems import SettingsError, explain, subject_of
from syncd.settings.tree import Place, Settings, strangers

USUAL_FILES = (Path("config/syncd.toml"), Path("/etc/syncd/syncd.toml"))
SECRETS_FOLDER = Path("/run/secrets")
FIRST_KEY = {"accounts": "provider", "shops": "platform"}  # what every account and every shop must say


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read `path`, else $SYNCD_CONFIG, else a usual file, under what environment and secret files say.

    Raises SettingsError, which lists every problem with what, where and how to right it.
    """
    file = _chosen(path, environ)
    written = _read(file) if file else {}
    known = {section: _table(written, section).keys() for section in FIRST_KEY}
    unreadable: list[Finding] = []
    folder = Path(environ.get("CREDENTIALS_DIRECTORY") or SECRETS_FOLDER)
    environment = names.read(names.from_environ(environ), known)
    secrets = names.read(names.from_files(folder, unreadable), known)
    if file is None and not environment.origins and not secrets.origins:
        unreadable.append(_no_file())
    label = str(file or "settings")
    problems = [*unreadable, *environment.problems, *secrets.problems, *_orphans((environment, secrets), known, label)]
    origins = secrets.origins | environment.origins
    layers = (environment.data, secrets.data, written)
    try:
        settings = _layered(layers)
    except ValidationError as error:
        problems += explain(error, origins, label)
        problems += _strangers(layers, origins, label)
    else:
        if not problems:
            return settings
    # Not `from` pydantic's error: that one may quote values.
    raise SettingsError(problems) from None


def _layered(layers: tuple[dict[str, Any], ...]) -> Settings:
    """The settings from layers of raw values, the highest first."""

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the hook's signature is pydantic's
            env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, layer) for layer in layers)

    return Layered()


def _chosen(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    if path is not None:
        return path
    if named := environ.get("SYNCD_CONFIG"):
        return Path(named)
    return next((file for file in USUAL_FILES if file.is_file()), None)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        problem = Finding(subject=str(file), message=f"is not TOML: {error}", fix="correct that line")
    except UnicodeDecodeError:
        problem = Finding(subject=str(file), message="is not UTF-8 text", fix="save it as UTF-8")
    except OSError as error:
        problem = Finding(
            subject=str(file), message=f"cannot be read ({error.strerror})", fix="name another with -c FILE"
        )
    raise SettingsError([problem]) from None


def _no_file() -> Finding:
    looked = " and ".join(str(file) for file in USUAL_FILES)
    return Finding(
        subject="settings",
        message=f"there is no file; looked for {looked}",
        fix="name one with -c FILE or SYNCD_CONFIG; config/syncd.toml is an example",
    )


def _table(data: Mapping[str, Any], section: str) -> dict[str, Any]:
    table = data.get(section)
    return table if isinstance(table, dict) else {}


def _orphans(sources: tuple[Named, ...], known: names.Known, file: str) -> Iterator[Finding]:
    """Names that speak of an account or shop which nothing else describes: a slip in its name; taken out of the data."""
    for section, first in FIRST_KEY.items():
        given = {name for source in sources for name in _table(source.data, section)}
        whole = {name for source in sources for name, keys in _table(source.data, section).items() if first in keys}
        for name in sorted(given - whole - set(known[section])):
            for source in sources:
                _table(source.data, section).pop(name, None)
                for origin in [origin for place, origin in source.origins.items() if place[:2] == (section, name)]:
                    likely = did_you_mean(name, known[section]) if known[section] else f"add [{section}.{name}] there"
                    yield Finding(subject=origin, message=f"there is no [{section}.{name}] in {file}", fix=likely)


def _strangers(layers: tuple[dict[str, Any], ...], origins: Mapping[Place, str], file: str) -> Iterator[Finding]:
    """The check of the shops' accounts, which pydantic leaves out while anything else is wrong."""
    wanted: dict[str, str] = {}
    accounts: dict[str, Any] = {}
    for layer in reversed(layers):
        accounts |= _table(layer, "accounts")
        for name, shop in _table(layer, "shops").items():
            if isinstance(shop, dict) and isinstance(shop.get("account"), str):
                wanted[name] = shop["account"]
    for place, error in strangers(wanted, accounts):
        context = error.context or {}
        yield Finding(subject=subject_of(place, origins, file), message=context["what"], fix=context["fix"])
