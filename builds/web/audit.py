"""The audit trail, for those who may read it."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from builds.choices import Act
from builds.models import AuditEntry, Channel
from builds.web.access import MAY_READ_TRAIL, needs

ENTRIES_A_PAGE = 50


@require_safe
@needs(MAY_READ_TRAIL)
def audit_list(request: HttpRequest) -> HttpResponse:
    """Who did what, newest first; `who`, `act` and `channel` of the URL narrow it down."""
    asked = {name: request.GET.get(name, "").strip() for name in ("who", "act", "channel")}
    entries = AuditEntry.objects.newest_first()
    if asked["who"]:
        entries = entries.by(asked["who"])
    if asked["channel"]:
        entries = entries.of_channel(asked["channel"])
    if asked["act"] in Act.values:
        entries = entries.filter(act=asked["act"])
    context = {
        "page": Paginator(entries, ENTRIES_A_PAGE).get_page(request.GET.get("page")),
        "asked": asked,
        "is_filtered": any(asked.values()),
        "acts": Act.choices,
        "channels": Channel.objects.values_list("name", flat=True),
        "at": timezone.now(),
    }
    return render(request, "web/audit_list.html", context)
