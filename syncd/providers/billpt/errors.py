"""Bill.pt's error codes: what each means, what to do, and which of our errors it becomes. Pure.

An error body is `{"error": ["1.nome", "101.morada.100", "206"]}`: `code.field` below 100, `code.field.value` below
200, the bare code from there on. An unhandled fault of the service puts PHP's own text in place of a code.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from syncd.domain.errors import (
    AccountBlockedError,
    NoEffectError,
    RefusedError,
    ServiceAnswer,
    ServiceError,
    StaleReferenceError,
    UncertainError,
)

TOO_LONG = 101
CODE_TAKEN = 231
TAX_ID_OF_ANOTHER_CUSTOMER = 253
ALREADY_ANNULLED = 289

_LONGEST_TEXT = 120


class Remedy(StrEnum):
    """What a code asks for; the order is the gravity where an answer carries several."""

    LOOK = "look"  # it may have been issued: look for the marker
    UNBLOCK = "unblock"  # the account or its settings
    REREAD = "reread"  # an id that we had cached
    CORRECT = "correct"  # this document's data
    LATER = "later"  # nothing but time


@dataclass(frozen=True, slots=True)
class Meaning:
    """`stale` names the cached kinds that are wrong if this code comes."""

    remedy: Remedy
    text: str
    fix: str
    stale: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One entry of an error list. `number` is None for a text; `field` and `value` are empty where not given."""

    text: str
    number: int | None = None
    field: str = ""
    value: str = ""

    @property
    def meaning(self) -> Meaning:
        if self.number is None:
            return Meaning(Remedy.CORRECT, f"the service says: {self.text}", _REPORT)
        return MEANINGS.get(self.number) or Meaning(Remedy.CORRECT, f"unknown code {self.number}", _REPORT)

    @property
    def sentence(self) -> str:
        meaning = self.meaning.text.replace("{value}", self.value or "the limit")
        return f"{self.field}: {meaning}" if self.field else meaning


_REPORT = "look the text up at Bill.pt, correct the order or the account, then retry"
_FIELD = "correct the field in the shop's order, then retry"
_TOKEN = "set the account's token to the API token of a user who may use the API"  # noqa: S105 - an advice
_PLAN = "upgrade or renew the plan at Bill.pt"
_RIGHTS = "give the token's user the right at Bill.pt"
_WAIT = "nothing to do, it is sent again"
_FILE = "correct the file that is imported at Bill.pt"
_CREDIT = "issue a credit note instead"
_REFRESH = "nothing to do, the account's lists are read again"
_INVOICE = 'set fiscal.paid_document = "FR", or issue this order by hand'
_SERIES = "correct the account's [series] setting, or the series at Bill.pt"
_DEFAULTS = "correct the account's master data at Bill.pt"
_AT = "enter the tax authority's user and password at Bill.pt"

_D, _U, _L = Remedy.CORRECT, Remedy.UNBLOCK, Remedy.LATER
_S = Remedy.REREAD

