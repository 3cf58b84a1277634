"""Every reader of the environment takes what makes sense and refuses the rest by name."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.env import (
    SOCKET_PATH_LIMIT,
    BadSetting,
    Environment,
    embedded_redis_socket,
)

HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z]{2,6})?", fullmatch=True)


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Environment:
    """The process's environment without any setting of the portal."""
    for name in (
        *("DATA_DIR", "SECRET_KEY", "ALLOWED_HOSTS", "PORTAL_URL"),
        *("REDIS_URL", "DATABASE_URL", "FLAG", "NUMBER", "SIGNER_SOCKET", "SIGNER_KEYS"),
    ):
        monkeypatch.delenv(name, raising=False)
    return Environment()


def refusal(read: Callable[[], object]) -> str:
    """The line that a reader stops the start with."""
    with pytest.raises(BadSetting) as caught:
        read()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("text", ["true", "yes", "on", "1", "True"])
def test_boolean_takes_the_usual_words(
    env: Environment, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("FLAG", text)
    assert env.boolean("FLAG", default=False) is True


@pytest.mark.parametrize("text", ["maybe", "2", "tru"])
def test_boolean_refuses_other_words(
    env: Environment, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("FLAG", text)
    line = refusal(lambda: env.boolean("FLAG", default=False))
    assert line == "portal: setting FLAG: wants true or false"


def test_token_lives_no_longer_than_the_most(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert env.token_days() == (90, 365)
    monkeypatch.setenv("TOKEN_DAYS_MOST", "30")
    assert env.token_days() == (30, 30)
    monkeypatch.setenv("TOKEN_DAYS", "31")
    assert "no more than TOKEN_DAYS_MOST, which is 30" in refusal(env.token_days)


@given(number=st.integers(), least=st.integers())
def test_integer_takes_whole_numbers_from_the_least_on(number: int, least: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBER", str(number))
        if number >= least:
            assert Environment().integer("NUMBER", 5, least=least) == number
        else:
            wanted = f"wants a whole number of at least {least}, not {number}"
            read = Environment()
            assert wanted in refusal(lambda: read.integer("NUMBER", 5, least=least))


@pytest.mark.parametrize("text", ["ten", "1.5", "1h"])
def test_integer_refuses_what_is_no_number(
    env: Environment, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("NUMBER", text)
    line = refusal(lambda: env.integer("NUMBER", 5))
    assert line == "portal: setting NUMBER: wants a whole number"


def test_data_folder_is_made(
    env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "some" / "where"))
    assert env.data_dir(Path("/unused")).is_dir()


def test_data_folder_has_to_be_absolute(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "var")
    line = refusal(lambda: env.data_dir(Path("/unused")))
    assert line == "portal: setting DATA_DIR: wants an absolute path, not 'var'"


def test_signer_lies_in_the_data_folder_unless_it_is_put_elsewhere(
    env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert env.signer(Path("/data")) == (Path("/data/run/signer.sock"), Path("/data/keys"))
    deep, _ = env.signer(Path("/data") / ("x" * 100))
    assert len(str(deep)) < 100, "a unix socket's path is short"
    monkeypatch.setenv("SIGNER_SOCKET", "/run/signer/socket")
    monkeypatch.setenv("SIGNER_KEYS", str(tmp_path))
    assert env.signer(Path("/data")) == (Path("/run/signer/socket"), tmp_path)
    monkeypatch.setenv("SIGNER_KEYS", "keys")
    line = refusal(lambda: env.signer(Path("/data")))
    assert line == "portal: setting SIGNER_KEYS: wants an absolute path, not 'keys'"


def test_data_folder_has_to_be_a_folder(
    env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "file"))
    assert "is not writable" in refusal(lambda: env.data_dir(Path("/unused")))


def test_secret_key_is_made_once_and_belongs_to_its_owner(env: Environment, tmp_path: Path) -> None:
    key = env.secret_key(tmp_path)

    assert len(key) >= 50
    assert env.secret_key(tmp_path) == key
    [file] = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_short_secret_key_is_refused_and_not_printed(
    env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET_KEY", "hunter2")
    line = refusal(lambda: env.secret_key(tmp_path))
    assert line == "portal: setting SECRET_KEY: wants at least 32 characters"


@given(hosts=st.lists(HOSTS, min_size=1))
def test_allowed_hosts_are_names_separated_by_commas(hosts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALLOWED_HOSTS", " , ".join(hosts))
        assert Environment().allowed_hosts(["unused"], debug=False) == hosts


def test_any_host_is_refused_save_with_debug(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "*")
    assert "trusts any Host header" in refusal(lambda: env.allowed_hosts([], debug=False))
    assert env.allowed_hosts([], debug=True) == ["*"]


@pytest.mark.parametrize("host", ["https://a.example", "a.example:8000", "a/b", "a b", "[zz]"])
def test_allowed_host_that_is_no_name_is_refused(
    env: Environment, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", host)
    assert repr(host) in refusal(lambda: env.allowed_hosts([], debug=False))


@pytest.mark.parametrize(
    ("given_", "read"),
    [
        ("", ""),
        ("https://images.example", "https://images.example"),
        ("https://images.example/", "https://images.example"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_portal_url_is_an_origin(
    env: Environment, monkeypatch: pytest.MonkeyPatch, given_: str, read: str
) -> None:
    monkeypatch.setenv("PORTAL_URL", given_)
    assert env.portal_url() == read


@pytest.mark.parametrize(
    "url",
    ["images.example", "ftp://a.example", "https://", "https://a.example/x", "https://u@a.example"],
)
def test_portal_url_with_more_or_less_is_refused(
    env: Environment, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("PORTAL_URL", url)
    assert refusal(env.portal_url).startswith("portal: setting PORTAL_URL: wants ")


@pytest.mark.parametrize(
    ("given_", "read"),
    [
        ("redis://queue:6379/1", "redis://queue:6379/1"),
        ("rediss://queue", "rediss://queue"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock"),
    ],
)
def test_redis_url_is_read_as_celery_writes_it(
    env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given_: str, read: str
) -> None:
    monkeypatch.setenv("REDIS_URL", given_)
    assert env.redis_url(tmp_path) == read


def test_other_broker_than_redis_is_refused(
    env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REDIS_URL", "amqp://queue")
    line = refusal(lambda: env.redis_url(tmp_path))
    assert line == "portal: setting REDIS_URL: wants redis://host:port/number, not 'amqp://queue'"


def test_embedded_redis_listens_in_the_data_folder(env: Environment) -> None:
    assert env.redis_url(Path("/srv/data")) == "redis+socket:///srv/data/run/redis.sock"


@given(names=st.lists(st.text("abc", min_size=1, max_size=60), min_size=1, max_size=6))
def test_embedded_redis_has_a_socket_path_that_linux_takes(names: list[str]) -> None:
    folder = Path("/", *names)
    socket = embedded_redis_socket(folder)
    assert len(str(socket)) <= SOCKET_PATH_LIMIT
    assert socket == embedded_redis_socket(folder)
    assert socket != embedded_redis_socket(folder / "other")


def test_database_is_sqlite_in_the_data_folder(env: Environment, tmp_path: Path) -> None:
    database = env.database(tmp_path)
    assert database["ENGINE"] == "django.db.backends.sqlite3"
    assert database["NAME"] == f"{tmp_path}/portal.sqlite3"


def test_postgresql_lets_no_transaction_block_for_good(
    env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://portal:secret@db/portal")
    database = env.database(tmp_path)
    assert database["HOST"] == "db"
    assert "idle_in_transaction_session_timeout" in str(database["OPTIONS"])


@pytest.mark.parametrize("url", ["mysql://db/portal", "nonsense", "oracle://db/x"])
def test_other_database_is_refused(
    env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    line = refusal(lambda: env.database(tmp_path))
    assert line.startswith("portal: setting DATABASE_URL: ")


@pytest.mark.parametrize("text", ["ftp://host", "host", "http://", "http://host/?q"])
def test_address_of_a_portal_is_an_http_one(
    env: Environment, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("FOLLOW_URL", text)
    assert refusal(lambda: env.url("FOLLOW_URL")).startswith("portal: setting FOLLOW_URL: wants")
    monkeypatch.setenv("FOLLOW_URL", "https://host/mirror/")
    assert env.url("FOLLOW_URL") == "https://host/mirror"


def test_words_are_of_those_that_are_known(
    env: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAG", "one, two,")
    assert env.words("FLAG") == ["one", "two"]
    assert refusal(lambda: env.words("FLAG", ("one",))) == (
        "portal: setting FLAG: wants one, not 'two'"
    )


def test_file_that_is_not_there_is_refused(
    env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLAG", str(tmp_path / "keys"))
    assert "can't be read" in refusal(lambda: env.readable_file("FLAG"))
    (tmp_path / "keys").touch()
    assert env.readable_file("FLAG") == str(tmp_path / "keys")
