"""API tokens of the person who is signed in: see them, make one, revoke one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from allauth.account.decorators import reauthentication_required
from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from builds.access import scopes_allowed
from builds.choices import Scope
from builds.models import Actor, Channel, Token
from builds.web.confirm import Done, Question, ask
from builds.web.states import State, Tone

View = Callable[..., HttpResponse]


@dataclass(frozen=True, slots=True)
class Row:
    """A token as the list shows it; `idle` are scopes that its owner has no right to now."""

    token: Token
    state: State
    idle: tuple[str, ...]


class TokenForm(forms.Form):
    """What a new token is to be; only what its owner may do now can be chosen."""

    name = forms.CharField(
        max_length=60, label=_("Name"), help_text=_("What will use it; the audit trail names it.")
    )
    scopes = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple, label=_("What it may do")
    )
    channels = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple,
        required=False,
        label=_("Channels"),
        help_text=_("Tick none for every channel, those to come included."),
    )

    def __init__(self, *args: Any, owner: User, **named: Any) -> None:
        super().__init__(*args, **named)
        allowed, most = scopes_allowed(owner), settings.TOKEN_DAYS_MOST
        names = Channel.objects.values_list("name", flat=True)
        self._offer("scopes", [(each.value, each.label) for each in Scope if each in allowed])
        self._offer("channels", [(name, name) for name in names])
        self.fields["days"] = forms.IntegerField(
            min_value=1,
            max_value=most,
            initial=settings.TOKEN_DAYS,
            label=gettext("Days until it expires"),
            help_text=gettext("At most {most}.").format(most=most),
        )

    def _offer(self, name: str, choices: list[tuple[str, Any]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = choices


def for_owners(view: View) -> View:
    """Let a view answer only those who are signed in, and let nobody on the way keep it."""

    @never_cache
    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        return view(request, *args, **named)

    return guarded


@require_safe
@for_owners
def token_list(request: HttpRequest) -> HttpResponse:
    """One's own tokens: what they may do, when they were last used, until when they live."""
    user, now = _user(request), timezone.now()
    allowed = scopes_allowed(user)
    rows = [_row(token, allowed, now) for token in Token.objects.of(user).shown(now)]
    context = {"rows": rows, "may_make": bool(allowed), "at": now}
    return render(request, "web/token_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@for_owners
@reauthentication_required
def token_new(request: HttpRequest) -> HttpResponse:
    """Make a token, and show its text: this once."""
    user = _user(request)
    form = TokenForm(request.POST if request.method == "POST" else None, owner=user)
    if request.method == "POST" and form.is_valid():
        try:
            token, text = _make(user, form.cleaned_data)
        except IntegrityError:
            form.add_error("name", gettext("You have a token of this name; revoke it first."))
        else:
            return render(request, "web/token_made.html", {"token": token, "text": text})
    context = {"form": form, "may_make": bool(scopes_allowed(user))}
    return render(request, "web/token_new.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@for_owners
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """End one of one's own tokens for good."""
    user = _user(request)
    token = get_object_or_404(Token.objects.of(user), pk=pk)
    back = reverse("token-list")
    gone = gettext("{name} was revoked before.").format(name=token.name)
    question = Question(
        title=gettext("Revoke the token {name}?").format(name=token.name),
        button=gettext("Revoke"),
        happens=(
            gettext("Whatever uses it is refused from now on."),
            gettext("This can't be undone; a new token can be made at any time."),
        ),
        refusal=gone if token.revoked_at else "",
        back=back,
    )

    def do(reason: str) -> Done:
        token.revoke(by=Actor.of(user), at=timezone.now())
        return Done(gettext("{name} is revoked.").format(name=token.name), back)

    return ask(request, question, do)


def _make(user: User, wanted: dict[str, Any]) -> tuple[Token, str]:
    now = timezone.now()
    return Token.objects.make(
        user,
        wanted["name"],
        scopes=wanted["scopes"],
        channels=wanted["channels"],
        expires_at=now + timedelta(days=wanted["days"]),
        by=Actor.of(user),
        at=now,
    )


def _row(token: Token, allowed: frozenset[Scope], at: datetime) -> Row:
    idle = tuple(scope for scope in token.scopes if scope not in allowed)
    if token.revoked_at is not None:
        return Row(token, State(Tone.QUIET, "cross", gettext("revoked")), idle)
    if token.expires_at <= at:
        return Row(token, State(Tone.WARN, "triangle", gettext("expired")), idle)
    return Row(token, State(Tone.GOOD, "disc", gettext("valid")), idle)


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User), "the door lets nobody else in"
    return request.user
