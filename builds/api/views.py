"""The API: its routers, listed; what each of them answers stands in a module of its own."""

from __future__ import annotations

from typing import Any

from django.views.decorators.http import require_safe
from ninja import NinjaAPI, Router
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation
from ninja.router import BoundRouter

from builds.api import acts, builds, channels, latest, logs, releases, uploads
from builds.api.caching import asked_again
from builds.api.openapi import finish
from builds.api.problems import handle_errors

# Several routers may have operations at one path: its reads in one, what changes it in another.
ROUTERS: tuple[tuple[str, Router], ...] = (
    ("channels/", channels.router),
    ("releases/", releases.router),
    ("latest/", latest.router),
    ("builds/", builds.router),
    ("builds/", logs.router),
    ("uploads/", uploads.router),
    ("", acts.router),
)


class PortalAPI(NinjaAPI):
    """Ninja's API, where one path may have operations in several routers."""

    _document: OpenAPISchema | None = None

    def _get_bound_routers(self) -> list[BoundRouter]:
        """Every router, the operations of a path all in the first one that has the path.

        Django stops at the first pattern that matches, and would answer 405 for the others'.
        """
        is_first_time = self._bound_routers_cache is None
        routers = super()._get_bound_routers()
        if is_first_time:
            _merge(routers)
        return routers

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """The name of the function that answers, which is one of a kind."""
        return operation.view_func.__name__

    def get_openapi_schema(self, **how: Any) -> OpenAPISchema:
        """The document with examples, and with all answers that there are."""
        if self._document is None:
            self._document = super().get_openapi_schema(**how)
            finish(self._document)
        return self._document


def _merge(routers: list[BoundRouter]) -> None:
    seen: dict[str, BoundRouter] = {}
    for router in routers:
        for path in list(router.path_operations):
            first = seen.setdefault(f"{router.prefix}{path}", router)
            if first is not router:
                own = first.prefix
                moved = router.path_operations.pop(path)
                at = f"{router.prefix}{path}".removeprefix(own)
                first.path_operations[at].operations.extend(moved.operations)


api = PortalAPI(
    title="NixOS images portal",
    version="1",
    description="What is the latest image of a channel, and where its files are.",
    urls_namespace="api",
    docs_url="docs",
    openapi_url="openapi.json",
    docs_decorator=lambda view: require_safe(asked_again(view)),
)
handle_errors(api)
for prefix, router in ROUTERS:
    api.add_router(prefix, router)
