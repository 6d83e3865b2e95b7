"""Why an order waits for a person."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """`code` for machines, `message` with what and where (both figures, if figures disagree), `fix` with how."""

    code: str
    message: str
    fix: str
