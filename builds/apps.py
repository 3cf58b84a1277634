"""The app's configuration."""

from django.apps import AppConfig


class BuildsConfig(AppConfig):
    """Builds, releases and everything that shows them."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "builds"
