"""How allauth is to behave here: nobody signs up, roles come from claims, secrets are sealed."""

from __future__ import annotations

import base64
import hashlib
import logging
from typing import TYPE_CHECKING, Any

from allauth.account import views
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.base.constants import AuthProcess
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from redis.exceptions import RedisError

from builds.choices import Standing
from builds.models import Actor, give_standing

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)


def login(request: HttpRequest) -> HttpResponse:
    """Sign in; nobody gets in while the guesses can't be counted."""
    try:
        response: HttpResponse = views.login(request)
    except RedisError as error:
        logger.error("nobody can sign in: Redis does not answer: %s", error)  # noqa: TRY400
        return render(request, "account/away.html", status=503)
    return response


class LoginForm(AllauthLoginForm):  # type: ignore[misc]
    """Name and password; a link to reset it only where e-mail can be sent."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)
        if not settings.MAIL_IS_ON:
            self.fields["password"].help_text = ""


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts are made by admins."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up."""
        return False


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Secrets of second factors are sealed with SECRET_KEY: a stolen database gives no codes."""

    def encrypt(self, text: str) -> str:
        """Seal with the key of today."""
        return _seals().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Open what was sealed with it, or with one of SECRET_KEY_FALLBACKS."""
        return _seals().decrypt(encrypted_text.encode()).decode()

    def get_totp_label(self, user: User) -> str:
        """The name of the account."""
        return user.get_username()


class OidcAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """People of the issuer: their role is what its claim says, where OIDC_ROLES reads one."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """An account is made for those to whom a claim gives a role."""
        if _standing(sociallogin) is not None:
            return True
        raise ImmediateHttpResponse(
            render(request, "socialaccount/unknown.html", {"oidc": settings.OIDC}, status=403)
        )

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Give somebody who is known the role that the claim says now."""
        connects = sociallogin.state.get("process") == AuthProcess.CONNECT
        if sociallogin.is_existing and not connects:
            _give(sociallogin.user, sociallogin)

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> User:
        """Make the account, with the role."""
        user: User = super().save_user(request, sociallogin, form)
        _give(user, sociallogin)
        return user


def _give(user: User, sociallogin: Any) -> None:
    oidc = settings.OIDC
    if oidc is None or not oidc.roles or user.is_superuser:
        return
    by = Actor(f"sign-in by {oidc.name}")
    give_standing(user, _standing(sociallogin), by=by, at=timezone.now())


def _standing(sociallogin: Any) -> Standing | None:
    """The highest role that the claim's values give."""
    oidc = settings.OIDC
    if oidc is None:
        return None
    said = _claim(sociallogin.account.extra_data, oidc.claim)
    values = [said] if isinstance(said, str) else [str(value) for value in said]
    given = {oidc.roles[value] for value in values if value in oidc.roles}
    return next((each for each in reversed(Standing) if each in given), None)


def _claim(data: dict[str, Any], name: str) -> Any:
    """A claim from where an issuer may put it; empty where it is nowhere."""
    parts = (data.get("id_token"), data.get("userinfo"), data)
    found = (part[name] for part in parts if isinstance(part, dict) and name in part)
    return next(found, [])


def _seals() -> MultiFernet:
    keys: list[str] = [settings.SECRET_KEY, *map(str, settings.SECRET_KEY_FALLBACKS)]
    digests = (hashlib.sha256(f"second factor\0{key}".encode()).digest() for key in keys)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
