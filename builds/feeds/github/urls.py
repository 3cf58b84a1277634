"""Addresses of GitHub's API and pages that are below our host, too."""

from django.urls import include, path
from django.urls.resolvers import URLPattern, URLResolver

from builds.feeds import atom
from builds.feeds.github import views
from builds.feeds.github.shapes import REPOSITORY

_releases = [
    path("releases", views.releases),
    path("releases/latest", views.latest),
    path("releases/tags/<path:tag>", views.by_tag),
    path("releases/<int:number>", views.by_number),
    path("releases/<int:number>/assets", views.assets),
    path("releases/assets/<int:number>", views.asset),
]
_repositories: list[URLPattern | URLResolver] = [
    path(REPOSITORY, views.repository),
    path(f"{REPOSITORY}/", include(_releases)),
    path("<path:rest>", views.nothing),
]
_pages: list[URLPattern | URLResolver] = [
    path("releases/latest", views.latest_page),
    path("releases/tag/<path:tag>", views.tag_page),
]
urlpatterns = [
    path("repos/", include(_repositories), {"root": ""}),
    path("api/v3/repos/", include(_repositories), {"root": "/api/v3"}),
    path("", include(_pages)),
    path(f"{REPOSITORY}/", include(_pages)),
    path(f"{REPOSITORY}/releases.atom", atom.feed),
    path(REPOSITORY, views.front_page),
    path(f"{REPOSITORY}/", views.front_page),
    path(f"{REPOSITORY}/releases", views.front_page),
    path(f"{REPOSITORY}/releases/", views.front_page),
    path("releases", views.front_page),
]
