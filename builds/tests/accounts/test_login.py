"""Signing in by password and code: who gets in, who is kept out, and what a browser is told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pyotp
import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.cache import cache, caches
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from builds.choices import Standing
from builds.models import Actor, AuditEntry, give_standing
from builds.tests.accounts.conftest import PASSWORD, person
from builds.tests.factories import ChannelFactory, ReleaseFactory
from builds.tests.web.reading import text_of
from portal.accounts import FactorAdapter

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_hashes")]
LOGIN = "/accounts/login/"
COOKIES = """
from django.conf import settings as s
print(s.SESSION_COOKIE_NAME, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_NAME, s.CSRF_COOKIE_SECURE)
print(s.SESSION_COOKIE_DOMAIN, s.SESSION_COOKIE_PATH, s.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN)
print(s.ACCOUNT_DEFAULT_HTTP_PROTOCOL)
"""


def sign_in(client: Client, password: str = PASSWORD, **more: str) -> str:
    """Try it; where one is led then, "" where the page is shown again."""
    response = client.post(LOGIN, {"login": "ann", "password": password, **more})
    return str(response.headers.get("Location", ""))


def secret_of(user: User) -> str:
    """Give a user an authenticator app; its secret."""
    secret = pyotp.random_base32()
    TOTP.activate(user, secret)
    return secret


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def operator(name: str = "ann") -> User:
    user = person(name)
    give_standing(user, Standing.OPERATOR, by=Actor("test"), at=timezone.now())
    return user


def test_password_opens_and_the_page_says_who_and_what_one_is(client: Client) -> None:
    operator()
    assert sign_in(client, next="/status/") == "/status/"
    page = text_of(client.get("/"))
    assert "ann operator" in page
    assert "Sign out" in page


def test_wrong_password_and_unknown_name_say_the_same(client: Client) -> None:
    person()
    wrong = client.post(LOGIN, {"login": "ann", "password": "wrong"})
    unknown = client.post(LOGIN, {"login": "bob", "password": "wrong"})
    said = "The username and/or password you specified are not correct."
    assert said in text_of(wrong)
    assert said in text_of(unknown)


def test_inactive_account_does_not_open(client: Client) -> None:
    person(is_active=False)
    assert sign_in(client) == "/accounts/inactive/"
    assert not is_in(client)


def test_after_five_wrong_passwords_the_right_one_does_not_open(client: Client) -> None:
    person()
    for _ in range(5):
        sign_in(client, "wrong")
    response = client.post(LOGIN, {"login": "ann", "password": PASSWORD})
    assert "Too many failed login attempts" in text_of(response)
    assert not is_in(client)
    elsewhere = Client(REMOTE_ADDR="198.51.100.7")
    sign_in(elsewhere)
    assert not is_in(elsewhere), "the name is shut, from wherever"


def test_thirty_wrong_passwords_from_one_address_shut_it_for_every_name(client: Client) -> None:
    person()
    for number in range(30):
        client.post(LOGIN, {"login": f"nobody-{number}", "password": "wrong"})
    sign_in(client)
    assert not is_in(client)
    elsewhere = Client(REMOTE_ADDR="198.51.100.7")
    sign_in(elsewhere)
    assert is_in(elsewhere), "others are not held up"


def test_guesses_are_counted_in_redis_by_all_processes_together(
    client: Client, settings: LazySettings, redis_url: str
) -> None:
    backend = "django.core.cache.backends.redis.RedisCache"
    location = redis_url.replace("redis+socket://", "unix://")
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": location}}
    person()
    for _ in range(5):
        sign_in(client, "wrong")
    for each in caches.all():
        each.close()
    sign_in(client)
    assert not is_in(client)
    assert any("login_failed" in key.decode() for key in cache._cache.get_client().scan_iter())  # type: ignore[attr-defined]
    cache.clear()
    sign_in(client)
    assert is_in(client)


def test_nobody_gets_in_while_guesses_can_not_be_counted(
    client: Client, settings: LazySettings, tmp_path: Path
) -> None:
    backend = "django.core.cache.backends.redis.RedisCache"
    nowhere = {"BACKEND": backend, "LOCATION": f"unix://{tmp_path}/nobody.sock"}
    person()
    kept = settings.CACHES
    settings.CACHES = {"default": nowhere}
    response = client.post(LOGIN, {"login": "ann", "password": PASSWORD})
    settings.CACHES = kept
    assert response.status_code == 503
    assert "Redis does not answer" in text_of(response)
    assert not is_in(client)


@pytest.mark.parametrize(
    "evil",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "https:evil.example",
        "javascript:alert(1)",
        "http://testserver@evil.example/",
        "\thttps://evil.example",
    ],
)
def test_next_leads_nowhere_else(client: Client, evil: str) -> None:
    person()
    assert sign_in(client, next=evil) == "/"
    client.logout()
    client.get(LOGIN, {"next": evil})
    assert "evil" not in str(client.get("/admin/login/", {"next": evil}).headers["Location"])


def test_app_code_is_asked_for_and_opens(client: Client) -> None:
    secret = secret_of(person())
    assert sign_in(client) == "/accounts/2fa/authenticate/"
    assert not is_in(client)
    asks = "/accounts/2fa/authenticate/"
    assert "Incorrect code" in text_of(client.post(asks, {"code": "000000"}))
    assert not is_in(client)
    client.post(asks, {"code": pyotp.TOTP(secret).now()})
    assert is_in(client)


def test_app_code_opens_once(client: Client) -> None:
    secret = secret_of(person())
    code = pyotp.TOTP(secret).now()
    for expected in (True, False):
        browser = Client()
        sign_in(browser)
        browser.post("/accounts/2fa/authenticate/", {"code": code})
        assert is_in(browser) == expected


def test_recovery_code_opens_once() -> None:
    user = person()
    secret_of(user)
    code = RecoveryCodes.activate(user).get_unused_codes()[0]
    for expected in (True, False):
        browser = Client()
        sign_in(browser)
        browser.post("/accounts/2fa/authenticate/", {"code": code})
        assert is_in(browser) == expected


def test_app_is_set_up_on_the_pages(client: Client) -> None:
    operator()
    sign_in(client)
    assert "Only a password stands between" in text_of(client.get("/"))
    asks = client.get("/accounts/2fa/totp/activate/").headers["Location"]
    assert asks.startswith("/accounts/reauthenticate/"), "a session left open gives no factor"
    client.post(asks, {"password": PASSWORD})
    page = client.get("/accounts/2fa/totp/activate/")
    secret = page.context["form"].secret
    assert 'src="data:image/svg' in page.content.decode()
    client.post("/accounts/2fa/totp/activate/", {"code": pyotp.TOTP(secret).now()})
    stored = Authenticator.objects.get(type="totp").data["secret"]
    assert secret not in stored, "the database holds it sealed"
    assert FactorAdapter().decrypt(stored) == secret
    assert "Only a password stands between" not in text_of(client.get("/"))
    assert len(text_of(client.get("/accounts/2fa/recovery-codes/"))) > 100


def test_secret_opens_after_the_key_was_changed(settings: LazySettings) -> None:
    sealed = FactorAdapter().encrypt("secret")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of at least thirty-two letters"
    assert FactorAdapter().decrypt(sealed) == "secret"


@pytest.mark.parametrize("has_factor", [False, True])
def test_factor_is_wanted_of_those_who_may_change_things(
    client: Client, settings: LazySettings, *, has_factor: bool
) -> None:
    settings.REQUIRE_MFA = True
    user = operator()
    ChannelFactory(name="demo")
    if has_factor:
        secret_of(user)
    client.force_login(User.objects.get(pk=user.pk))
    for path in ("/channels/demo/trigger", "/admin/", "/admin/builds/channel/", "/audit/"):
        page = client.get(path, follow=True)
        led = [url for url, _ in page.redirect_chain][-1:]
        assert led == ([] if has_factor else ["/accounts/2fa/"]), path
    assert client.get("/channels/demo/").content.decode().count("act-link") == 3 * has_factor
    client.post("/channels/demo/trigger")
    assert AuditEntry.objects.filter(act="trigger").exists() == has_factor


def test_viewer_needs_no_second_factor(client: Client, settings: LazySettings) -> None:
    settings.REQUIRE_MFA = True
    user = person()
    give_standing(user, Standing.VIEWER, by=Actor("test"), at=timezone.now())
    client.force_login(User.objects.get(pk=user.pk))
    assert client.get("/audit/").status_code == 200
    assert "second factor of everybody" not in text_of(client.get("/"))


def test_django_admin_has_no_door_of_its_own(client: Client) -> None:
    secret_of(person(is_staff=True, is_superuser=True))
    posted = client.post("/admin/login/", {"username": "ann", "password": PASSWORD})
    assert posted.headers["Location"] == "/accounts/login/?next=/admin/"
    assert not is_in(client)
    sign_in(client)
    assert client.get("/admin/").headers["Location"].startswith("/admin/login/")
    led = client.get("/admin/", follow=True).redirect_chain[-1][0]
    assert led == "/accounts/2fa/authenticate/", "the code is still to come"


@pytest.mark.parametrize(
    "path",
    ["signup/", "email/", "confirm-email/", "3rdparty/signup/", "password/reset/"],
)
def test_what_nobody_needs_is_closed(client: Client, path: str) -> None:
    assert client.get(f"/accounts/{path}").status_code == 404
    form = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD, "email": "a@b.c"}
    assert client.post(f"/accounts/{path}", form).status_code == 404
    assert not User.objects.exists()


def test_signing_out_wants_a_post_with_the_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(person())
    client.get("/accounts/logout/")
    client.post("/accounts/logout/")
    assert is_in(client)
    client.get("/")
    token = {"csrfmiddlewaretoken": client.cookies["csrftoken"].value}
    assert client.post("/accounts/logout/", token).headers["Location"] == "/"
    assert not is_in(client)


def test_password_is_changed_for_a_good_one_only(client: Client) -> None:
    person()
    sign_in(client)
    for new in ("short", "password1234", "929292929292"):
        form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
        client.post("/accounts/password/change/", form)
        assert User.objects.get().check_password(PASSWORD)
    form = {"oldpassword": PASSWORD, "password1": "a new long one", "password2": "a new long one"}
    client.post("/accounts/password/change/", form)
    assert User.objects.get().check_password("a new long one")
    assert is_in(client)


def test_cookies_are_for_the_server_and_this_site_alone(client: Client) -> None:
    person()
    sign_in(client)
    cookie = client.cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert client.cookies["csrftoken"]["httponly"]


def test_visitors_of_downloads_and_pages_get_no_cookie_and_downloads_do_not_vary(
    client: Client,
) -> None:
    release = ReleaseFactory(channel__name="demo", published=True, stored=True)
    name = release.artifacts.first().name
    answer = client.get(f"/releases/download/demo/{name}")
    assert answer.status_code == 200
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert not answer.cookies
    assert not client.get("/").cookies
    assert len(answer.headers["X-Request-ID"]) == 32


def test_request_id_of_a_front_server_is_taken_where_it_is_plain(
    client: Client, settings: LazySettings
) -> None:
    settings.TRUSTED_PROXIES = 1
    user = operator()
    client.force_login(User.objects.get(pk=user.pk))
    ChannelFactory(name="demo", systems=["x86_64-linux"])
    given = "0d9f6f0e-5b1c-4e0e-9b8f-0123456789ab"
    answer = client.post("/channels/demo/trigger", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given
    assert AuditEntry.objects.newest_first()[0].request == given
    odd = client.get("/", headers={"X-Request-ID": "<script>"})
    assert odd.headers["X-Request-ID"] != "<script>"


def test_command_makes_accounts_gives_roles_and_forgets_factors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(CommandError, match="--create makes it"):
        call_command("account", "ann", "--role", "admin")
    call_command("account", "ann", "--role", "admin", "--create")
    password = capsys.readouterr().out.split("the password ")[1].split()[0]
    user = User.objects.get(username="ann")
    assert user.check_password(password)
    secret_of(user)
    call_command("account", "ann", "--forget-second-factor")
    assert not Authenticator.objects.exists()
    reasons = AuditEntry.objects.order_by("number").values_list("act", "reason")
    assert list(reasons) == [
        ("add", ""),
        ("change", "is admin now"),
        ("change", "the second factor was forgotten"),
    ]


def test_pages_of_accounts_keep_to_the_policy_and_our_look(client: Client) -> None:
    client.force_login(person(is_staff=True, is_superuser=True))
    for name in ("mfa_index", "mfa_list_webauthn", "account_change_password", "account_logout"):
        response = client.get(reverse(name))
        assert response.status_code == 200
        html = response.content.decode()
        assert "css/accounts.css" in html
        assert "style=" not in html
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]


@pytest.fixture(autouse=True)
def _near_no_edge() -> None:
    """A code that is made in one half minute and shown in the next would be another one."""
    while time.time() % 30 > 28:
        time.sleep(0.1)


def test_cookies_under_https_are_taken_from_this_host_alone(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", COOKIES],
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "PORTAL_URL": "https://images.example.org",
            "DATA_DIR": str(tmp_path),
        },
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.split() == [
        *("__Host-sessionid", "True", "__Host-csrftoken", "True", "None", "/", "False", "https"),
    ]
