"""Addresses of composed boots; no query strings, since iPXE takes a file's name from its URL."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from builds.boot import host_views, services, views
from builds.boot.handover import NAME

SCRIPT = "netboot.ipxe"


class TokenConverter(StringConverter):
    """A host's token: 24 bytes in base64url."""

    regex = "[A-Za-z0-9_-]{32}"


register_converter(TokenConverter, "token")

urlpatterns = [
    path("boot.ipxe", services.menu, name="boot-menu"),
    path("k/<str:channel>", services.kexec_of_channel, name="kexec-script"),
    path("k/<str:channel>/<str:version>", services.kexec_of_version, name="pinned-kexec-script"),
    # Before the versions of a channel: no version looks like a token.
    path("boot/host/<token:token>.ipxe", host_views.script, name="host-script"),
    path("boot/host/<token:token>/booting.txt", host_views.booting, name="host-booting"),
    path("boot/<str:channel>.ipxe", services.channel_script, name="channel-script"),
    path(
        "boot/<str:channel>/<str:version>.ipxe",
        services.version_script,
        name="pinned-channel-script",
    ),
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
