"""Addresses of feeds and foreign formats; those beside downloads come before the downloads."""

from django.urls import URLPattern, include, path

from builds.feeds import atom, badge, companions, hydra, schemas, simplestreams, streams

_beside = [
    path(f"{place}<str:name>{suffix}", view)
    for suffix, view in ((".meta4", companions.meta4), (".torrent", companions.torrent_file))
    for place in (
        "latest/download/",
        "download/<str:channel>/",
        "download/<str:channel>/<str:version>/",
    )
]

_jobs: list[URLPattern] = [
    path(way, view)
    for latest in ("latest", "latest-finished")
    for way, view in (
        (latest, hydra.latest),
        (f"{latest}/download-by-type/<str:kind>/<str:subtype>", hydra.by_type),
        (f"{latest}/download", hydra.by_number),
        (f"{latest}/download/<int:number>", hydra.by_number),
        (f"{latest}/download/<int:number>/<str:name>", hydra.by_number),
    )
]

urlpatterns = [
    path("feed.atom", atom.feed, name="feed"),
    path("channels/<str:channel>/feed.atom", atom.feed, name="channel-feed"),
    path("releases/", include(_beside)),
    path("nix-community/nixos-images/releases/", include(_beside)),
    path("", include("builds.feeds.github.urls")),
    path("job/<str:channel>/<str:job>/", include(_jobs)),
    path(f"job/{hydra.PROJECT}/<str:channel>/<str:job>/", include(_jobs)),
    path("job/<path:rest>", hydra.no_such_job),
    path("api/latestbuilds", hydra.latest_builds),
    path("streams/<str:channel>.json", streams.stream, name="stream"),
    *(
        path(f"streams/v1/{name}.{form}", view, {"form": form})
        for form in (simplestreams.PLAIN, simplestreams.SIGNED)
        for name, view in (
            ("index", simplestreams.index),
            ("org.nixos.images:<str:channel>:download", simplestreams.products),
        )
    ),
    path("streams/v1/key.asc", simplestreams.key),
    path("badge/<str:channel>/<str:system>.svg", badge.picture, name="badge"),
    path("badge/<str:channel>/<str:system>.json", badge.endpoint, name="badge-endpoint"),
    path(
        "badge/<str:channel>/<str:system>/reproduced.svg",
        badge.picture,
        {"of": badge.reproduction_of},
        name="badge-reproduced",
    ),
    path(
        "badge/<str:channel>/<str:system>/reproduced.json",
        badge.endpoint,
        {"of": badge.reproduction_of},
    ),
    path("schemas/<str:name>.json", schemas.schema, name="schema"),
]
