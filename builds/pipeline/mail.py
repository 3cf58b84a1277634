"""E-mail about events: a subject that says it all, and a short plain text."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from builds.models import Event, Subscription

MOST_SUBJECT = 150  # characters


class NoRecipient(Exception):
    """There is nobody to send it to."""


def send_mail(event: Event, to: Subscription) -> None:
    """Send one e-mail about an event; a message that is sent twice has the same id.

    Raises NoRecipient, and OSError, which smtplib's errors are, where the server does not take it.
    """
    recipients = to.recipients()
    if not recipients:
        raise NoRecipient("No active staff account has an e-mail address.")
    subject, text = written(event)
    host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip(">")
    message = EmailMessage(
        subject,
        text,
        to=recipients,
        headers={
            "Message-ID": f"<{event.uid}.{to.pk}@{host}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    message.send()


def written(event: Event) -> tuple[str, str]:
    """Subject and text of the e-mail; the template's first line is the subject."""
    payload = event.payload
    headline = payload["reason"].partition("\n")[0]
    rendered = render_to_string(f"mail/{event.kind}.txt", {"headline": headline, **payload})
    subject, _, text = rendered.lstrip().partition("\n")
    subject = " ".join(subject.split())
    if len(subject) > MOST_SUBJECT:
        subject = subject[: MOST_SUBJECT - 1] + "…"
    return subject, text.strip() + "\n"
