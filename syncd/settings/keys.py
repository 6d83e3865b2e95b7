"""All keys of the tree in one table, read off the models: what a name can mean, and what was probably meant."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr

from syncd.settings.tree import Place, Settings

PREFIX = "SYNCD_"
ANY = "*"  # stands for the name of an account or a shop


class Kind(Enum):
    """How a key's value is written where there is only text."""

    VALUE = auto()
    LIST = auto()
    TABLE = auto()  # its keys are the merchant's own


@dataclass(frozen=True, slots=True)
class Key:
    """What the tree holds at a place."""

    kind: Kind
    secret: bool
    required: bool
    default: Any


@cache
def all_keys() -> Mapping[Place, Key]:
    """Every key by its place; `*` stands for the name of an account or a shop."""
    return dict(_keys(Settings, ()))


def _keys(model: type[BaseModel], at: Place) -> Iterator[tuple[Place, Key]]:
    for name, field in model.model_fields.items():
        annotation, place = field.annotation, (*at, name)
        of = get_args(annotation)[-1] if get_origin(annotation) is dict else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _keys(annotation, place)
        elif isinstance(of, type) and issubclass(of, BaseModel):
            yield from _keys(of, (*place, ANY))
        else:
            kind = Kind.TABLE if of else Kind.LIST if get_origin(annotation) is tuple else Kind.VALUE
            default = None if field.default_factory else field.get_default()
            yield place, Key(kind, SecretStr in _types(annotation), field.is_required(), default)


def _types(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - a type form, which has no type of its own yet
    yield annotation
    for part in get_args(annotation):
        yield from _types(part)


def spelled(place: Place) -> str:
    """The name of a key in the environment and among secret files."""
    return PREFIX + "__".join(place).upper().replace("-", "_")


def dotted(place: tuple[str | int, ...]) -> str:
    """The name of a key in the file, as people write it."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def same_shape(place: Place, key: Place) -> Place | None:
    """The key's place with the names that `place` gives, if it begins with the same sections."""
    if len(place) < 1 or place[0] != key[0]:
        return None
    return tuple(
        place[position] if part == ANY and position < len(place) else part for position, part in enumerate(key)
    )


def siblings(place: Place) -> tuple[list[str], list[str]]:
    """Names that could stand at a place that is none, and dotted places elsewhere that end in its last word."""
    beside: list[str] = []
    elsewhere: list[str] = []
    for key in all_keys():
        parent = same_shape(place, key)
        if parent is not None and len(parent) >= len(place) and parent[: len(place) - 1] == place[:-1]:
            beside.append(parent[len(place) - 1])
        if len(place) == 1:
            beside.append(key[0])
        if parent is not None and parent[-1] == place[-1]:
            elsewhere.append(dotted(parent))
    return sorted(set(beside)), elsewhere