MEANINGS: dict[int, Meaning] = {
    1: Meaning(_D, "a required field is missing", _FIELD),
    2: Meaning(_D, "not an e-mail address", _FIELD),
    3: Meaning(_D, "must be unique, and this value is stored already", "find the record at Bill.pt that holds it"),
    4: Meaning(_D, "the confirming field is missing or differs", _FIELD),
    5: Meaning(_D, "not a boolean", _FIELD),
    6: Meaning(_D, "special characters are not allowed", _FIELD),
    7: Meaning(_D, "not an integer", _FIELD),
    8: Meaning(_D, "not alphanumeric", _FIELD),
    9: Meaning(_D, "the value is not acceptable", _FIELD),
    10: Meaning(_D, "not numeric", _FIELD),
    100: Meaning(_D, "shorter than {value} characters", _FIELD),
    101: Meaning(_D, "longer than {value} characters", _FIELD),
    102: Meaning(_L, "the series holds a document with a later date", _WAIT),
    200: Meaning(_U, "login refused", _TOKEN),
    201: Meaning(_L, "the token could not be generated", _WAIT),
    202: Meaning(_U, "no token was sent", _TOKEN),
    203: Meaning(_U, "the session has expired", _TOKEN),
    204: Meaning(_U, "already active", "look at the account at Bill.pt"),
    205: Meaning(_U, "the user is not valid", _TOKEN),
    206: Meaning(_D, "the tax number is not valid", "correct the buyer's tax number in the shop, then retry"),
    207: Meaning(_U, "the user is not part of this account", _TOKEN),
    208: Meaning(_U, "the token is not valid", _TOKEN),
    209: Meaning(_D, "wrong value", _FIELD),
    210: Meaning(_U, "the user does not exist", _TOKEN),
    211: Meaning(_U, "the user was used already", "use another user at Bill.pt"),
    212: Meaning(_D, "a user id is required", _REPORT),
    213: Meaning(_U, "users may not be edited", _RIGHTS),
    214: Meaning(_D, "the postal code is malformed", "correct it to NNNN-NNN in the shop, then retry"),
    215: Meaning(_D, "the file is not valid (or the postal code)", "correct the postal code in the shop, then retry"),
    216: Meaning(_U, "a user belongs to another account", _TOKEN),
    217: Meaning(_S, "the customer belongs to another account", _REFRESH, ("customer",)),
    218: Meaning(_S, "an article belongs to another account", _REFRESH, ("article",)),
    219: Meaning(_U, "the category does not exist", _DEFAULTS),
    220: Meaning(_U, "the type does not exist", _DEFAULTS),
    221: Meaning(_S, "the unit of measure does not exist", _REFRESH, ("unit",)),
    222: Meaning(_D, "the record is in use and cannot be deleted", "leave it, or hide it at Bill.pt"),
    223: Meaning(_S, "the payment method does not exist", _REFRESH, ("payment_method",)),
    224: Meaning(_U, "the shipping method does not exist", _DEFAULTS),
    225: Meaning(_S, "the customer does not exist", _REFRESH, ("customer",)),
    226: Meaning(_D, "a series with that name exists", "choose another name"),
    227: Meaning(_S, "the series does not exist", _REFRESH, ("series",)),
    228: Meaning(_U, "the vehicle does not exist", _DEFAULTS),
    229: Meaning(_S, "the tax does not exist", _REFRESH, ("tax",)),
    230: Meaning(_S, "an article does not exist", _REFRESH, ("article",)),
    231: Meaning(_D, "the code is taken already", "look at Bill.pt which customer or article holds this code"),
    232: Meaning(_D, "the file's code could not be detected", _FILE),
    233: Meaning(_D, "the file's code or tax number could not be detected", _FILE),
    234: Meaning(_D, "the file lacks the column productCode", _FILE),
    235: Meaning(_D, "only drafts can be deleted", "annul the document or issue a credit note"),
    236: Meaning(_D, "the document has a payment", "annul its receipt first"),
    237: Meaning(_D, "a document of another month cannot be annulled", _CREDIT),
    238: Meaning(_D, "a document of more than five days ago cannot be annulled", _CREDIT),
    239: Meaning(_D, "the unloading date is not valid", _FIELD),
    240: Meaning(_D, "the loading date must come after the document's date", _FIELD),
    241: Meaning(_D, "due before the document's date", _FIELD),
    242: Meaning(_L, "the series holds a document with a later date", _WAIT),
    243: Meaning(_D, "the total is below zero", "correct the order, or issue by hand"),
    244: Meaning(_D, "too much for an anonymous customer", "complete the buyer's name and address in the shop"),
    245: Meaning(_U, "the user lacks rights", _RIGHTS),
    246: Meaning(_D, "corrected by another document, so it cannot be annulled", _CREDIT),
    247: Meaning(_U, "the warehouse is wrong", "give the token's user a warehouse at Bill.pt"),
    248: Meaning(_U, "the token is not valid", _TOKEN),
    249: Meaning(_L, "the communication is not valid", _WAIT),
    250: Meaning(_U, "the tax authority's credentials are not set", _AT),
    251: Meaning(_D, "converted by another document already", "annul that one first"),
    252: Meaning(_U, "the tax number is used by another Bill.pt account", "clear it up with Bill.pt"),
    253: Meaning(
        _D, "another customer of the account has this tax number", "merge the customers at Bill.pt, then retry"
    ),
    254: Meaning(_U, "the plan's limit of documents is reached", _PLAN),
    255: Meaning(_U, "a limit of the plan is reached", _PLAN),
    256: Meaning(_U, "a limit of the plan is reached", _PLAN),
    257: Meaning(_U, "the plan has no stock management", _PLAN),
    258: Meaning(_U, "the plan does not allow this", _PLAN),
    259: Meaning(_U, "this account may not be used", "clear it up with Bill.pt"),
    260: Meaning(_U, "the user may not manage orders", _RIGHTS),
    261: Meaning(_U, "the user may not manage sales", _RIGHTS),
    262: Meaning(_U, "the user may not manage receipts", _RIGHTS),
    263: Meaning(_U, "the state is wrong", _DEFAULTS),
    264: Meaning(_D, "the code is not valid", _FIELD),
    265: Meaning(_L, "the user may not work at this time", "widen the user's working hours at Bill.pt, or wait"),
    266: Meaning(_D, "a line does not point to the document it corrects", "credit by hand and release the order"),
    267: Meaning(_L, "the user may not work now", "widen the user's working hours at Bill.pt, or wait"),
    268: Meaning(_U, "the licence is over", _PLAN),
    269: Meaning(_U, "the licence is used already", _PLAN),
    270: Meaning(_U, "a tax is required where no exemption is given", "correct the account's tax settings"),
    271: Meaning(_D, "nothing can be sold at a price of zero", "give the list price and a discount of 100 %"),
    272: Meaning(_D, "the document is not final yet", "finish the draft first"),
    273: Meaning(_D, "an image must be a JPEG of at most 1200 x 800", _FILE),
    274: Meaning(_S, "the exemption reason is not valid", _REFRESH, ("exemption",)),
    275: Meaning(_D, "no exemption is allowed in this kind of document", _INVOICE),
    # Said after the document exists, as far as anybody can know: so it is looked for, not simply sent again.
    276: Meaning(Remedy.LOOK, "the document could not be communicated to the tax authority", _WAIT),
    277: Meaning(_U, "the tax authority refused the login", _AT),
    288: Meaning(_U, "filtered by a shop that the user does not have", _RIGHTS),
    289: Meaning(_D, "annulled already", "nothing to do"),
    291: Meaning(_U, "an article of another account cannot be deleted", _DEFAULTS),
    292: Meaning(_D, "outside the legal time for issuing", "issue by hand after asking the accountant"),
    300: Meaning(_U, "the series cannot be used for documents", _SERIES),
    301: Meaning(_D, "a composite article has no components", "complete the article at Bill.pt, then retry"),
    302: Meaning(_D, "FS above 100 EUR plus VAT by a non-retailer", _INVOICE),
    303: Meaning(_D, "FS above 1000 EUR", _INVOICE),
    304: Meaning(_D, "FS with services above 100 EUR", _INVOICE),
    305: Meaning(_D, "FS above 100 EUR to a taxable person", _INVOICE),
    306: Meaning(_U, "the series' name has forbidden characters", _SERIES),
    307: Meaning(_U, "the series belongs to another account", _SERIES),
    308: Meaning(_U, "the user lacks rights", _RIGHTS),
    309: Meaning(_U, "the series was not reported to the tax authority", "report it at Bill.pt; then it goes on"),
}


