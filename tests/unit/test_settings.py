import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from syncd.settings import Settings, SettingsError, describe, load, secrets_in
from syncd.settings import load as load_module
from syncd.shops.port import load_shop

ACCOUNT = """
[accounts.main]
provider = "billpt"
base_url = "https://app.bill.pt"
token = "token-of-the-file"
"""
SHOP = """
[shops.loja]
platform = "woocommerce"
account = "main"
url = "https://loja.example/"
webhook_secret = "secret-of-the-file"
"""


@pytest.fixture(autouse=True)
def _nothing_from_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules["syncd.settings.load"], "SECRETS_FOLDER", tmp_path / "run-secrets")
    monkeypatch.setattr(
        sys.modules["syncd.settings.load"], "USUAL_FILES", (Path("config/syncd.toml"), tmp_path / "etc/syncd.toml")
    )


def written(text: str = ACCOUNT + SHOP, name: str = "syncd.toml") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def loaded(text: str = ACCOUNT + SHOP, **environ: str) -> Settings:
    return load(written(text), environ)


def problems(text: str = ACCOUNT + SHOP, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        load(written(text), environ or {})
    lines = str(refused.value).splitlines()
    assert len(lines) == len(refused.value.problems)
    assert all(problem.fix and problem.subject and not problem.ok for problem in refused.value.problems)
    return lines


def the_problem(text: str = ACCOUNT + SHOP, environ: dict[str, str] | None = None) -> str:
    (line,) = problems(text, environ)
    return line


# -- where a value comes from ----------------------------------------------------


def test_little_must_be_said() -> None:
    settings = loaded()
    assert settings.database.url == "sqlite+aiosqlite:///syncd.db"
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert settings.http.max_body_bytes < 10_000_000
    assert settings.accounts["main"].lease_seconds > settings.accounts["main"].timeout_seconds
    assert settings.shops["loja"].issue_on == ()


def test_environment_goes_before_secret_files_and_those_before_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "SYNCD_ACCOUNTS__MAIN__TOKEN").write_text("token-of-a-file\n")
    (folder / "syncd_shops__loja__webhook_secret").write_text("secret-of-a-file\r\n")
    (folder / "unrelated").write_text("x")
    (folder / "..data").mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(folder)}
    settings = loaded(**environ)
    assert settings.accounts["main"].token.get_secret_value() == "token-of-a-file"
    assert settings.shops["loja"].webhook_secret == (SecretStr("secret-of-a-file"),)
    settings = loaded(**environ, SYNCD_ACCOUNTS__MAIN__TOKEN="token-of-a-variable")
    assert settings.accounts["main"].token.get_secret_value() == "token-of-a-variable"


def test_without_a_credentials_folder_the_containers_is_read() -> None:
    written("token-there", "run-secrets/SYNCD_ACCOUNTS__MAIN__TOKEN")
    assert loaded().accounts["main"].token.get_secret_value() == "token-there"


def test_the_file_is_the_named_one_else_the_variables_else_a_usual_one(tmp_path: Path) -> None:
    def port(path: Path | None, environ: dict[str, str]) -> int:
        return load(path, environ).http.port

    written("[http]\nport = 4", str(tmp_path / "etc/syncd.toml"))
    assert port(None, {}) == 4
    written("[http]\nport = 3", "config/syncd.toml")
    assert port(None, {}) == 3
    named = written("[http]\nport = 2", "named.toml")
    assert port(None, {"SYNCD_CONFIG": str(named)}) == 2
    assert port(written("[http]\nport = 1"), {"SYNCD_CONFIG": str(named)}) == 1


