"""How the mapping says that it cannot decide."""

from syncd.domain.hold import Hold
from syncd.domain.registers import Need


class Undecidable(Exception):  # noqa: N818 - it is not an error of the program but an answer: hold the order
    """Raised inside the mapping where an order must wait for a person; `plan` turns it into its hold.

    With `need`, a public register's answer would decide, and the hold is for where none can be asked.
    """

    def __init__(self, code: str, message: str, *, fix: str, need: Need | None = None) -> None:
        super().__init__(message)
        self.need = need
        self.hold = Hold(code=code, message=message, fix=fix)
