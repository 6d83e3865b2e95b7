"""What is wrong with the settings, in words for the person who wrote them: what, where and how to right it."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails, ValidationError

from syncd.domain.errors import SyncdError
from syncd.domain.findings import Finding
from syncd.settings.keys import dotted, siblings, spelled
from syncd.settings.kinds import did_you_mean, nearest
from syncd.settings.tree import Place

SECRET_PLACES = "$CREDENTIALS_DIRECTORY or /run/secrets"  # noqa: S105 - a hint for people, no secret


class SettingsError(SyncdError):
    """The settings cannot be used. The message has a line for each problem; `problems` holds them apart."""

    def __init__(self, problems: Iterable[Finding]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        lines = (f"{problem.subject}: {problem.message}; {problem.fix}" for problem in self.problems)
        super().__init__("\n".join(lines), code="settings")


def explain(error: ValidationError, origins: Mapping[Place, str], file: str) -> list[Finding]:
    """A line for each thing that pydantic refuses, none with the refused value.

    `origins` says which places came from a variable or secret file; all others came from `file`.
    """
    details = error.errors(include_url=False, include_input=False)
    return [_finding(detail, origins, file) for detail in details if detail["type"] != "default_factory_not_called"]


def _finding(detail: ErrorDetails, origins: Mapping[Place, str], file: str) -> Finding:
    location = tuple(part for part in detail["loc"] if part != "[key]")
    place = tuple(str(part) for part in location)
    message, fix = _words(detail["type"], detail["msg"], detail.get("ctx", {}), place)
    return Finding(subject=subject_of(place, origins, file, shown=dotted(location)), message=message, fix=fix)


def subject_of(place: Place, origins: Mapping[Place, str], file: str, *, shown: str = "") -> str:
    """Where a value came from: the variable, or the file and the key in it."""
    for length in range(len(place), 0, -1):
        if place[:length] in origins:
            return origins[place[:length]]
    return f"{file}: {shown or dotted(place)}"


def _words(kind: str, message: str, context: Mapping[str, Any], place: Place) -> tuple[str, str]:
    if kind == "setting":
        return context["what"], context["fix"]
    if kind == "extra_forbidden":
        return "is not a setting", _meant(place)
    said = {
        "missing": (
            "is missing",
            f"set it there, or as {spelled(place)} in the environment or as a file in {SECRET_PLACES}",
        ),
        "too_short": ("is empty", "give a value, or leave the key out"),
        "string_too_short": ("is empty", "give a value, or leave the key out"),
        "literal_error": (f"must be {context.get('expected')}", "use one of these"),
        "model_type": ("must be a table", f"write it as [{dotted(place)}] with keys below"),
        "dict_type": ("must be a table", f"write it as [{dotted(place)}] with keys below"),
    }
    return said.get(kind, (message.replace("Input should be", "must be"), "correct the value"))


def _meant(place: Place) -> str:
    beside, elsewhere = siblings(place)
    if close := nearest(place[-1], beside):
        return f"did you mean {dotted((*place[:-1], close))}?"
    return did_you_mean(elsewhere[0], elsewhere) if elsewhere else did_you_mean(place[-1], beside)
