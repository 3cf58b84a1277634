"""Pages speak the reader's language; what machines read stays English."""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

ENGLISH = "en"
# Programs, scripts and feeds rely on these; the admin's own words are English, too.
FOR_MACHINES = re.compile(
    r"/(?:api|admin|static|keys|streams|badge|job|k|repos|nix-community"
    r"|releases/(?:download|latest|tag))/"
    r"|/(?:healthz|readyz|metrics|nix-community/nixos-images|releases/latest)\Z"
    r"|/[^?]*\.(?:atom|ipxe|json|txt|xml|svg)\Z"
)


class PageLanguage(LocaleMiddleware):
    """The cookie's language or the browser's, on pages only."""

    def process_request(self, request: HttpRequest) -> None:
        """Speak English to machines."""
        if FOR_MACHINES.match(request.path_info):
            translation.activate(ENGLISH)
            request.LANGUAGE_CODE = ENGLISH
        else:
            super().process_request(request)

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Say the language of a page, and that it varies; an answer to a machine does not."""
        if FOR_MACHINES.match(request.path_info):
            return response
        return super().process_response(request, response)
