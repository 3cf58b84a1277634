"""The WSGI application: pages, downloads and API, served by gunicorn's threads."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

_django = get_wsgi_application()

from portal.kept import KeptAnswers  # noqa: E402 - what it needs wants Django's settings

application = KeptAnswers(_django)