def test_everything_can_come_from_the_environment() -> None:
    settings = load(
        None,
        {
            "SYNCD_DATABASE__URL": "postgresql+asyncpg://u:p@db/syncd",
            "SYNCD_HTTP__PORT": "0",
            "SYNCD_LOG__LEVEL": "WARNING",
            "SYNCD_ACCOUNTS__MAIN__PROVIDER": "billpt",
            "SYNCD_ACCOUNTS__MAIN__BASE_URL": "https://app.bill.pt",
            "SYNCD_ACCOUNTS__Main__TOKEN": "t-1",
            "SYNCD_ACCOUNTS__MAIN__TIMEOUT_SECONDS": "12.5",
            "SYNCD_ACCOUNTS__MAIN__SERIES__FR": "2026A",
            "SYNCD_ACCOUNTS__MAIN__SERIES__*": "2026",
            "SYNCD_ACCOUNTS__MAIN__FISCAL__OSS": "true",
            "SYNCD_ACCOUNTS__MAIN__FISCAL__REGION": "PT-30",
            "SYNCD_SHOPS__LOJA__PLATFORM": "shopify",
            "SYNCD_SHOPS__LOJA__ACCOUNT": "main",
            "SYNCD_SHOPS__LOJA__URL": "https://loja.example",
            "SYNCD_SHOPS__LOJA__WEBHOOK_SECRET": '["old", "new"]',
            "SYNCD_SHOPS__LOJA__ISSUE_ON": "paid, shipped",
            "SYNCD_SHOPS__LOJA__START_AFTER": "2026-01-01",
            "SYNCD_SHOPS__LOJA__PAYMENTS": '{"Card (Visa)": "CC"}',
            "SYNCD_SHOPS__LOJA__ARTICLES__Can__1": "CANECA",
            "SYNCD_TEST_POSTGRES": "not a setting",
            "PATH": "/bin",
        },
    )
    account, shop = settings.accounts["main"], settings.shops["loja"]
    assert (settings.http.port, settings.log.level) == (0, "warning")
    assert (account.timeout_seconds, account.series) == (12.5, {"FR": "2026A", "*": "2026"})
    assert (account.fiscal.oss, account.fiscal.region, account.fiscal.ship_from) == (True, "PT-30", "PT-30")
    assert [secret.get_secret_value() for secret in shop.webhook_secret] == ["old", "new"]
    assert (shop.issue_on, shop.start_after) == (("paid", "shipped"), date(2026, 1, 1))
    assert (shop.payments, shop.articles) == ({"Card (Visa)": "CC"}, {"Can__1": "CANECA"})


@pytest.mark.parametrize("secret", ["[a,b", "[1]", '{"a": 1}', "12345", "true", "a,b", "null"])
def test_a_secret_is_taken_as_it_is_written(secret: str) -> None:
    settings = loaded(SYNCD_SHOPS__LOJA__WEBHOOK_SECRET=secret, SYNCD_ACCOUNTS__MAIN__TOKEN=secret)
    assert settings.shops["loja"].webhook_secret == (SecretStr(secret),)
    assert settings.accounts["main"].token == SecretStr(secret)


def test_an_underscore_in_a_variable_may_stand_for_a_hyphen() -> None:
    settings = loaded(ACCOUNT.replace("main", "my-own"), SYNCD_ACCOUNTS__MY_OWN__TOKEN="t-1")
    assert settings.accounts["my-own"].token == SecretStr("t-1")


def test_settings_built_by_hand_take_nothing_from_the_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_HTTP__PORT", "1")
    monkeypatch.setenv("HTTP", '{"port": 2}')
    assert Settings().http.port == 8080


# -- what is refused, and how it is said -----------------------------------------


def test_every_problem_is_said_at_once() -> None:
    said = problems(
        ACCOUNT.replace("main", "mian").replace('token = "token-of-the-file"', "") + SHOP + "poll_intervall = 60\n",
        {"SYNCD_HTTP__PROT": "80", "SYNCD_LOG__LEVEL": "loud"},
    )
    assert said == [
        "SYNCD_HTTP__PROT: is not a setting; did you mean SYNCD_HTTP__PORT?",
        "SYNCD_LOG__LEVEL: must be 'debug', 'info', 'warning' or 'error'; use one of these",
        (
            "syncd.toml: accounts.mian.token: is missing; set it there, or as SYNCD_ACCOUNTS__MIAN__TOKEN in the "
            "environment or as a file in $CREDENTIALS_DIRECTORY or /run/secrets"
        ),
        "syncd.toml: shops.loja.poll_intervall: is not a setting; did you mean shops.loja.poll_interval?",
        "syncd.toml: shops.loja.account: there is no account 'main'; did you mean mian?",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SYNCD_ACOUNTS__MAIN__TOKEN", "SYNCD_ACCOUNTS__MAIN__TOKEN"),
        ("SYNCD_ACCOUNTS__MAIN__TOKN", "SYNCD_ACCOUNTS__MAIN__TOKEN"),
        ("syncd_accounts__main__tokn", "SYNCD_ACCOUNTS__MAIN__TOKEN"),
        ("SYNCD_ACCOUNTS_MAIN_TOKEN", "SYNCD_ACCOUNTS__MAIN__TOKEN"),
        ("SYNCD_SHOPS__LOJA__WEBHOOKSECRET", "SYNCD_SHOPS__LOJA__WEBHOOK_SECRET"),
        ("SYNCD_ACCOUNTS__MAIN__FISCAL__REGIM", "SYNCD_ACCOUNTS__MAIN__FISCAL__REGIME"),
        ("SYNCD_DATABASE_URL", "SYNCD_DATABASE__URL"),
        ("SYNCD_HTTP__PORT__", "SYNCD_HTTP__PORT"),
        ("SYNCD_CONFIGS", None),
        ("SYNCD_", None),
        ("SYNCD_HTTP", None),
    ],
)
def test_a_misspelt_name_is_an_error_with_the_nearest(name: str, meant: str | None, tmp_path: Path) -> None:
    said = the_problem(environ={name: "a-secret-value"})
    assert said.startswith(f"{name}: is not a setting; ")
    assert meant is None or said.endswith(f"did you mean {meant}?")
    written("a-secret-value", f"run-secrets/{name}")
    from_file = the_problem()
    assert from_file == said.replace(name, str(tmp_path / "run-secrets" / name), 1)
    assert "a-secret-value" not in said