def parse(text: str) -> Code:
    """Read one entry; what does not start with a number is the service's own text, shortened."""
    head, _, tail = text.strip().partition(".")
    if not (head.isascii() and head.isdigit()) or len(head) > 4:
        return Code(text=" ".join(text.split())[:_LONGEST_TEXT])
    field, dot, value = tail.partition(".")
    if int(head) >= 200 and not dot:  # 242 carries a date, though its kind should carry nothing
        field, value = "", field
    return Code(
        text=text.strip()[:_LONGEST_TEXT],
        number=int(head),
        field=field.strip().replace(" ", "_")[:40],
        value=value.strip()[:40],
    )


def codes_in(data: object) -> tuple[Code, ...]:
    """The entries of an answer's error list, none if it has no `error`; a list, one text or one number alike."""
    if not isinstance(data, dict) or data.get("error") in (None, False, [], ""):
        return ()
    error = data["error"]
    return tuple(parse(str(entry)) for entry in (error if isinstance(error, list) else [error]))


def message_in(data: object) -> tuple[Code, ...]:
    """The framework's own message of an error without codes."""
    message = data.get("message") if isinstance(data, dict) else None
    return (Code(text=" ".join(message.split())[:_LONGEST_TEXT]),) if isinstance(message, str) and message else ()


def texts_in(data: object) -> tuple[str, ...]:
    """The same as they stand, for the trail."""
    return tuple(code.text for code in codes_in(data))


def error_for(status: int, codes: Sequence[Code], *, one_record: bool = False) -> ServiceError:
    """The error that an answer means: the gravest code decides, and all of its gravity are named.

    `one_record` says that the request was about one record, so that 404 speaks of that and not of the address.
    """
    answer = ServiceAnswer(status=status, codes=tuple(code.text for code in codes))
    if not codes or (status in _TELLING and all(code.number is None for code in codes)):
        return _by_status(status, answer, one_record=one_record)
    order = list(Remedy)
    worst = min((code.meaning.remedy for code in codes), key=order.index)
    told = [code for code in codes if code.meaning.remedy is worst]
    message = "; ".join(dict.fromkeys(code.sentence for code in told))
    fix = "; ".join(dict.fromkeys(code.meaning.fix for code in told))
    name = "billpt.message" if told[0].number is None else f"billpt.{told[0].number}"
    if worst is Remedy.REREAD:
        kinds = tuple(sorted({kind for code in told for kind in code.meaning.stale}))
        return StaleReferenceError(message, kinds=kinds, code=name, answer=answer)
    return _ERRORS[worst](message, code=name, fix=fix, answer=answer)


# Statuses that say more than a text beside them.
_TELLING = frozenset({401, 403, 404, 405, 408})

_ERRORS: dict[Remedy, Callable[..., ServiceError]] = {
    Remedy.LOOK: UncertainError,
    Remedy.UNBLOCK: AccountBlockedError,
    Remedy.CORRECT: RefusedError,
    Remedy.LATER: NoEffectError,
}


def _by_status(status: int, answer: ServiceAnswer, *, one_record: bool) -> ServiceError:
    name = f"billpt.http_{status}"
    if status in {401, 403}:
        return AccountBlockedError(f"the token was refused with status {status}", code=name, fix=_TOKEN, answer=answer)
    if status in {404, 405} and not one_record:
        fix = "correct the account's base_url, for example https://app.bill.pt"
        return AccountBlockedError(f"the API is not there: status {status}", code=name, fix=fix, answer=answer)
    if status == 408:  # said by whoever stands in between, about a request that may be on its way
        return UncertainError("timed out between here and the service", code=name, answer=answer)
    return RefusedError(f"refused with status {status} and no reason", code=name, fix=_REPORT, answer=answer)
