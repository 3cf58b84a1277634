"""Addresses of the pages."""

from django.urls import path

from builds.web import acts, pages

urlpatterns = [
    path("", pages.dashboard, name="dashboard"),
    path("channels/<str:channel>/", pages.channel_detail, name="channel-detail"),
    path("channels/<str:channel>/trigger", acts.trigger, name="trigger"),
    path("channels/<str:channel>/<str:system>/", pages.latest_detail, name="latest-detail"),
    path("releases/drafts/<int:pk>/", pages.draft_detail, name="draft-detail"),
    path(
        "releases/<str:channel>/<str:version>/<str:system>/",
        pages.release_detail,
        name="release-detail",
    ),
    path("builds/", pages.build_list, name="build-list"),
    path("builds/<int:pk>/", pages.build_detail, name="build-detail"),
    path("builds/<int:pk>/cancel", acts.cancel_build, name="build-cancel"),
    path("builds/<int:pk>/retry", acts.retry_build, name="build-retry"),
    path("releases/<int:pk>/retry", acts.retry_release, name="release-retry"),
    path("status/", pages.status, name="status"),
    path("stats/", pages.stats, name="stats"),
    path("builds/<int:pk>/log", pages.build_log, name="build-log"),
]