@pytest.mark.parametrize("name", ["SYNCD_ACCOUNTS__MIAN__TOKEN", "SYNCD_SHOPS__LOJAS__WEBHOOK_SECRET"])
def test_a_name_that_belongs_to_no_account_or_shop_is_a_slip(name: str) -> None:
    said = the_problem(environ={name: "t-1"})
    assert said.startswith(f"{name}: there is no [")
    assert said.endswith(("did you mean main?", "did you mean loja?"))


def test_kubernetes_own_variables_are_explained() -> None:
    said = problems(environ={"SYNCD_PORT": "tcp://10.0.0.1:80", "SYNCD_SERVICE_HOST": "10.0.0.1"})
    assert all("enableServiceLinks" in line for line in said)
    assert len(said) == 2


def test_the_same_setting_under_two_names_is_an_error() -> None:
    said = the_problem(environ={"SYNCD_HTTP__PORT": "1", "syncd_http__port": "2"})
    assert said == "syncd_http__port: names the same setting as SYNCD_HTTP__PORT; keep one of the two"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[acounts.main]\nprovider = "billpt"', "acounts: is not a setting; did you mean accounts?"),
        ("[http]\nprot = 80", "http.prot: is not a setting; did you mean http.port?"),
        (
            ACCOUNT + 'region = "PT"',
            "accounts.main.region: is not a setting; did you mean accounts.main.fiscal.region?",
        ),
        (ACCOUNT + '[accounts.main.fiscal]\nregin = "PT"', "did you mean accounts.main.fiscal.region?"),
        (ACCOUNT + '[accounts.main.fiscal]\nregion = "ES"', "must be 'PT', 'PT-20' or 'PT-30'"),
        ("http = 80", "http: must be a table; write it as [http]"),
        ("[accounts]\nmain = 1", "accounts.main: must be a table"),
        ("[http]\nport = 70000", "http.port: must be less than or equal to 65535"),
        ("[http]\nport = true", "http.port: must be a number"),
        ("[http]\nmax_body_bytes = 10_000_000", "must be less than 10000000"),
        (ACCOUNT + "timeout_seconds = inf", "accounts.main.timeout_seconds: must be"),
        (ACCOUNT + "timeout_seconds = 0", "must be greater than 0"),
        (ACCOUNT + "timeout_seconds = 60", "lease_seconds: 60 is not longer than timeout_seconds = 60"),
        (ACCOUNT + "lease_seconds = 30", "lease_seconds: 30 is not longer than timeout_seconds = 30"),
        (ACCOUNT + 'series = {FA = "x"}', "accounts.main.series: 'FA' is no kind of document"),
        (ACCOUNT.replace("billpt", "bilpt"), "'bilpt' is no known invoicing service; did you mean billpt?"),
        (ACCOUNT.replace("main", "Main"), "'Main' is no name for an account or a shop; use a-z"),
        (ACCOUNT.replace("main", "a__b"), "'a__b' is no name for an account or a shop"),
        (ACCOUNT.replace("main", '"a/b"'), "'a/b' is no name for an account or a shop"),
        (ACCOUNT.replace("https", "http"), "base_url: would send secrets unencrypted"),
        (ACCOUNT.replace("https://", ""), "base_url: is not a web address"),
        (ACCOUNT.replace("app.bill", "u:pa55@app.bill"), "base_url: carries more than host and path"),
        (ACCOUNT.replace("bill.pt", "bill.pt:99999"), "base_url: is not a web address"),
        (ACCOUNT + SHOP.replace("woocommerce", "woocomerce"), "no known platform; did you mean woocommerce?"),
        (ACCOUNT + SHOP.replace("https", "http"), "url: would send secrets unencrypted"),
        (ACCOUNT + SHOP.replace('"secret-of-the-file"', '""'), "webhook_secret[0]: is empty"),
        (ACCOUNT + SHOP.replace('"secret-of-the-file"', '"  "'), "webhook_secret[0]: is empty"),
        (ACCOUNT + SHOP.replace('"secret-of-the-file"', "[]"), "webhook_secret: is empty"),
        (ACCOUNT + SHOP.replace('"secret-of-the-file"', '["a", ""]'), "webhook_secret[1]: is empty"),
        (ACCOUNT.replace("token-of", " token-of"), "token: has blanks around it"),
        (ACCOUNT.replace('"token-of-the-file"', "123456"), "token: must be a valid string"),
        (ACCOUNT + SHOP + 'consumer_key = "ck"', "consumer_key is given without consumer_secret"),
        (ACCOUNT + SHOP + 'consumer_secret = "cs"', "consumer_secret is given without consumer_key"),
        (ACCOUNT + SHOP + 'client_id = "a"', "client_id is given without client_secret"),
        (ACCOUNT + SHOP + 'payments = {card = "XX"}', "payments.card: 'XX' is no SAF-T payment mechanism"),
        (ACCOUNT + SHOP + 'unknown_payment = "XX"', "unknown_payment: 'XX' is no SAF-T payment mechanism"),
        (ACCOUNT + SHOP + 'on_rate_mismatch = "law"', "must be 'hold', 'follow_shop' or 'follow_law'"),
        (ACCOUNT + SHOP + "poll_interval = -1", "poll_interval: must be greater than or equal to 0"),
        (ACCOUNT + SHOP + 'start_after = "soon"', "start_after: must be a valid date"),
        ('[database]\nurl = "postgres://u:pa55@db/x"', "write it as postgresql+asyncpg://user:password@host/name"),
        ('[database]\nurl = "ledger.db"', "write it as sqlite+aiosqlite:///syncd.db"),
        ("[http\nport = 1", "is not TOML: "),
    ],
)
def test_what_is_wrong_says_where_and_how_to_right_it(text: str, said: str) -> None:
    line = the_problem(text)
    assert said in line
    assert line.startswith("syncd.toml: ")
    assert "pa55" not in line


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SYNCD_ACCOUNTS__MAIN__TOKEN", "", "is empty"),
        ("SYNCD_HTTP__PORT", "eighty", "must be a valid integer"),
        ("SYNCD_SHOPS__LOJA__PAYMENTS", "CC", 'is not an object in JSON; write {"key": "value"}'),
        ("SYNCD_SHOPS__LOJA__PAYMENTS", "[]", "is not an object in JSON"),
        ("SYNCD_SHOPS__LOJA__ISSUE_ON", '["a"', 'is not a list in JSON; write ["one", "two"]'),
        ("SYNCD_SHOPS__LOJA__PAYMENTS__card", "XX", "is no SAF-T payment mechanism"),
        ("SYNCD_SHOPS__LOJA__ACCOUNT", "other", "there is no account 'other'"),
    ],
)
def test_what_a_variable_gets_wrong_is_said_of_the_variable(name: str, value: str, said: str) -> None:
    line = the_problem(environ={name: value})
    assert line.startswith(f"{name}: ")
    assert said in line


