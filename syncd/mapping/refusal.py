"""How the mapping says that it cannot decide."""

from syncd.domain.hold import Hold


class Undecidable(Exception):  # noqa: N818 - it is not an error of the program but an answer: hold the order
    """Raised inside the mapping where an order must wait for a person; `plan` turns it into its hold."""

    def __init__(self, code: str, message: str, *, fix: str) -> None:
        super().__init__(message)
        self.hold = Hold(code=code, message=message, fix=fix)
