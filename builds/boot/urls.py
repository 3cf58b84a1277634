"""Addresses of composed boots; no query strings, since iPXE takes a file's name from its URL."""

from django.urls import path

from builds.boot import views
from builds.boot.handover import NAME

SCRIPT = "netboot.ipxe"

urlpatterns = [
    path(
        f"boot/<str:channel>/<str:system>/<str:segment>/{SCRIPT}",
        views.script_of_latest,
        name="composed-script",
    ),
    path(f"boot/<str:channel>/<str:system>/<str:segment>/{NAME}", views.handed_over),
    path(
        f"boot/<str:channel>/<str:version>/<str:system>/<str:segment>/{SCRIPT}",
        views.script_of_release,
        name="pinned-script",
    ),
    path(
        f"boot/<str:channel>/<str:version>/<str:system>/<str:segment>/{NAME}",
        views.handed_over,
    ),
]
