"""Addresses of downloads; also under the path that a GitHub release of the seed has."""

from django.urls import include, path

from builds.downloads import views

releases = [
    path("latest/download/<str:name>", views.default_channel_file, name="default-channel-file"),
    path("download/<str:channel>/<str:name>", views.channel_file, name="channel-file"),
    path(
        "download/<str:channel>/<str:version>/<str:name>",
        views.release_file,
        name="release-file",
    ),
    path("download/<path:rest>", views.no_such_file, name="no-such-file"),
]

urlpatterns = [
    path("checks/<int:check_id>/screen.png", views.check_picture, name="check-picture"),
    path("checks/<int:check_id>/kept/<str:name>", views.check_file, name="check-file"),
    path("releases/", include(releases)),
    path("keys/<str:name>", views.key_file, name="key-file"),
    path("nix-community/nixos-images/releases/", include((releases, "seed"))),
    # PyGithub follows a GitHub of one's own below /api/ only.
    path("api/v3/nix-community/nixos-images/releases/", include((releases, "seed-api"))),
]
