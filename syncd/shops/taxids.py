"""Where a buyer's tax number may hide: key/value pairs of plugins and themes first, then free texts.

No shop platform has a field for it, so every plugin chose its own key. Nothing here decides what the number is worth:
a mistyped one is handed on as typed, because whoever typed it wanted it on the invoice.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from stdnum.eu import vat as eu_vat
from stdnum.pt import nif as pt_nif

from syncd.domain.customer import FINAL_CONSUMER_NIF

# In order of trust, in the spelling of `_fold`, without a leading "billing". The first is the commonest plugin's.
KNOWN_NAMES = (
    "nif",
    "nipc",
    "contribuinte",
    "numerodecontribuinte",
    "numerocontribuinte",
    "nrcontribuinte",
    "nrdecontribuinte",
    "nocontribuinte",
    "nodecontribuinte",
    "ncontribuinte",
    "taxcredentialpt",
    "vat",
    "vatnumber",
    "euvatnumber",
    "euvat",
    "vatid",
    "companyvat",
    "taxid",
    "tin",
    "cif",
    "nie",
    "numerofiscal",
    "nrfiscal",
    "nofiscal",
    "numerodeidentificacaofiscal",
    "fiscal",
    "iva",
)
KNOWN_PARTS = ("nif", "contribuinte", "vat", "nipc", "taxid")

# What people and plugins put where they have no number.
NO_ANSWERS = frozenset(
    {"na", "nao", "naotenho", "none", "null", "no", "x", "xx", "xxx", "consumidorfinal", "undefined"}
)

_FILLER = r"(?:number|n[uú]mero|n\.?[ºo°r]\.?|no\b|nr\b|id\b|fiscal|de contribuinte|do cliente|is\b|é|[\s:.#=/\-])"
_LABELLED = re.compile(
    r"(?<!\w)(?:n\.?i\.?f|nipc|contribuinte|vat|tax ?id|cif|nie)(?![^\W\d_])"
    rf"{_FILLER}{{0,12}}"
    # Nine digits however grouped, else one unbroken run: mistyped, or another country's.
    r"((?:PT[ .\-]?)?\d(?:[ .\-]?\d){8}(?!\w)|(?:[a-z]{2}[ .\-]?)?[a-z]?\d{7,11}[a-z]?(?!\w))",
    re.IGNORECASE,
)
_BARE = re.compile(r"(?<![\w+])((?:PT[ .\-]?)?\d(?:[ .\-]?\d){8})(?![\w])", re.IGNORECASE)

# Mobile numbers; 91 is a condominium's tax number as well, so without a label it proves nothing.
_MOBILE = ("91", "92", "93", "96")


def find_tax_id(pairs: Iterable[tuple[str, str]], *, texts: Mapping[str, str], keys: Sequence[str]) -> tuple[str, str]:
    """The raw tax number and the key or text that it stood in, two empty strings if there is none.

    Looks at the configured `keys`, then the usual names, then at valid numbers under similar names, then at `texts`:
    a number behind a label in any of them, or a bare valid one in a company's name (a text named `...company`). The
    number of a text named `...phone` is never taken for a bare one. A typed but invalid value is returned as it is.
    """
    typed = [(key, text) for key, value in pairs if _says_something(text := value.strip())]
    return _by_name(typed, keys) or _by_likeness(typed) or _in_texts(texts) or ("", "")


def _by_name(typed: Sequence[tuple[str, str]], keys: Sequence[str]) -> tuple[str, str] | None:
    # Platforms list pairs in no fixed order: the name's rank decides, never the position.
    exact: dict[str, tuple[str, str]] = {}
    usual: dict[str, tuple[str, str]] = {}
    for key, value in typed:
        exact.setdefault(_fold(key), (value, key))
        usual.setdefault(_usual_name(key), (value, key))
    for key in keys:
        if found := exact.get(_fold(key)):
            return found
    return next((usual[name] for name in KNOWN_NAMES if name in usual), None)


def _by_likeness(typed: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    for key, value in typed:
        if _resembles(key) and _is_valid(value):
            return value, key
    return None


def _in_texts(texts: Mapping[str, str]) -> tuple[str, str] | None:
    for name, text in texts.items():
        if not name.endswith("phone") and (match := _LABELLED.search(text)) and _says_something(match[1]):
            return match[1], name
    phones = {_digits(text)[-9:] for name, text in texts.items() if name.endswith("phone")}
    for name, text in texts.items():
        if name.endswith("company") and (number := _bare_number(text, phones)):
            return number, name
    return None


def _bare_number(text: str, phones: set[str]) -> str:
    for match in _BARE.finditer(text):
        digits = _digits(match[1])
        known = digits in phones or digits.startswith(_MOBILE) or digits == FINAL_CONSUMER_NIF
        if pt_nif.is_valid(digits) and not known:
            return match[1]
    return ""


def _says_something(value: str) -> bool:
    """Whether the value is an answer; the final consumer's number says that none was wanted, as does 0."""
    if not value:
        return False
    folded = _fold(value)
    return bool(folded.strip("0")) and folded not in NO_ANSWERS and folded.removeprefix("pt") != FINAL_CONSUMER_NIF


def _is_valid(value: str) -> bool:
    return bool(pt_nif.is_valid(value) or eu_vat.is_valid(value))


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit())


@lru_cache(maxsize=4096)
def _fold(text: str) -> str:
    """Lower-case letters and digits without accents: how names are compared."""
    return "".join(c for c in unicodedata.normalize("NFKD", text).lower() if c.isascii() and c.isalnum())


@lru_cache(maxsize=4096)
def _usual_name(key: str) -> str:
    """`_wc_billing/<plugin>/billing_nif` and `_billing_nif` are `nif`; the recipient's number is not the buyer's."""
    folded = _fold(key.rpartition("/")[2]).removeprefix("billing")
    return "" if "shipping" in _fold(key) else folded


@lru_cache(maxsize=4096)
def _resembles(key: str) -> bool:
    folded = _fold(key)
    return any(part in folded for part in KNOWN_PARTS) and not any(p in folded for p in ("phone", "telef", "telem"))
