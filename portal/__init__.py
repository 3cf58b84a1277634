"""The portal's wiring: settings, Celery, URLs."""

from portal.celery import app as celery_app

__all__ = ["celery_app"]
