"""Every address of the portal."""

from django.contrib import admin
from django.urls import include, path

from builds.api.views import api
from portal.health import healthz, readyz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("accounts/", include("portal.accounts_urls")),
    path("api/v1/", api.urls),
    path("", include("builds.boot.urls")),
    path("", include("builds.feeds.urls")),
    path("", include("builds.downloads.urls")),
    path("", include("builds.metrics.urls")),
    path("", include("builds.web.urls")),
]
