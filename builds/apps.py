"""The app's configuration."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class BuildsConfig(AppConfig):
    """Builds, releases and everything that shows them."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "builds"

    def ready(self) -> None:
        """Keep the groups of people in step with what they may do."""
        from builds.models.access import keep_groups  # noqa: PLC0415 - models are ready only now

        post_migrate.connect(keep_groups, sender=self)
