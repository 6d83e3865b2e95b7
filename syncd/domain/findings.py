"""What `syncd check` reports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line: what was looked at and how it is; `fix` is empty if and only if all is well."""

    subject: str
    message: str
    fix: str = ""

    @property
    def ok(self) -> bool:
        return not self.fix
