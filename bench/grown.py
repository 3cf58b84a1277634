"""`python -m bench.grown RELEASES`: a database of its own with so many releases of each channel.

Says {"artifacts": n, "pages": [[name, path, queries], …]} of every public read; the names are the
same over every database.
DATA_DIR or DATABASE_URL say where; channels, systems and what a page shows never differ.
"""

from __future__ import annotations

import json
import os
import sys

CHANNELS = 4


def main(releases: int) -> None:
    """Make the rows; ask for every page twice, and count what the second took."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from bench.reads import reads
    from builds.management.crowd import make_crowd
    from builds.models import Artifact

    call_command("migrate", verbosity=0)
    make_crowd(CHANNELS, releases, at=timezone.now(), whole=releases)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    client = Client(headers={"Host": "localhost"})
    pages = []
    for read in reads():
        for _ in range(2):  # what is kept between requests is there the second time
            with CaptureQueriesContext(connection) as captured:
                answer = client.get(read.path)
                assert answer.status_code in {200, 302}, (read.path, answer.status_code)
                answer.close()
        pages.append((read.name, read.path, len(captured)))
    print(json.dumps({"artifacts": Artifact.objects.count(), "pages": pages}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
