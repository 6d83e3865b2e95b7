"""Logging in, and the account's link to the tax authority."""

from syncd.sandbox.billpt.calls import Call, Reply
from syncd.sandbox.billpt.validation import Fields, Refusal


def login(call: Call) -> Reply:
    fields = Fields(call.values)
    email = fields.email("email", required=True)
    password = fields.text("password", required=True)
    fields.finish()
    if (email, password) != (call.settings.login_email, call.settings.login_password):
        raise Refusal("200")
    account = call.account
    return Reply({"id": account.user_id, "nome": "Loja API", "email": email, "api_token": account.token})


def valid_token(_: Call) -> Reply:
    return Reply({"success": True})


def configure_tax_office(call: Call) -> Reply:
    fields = Fields(call.values)
    user = fields.text("user", most=15, required=True)
    password = fields.text("password", most=25, required=True)
    fields.finish()
    call.account.tax_login = {"user": user, "password": password}
    return Reply({"success": True})


def try_tax_office(call: Call) -> Reply:
    if call.account.tax_login is None:
        raise Refusal("250")
    if "/" not in str(call.account.tax_login["user"]):
        raise Refusal("277")
    return Reply({"success": "Dados de acesso válidos"})


def tax_office_state(call: Call) -> Reply:
    login_works = call.account.tax_login is not None and "/" in str(call.account.tax_login["user"])
    return Reply({"login_at_valido": int(login_works)})


def tax_office_log(call: Call) -> Reply:
    """Nothing is ever communicated from here."""
    return call.page([], dict, size=40)