def test_plain_http_is_for_this_machine_or_by_permission() -> None:
    for base in ("http://127.0.0.1:8089", "http://localhost", "http://[::1]:1", "http://shop.localhost"):
        assert loaded(ACCOUNT.replace("https://app.bill.pt", base)).accounts["main"].base_url == base
    allowed = ACCOUNT + SHOP.replace("https", "http") + "allow_http = true"
    assert loaded(allowed).shops["loja"].url == "http://loja.example"


@pytest.mark.parametrize("path", ["absent.toml", "."])
def test_a_file_that_cannot_be_read_is_named(path: str) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read \("):
        load(Path(path), {})
    with pytest.raises(SettingsError, match=r"cannot be read \("):
        load(None, {"SYNCD_CONFIG": path})


def test_files_that_are_no_text_are_named() -> None:
    Path("odd.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match=r"odd\.toml: is not UTF-8"):
        load(Path("odd.toml"), {})
    written("", "run-secrets/SYNCD_ACCOUNTS__MAIN__TOKEN").write_bytes(b"\xff")
    assert "SYNCD_ACCOUNTS__MAIN__TOKEN: cannot be read (not UTF-8 text)" in the_problem()


def test_without_any_file_it_says_where_it_looked() -> None:
    with pytest.raises(SettingsError, match=r"looked for config/syncd\.toml and .*-c FILE"):
        load(None, {})


def test_settings_built_by_hand_are_checked_as_well() -> None:
    shop = {"platform": "generic", "account": "mian", "url": "https://a.example", "webhook_secret": "s"}
    with pytest.raises(ValidationError, match="there is no account 'mian'"):
        Settings.model_validate({"shops": {"loja": shop}})


# -- secrets, and what the rest of the program is given --------------------------

SECRETS = {
    "SYNCD_DATABASE__URL": "postgresql+asyncpg://syncd:p%4055@db:5432/syncd",
    "SYNCD_ACCOUNTS__MAIN__TOKEN": "account-token",
    "SYNCD_SHOPS__LOJA__WEBHOOK_SECRET": '["hook-one", "hook-two"]',
    "SYNCD_SHOPS__LOJA__CONSUMER_KEY": "ck-value",
    "SYNCD_SHOPS__LOJA__CONSUMER_SECRET": "cs-value",
    "SYNCD_SHOPS__LOJA__ACCESS_TOKEN": "shop-token",
    "SYNCD_SHOPS__LOJA__CLIENT_ID": "the-client",
    "SYNCD_SHOPS__LOJA__CLIENT_SECRET": "client-value",
}
VALUES = {"p%4055", "p@55", "account-token", "hook-one", "hook-two", "ck-value", "cs-value", "shop-token"} | {
    "client-value"
}


def test_all_secrets_are_known_to_the_logs() -> None:
    assert {secret.get_secret_value() for secret in secrets_in(loaded(**SECRETS))} == VALUES


def test_a_description_shows_everything_but_secrets() -> None:
    settings = loaded(**SECRETS)
    shown = describe(settings)
    assert shown["database.url"] == "postgresql+asyncpg://syncd:********@db:5432/syncd"
    assert shown["accounts.main.token"] == "********"
    assert shown["shops.loja.webhook_secret[1]"] == "********"
    assert shown["shops.loja.client_id"] == "the-client"
    assert shown["accounts.main.fiscal.region"] == "PT"
    everything = f"{shown} {settings!r} {settings} {settings.shop_config('loja')} {settings.account_config('main')}"
    assert not [value for value in VALUES if value in everything]


def test_nothing_can_be_changed_later() -> None:
    settings = loaded()
    for part in (settings, settings.http, settings.accounts["main"].fiscal):
        name = next(iter(type(part).model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, name, None)


def test_adapters_get_their_share() -> None:
    settings = loaded(
        ACCOUNT + 'options = {sandbox = "yes"}\n' + SHOP + 'tax_id_keys = ["nif"]\napi_version = "v3"\n'
        'options = {domains = "a.example"}\n',
        **SECRETS,
    )
    account, shop = settings.account_config("main"), settings.shop_config("loja")
    assert (account.name, account.base_url, account.timeout_seconds) == ("main", "https://app.bill.pt", 30)
    assert (account.token, account.options) == (SecretStr("account-token"), {"sandbox": "yes"})
    assert (shop.name, shop.url, shop.api_version) == ("loja", "https://loja.example", "v3")
    assert (shop.tax_id_keys, shop.extra) == (("nif",), {"domains": "a.example"})
    assert shop.webhook_secrets == (SecretStr("hook-one"), SecretStr("hook-two"))
    assert (shop.consumer_key, shop.consumer_secret) == (SecretStr("ck-value"), SecretStr("cs-value"))
    assert (shop.access_token, shop.client_id) == (SecretStr("shop-token"), "the-client")
    assert shop.client_secret == SecretStr("client-value")


def test_a_shops_settings_build_its_adapter() -> None:
    settings = loaded(ACCOUNT + SHOP.replace("woocommerce", "generic"))
    assert load_shop("generic")(settings.shop_config("loja")).can_ask is False


def test_importing_and_loading_bring_in_no_heavy_library() -> None:
    path = written()
    heavy = ("typer", "rich", "sqlalchemy", "aiohttp", "alembic", "structlog", "stdnum")
    code = f"""
import json, sys
from pathlib import Path
from syncd.settings import load
load(Path({str(path)!r}), {{}})
print(json.dumps([name for name in {heavy!r} if name in sys.modules]))
"""
    root = Path(load_module.__code__.co_filename).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(root)}
    )
    found: Any = json.loads(ran.stdout)
    assert found == []
