"""Addresses of the pages."""

from django.urls import path

from builds.web import acts, audit, build_views, composer, looks, mirrors, pages, tokens

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
    path("builds/", build_views.build_list, name="build-list"),
    path("builds/<int:pk>/", build_views.build_detail, name="build-detail"),
    path("builds/<int:pk>/cancel", acts.cancel_build, name="build-cancel"),
    path("builds/<int:pk>/retry", acts.retry_build, name="build-retry"),
    path("releases/<int:pk>/retry", acts.retry_release, name="release-retry"),
    path("releases/<int:pk>/cancel", acts.cancel_release, name="release-cancel"),
    path("releases/<int:pk>/publish", acts.publish, name="release-publish"),
    path("releases/<int:pk>/withdraw", acts.withdraw, name="release-withdraw"),
    path("releases/<int:pk>/rollback", acts.roll_back, name="release-rollback"),
    path("releases/<int:pk>/keep", acts.keep, name="release-keep"),
    path("releases/<int:pk>/unkeep", acts.stop_keeping, name="release-unkeep"),
    path("audit/", audit.audit_list, name="audit"),
    path("accounts/tokens/", tokens.token_list, name="token-list"),
    path("accounts/tokens/new/", tokens.token_new, name="token-new"),
    path("accounts/tokens/<int:pk>/revoke", tokens.token_revoke, name="token-revoke"),
    path("preferences", looks.preferences, name="preferences"),
    path("boot/", composer.compose, name="composer"),
    path("status/", pages.status, name="status"),
    path("mirrors/", mirrors.mirrors, name="mirrors"),
    path("stats/", pages.stats, name="stats"),
    path("verify/", pages.verify, name="verify"),
    path("builds/<int:pk>/log", build_views.build_log, name="build-log"),
]
