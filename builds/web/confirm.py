"""The page that asks before an act, and the doing of it when the answer is yes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from builds.models import NotAllowed


class Why(Enum):
    """Whether an act wants a reason."""

    NOT_ASKED = "not asked"
    OPTIONAL = "optional"
    WANTED = "wanted"


@dataclass(frozen=True, slots=True)
class Question:
    """One act that somebody is about to do.

    `happens` says in plain words what it does, a sentence each; `refusal` why it can't be done
    now, "" where it can; `back` is the page that one came from.
    """

    title: str
    button: str
    happens: tuple[str, ...]
    refusal: str
    back: str
    why: Why = Why.NOT_ASKED
    public: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, in a sentence, and the page that shows it."""

    said: str
    url: str


class ReasonForm(forms.Form):
    """Why something is done."""

    reason = forms.CharField(
        max_length=500, strip=True, widget=forms.Textarea(attrs={"rows": 3}), label=_("Reason")
    )


def ask(request: HttpRequest, question: Question, do: Callable[[str], Done]) -> HttpResponse:
    """Show the question; when it is sent back with yes, do it and say so, or say why not.

    `do` is given the reason, "" where none was; it may raise NotAllowed.
    """
    form = _form(request, question)
    if request.method == "POST" and question.refusal:
        messages.error(request, question.refusal)
        return redirect(question.back)
    if request.method != "POST" or not form.is_valid():
        status = 409 if question.refusal else 200
        context = {"question": question, "form": form}
        return render(request, "web/confirm.html", context, status=status)
    try:
        done = do(form.cleaned_data.get("reason", ""))
    except NotAllowed as refusal:
        messages.error(request, str(refusal))
        return redirect(question.back)
    messages.success(request, done.said)
    return redirect(done.url)


def _form(request: HttpRequest, question: Question) -> forms.Form:
    given = request.POST if request.method == "POST" else None
    if question.why is Why.NOT_ASKED:
        return forms.Form(given)
    form = ReasonForm(given)
    field = form.fields["reason"]
    field.required = question.why is Why.WANTED
    field.help_text = (
        gettext("Everybody can read it.")
        if question.public
        else gettext("It is kept in the audit trail.")
    )
    return form
