"""Django without any middleware: one view gives files from memory; what the framework costs."""

from __future__ import annotations

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import re_path

from bench.plain_files import by_path

_KNOWN = by_path()

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], MIDDLEWARE=[])


def view(request: HttpRequest) -> HttpResponse:
    """The bytes of a path."""
    return HttpResponse(_KNOWN[request.path_info])


urlpatterns = [re_path("", view)]
application = get_wsgi_application()
