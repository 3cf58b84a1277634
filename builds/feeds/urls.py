"""Addresses of the feeds."""

from django.urls import path

from builds.feeds import views

urlpatterns = [
    path("feed.atom", views.feed, name="feed"),
    path("channels/<str:channel>/feed.atom", views.feed, name="channel-feed"),
]
