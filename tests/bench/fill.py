"""The images that the benchmark lists: over HTTP, or straight into our own database.

As a program (``python -m tests.bench.fill FIRST LAST OWNER``) it writes rows with the
project's settings; that process is the only part of the benchmark that knows the models.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BATCH = 2_000


def tags(number: int) -> list[str]:
    """Three."""
    return sorted({"bench", f"decade-{number // 10 % 1000}", f"even-{number % 2 == 0}"})


def properties(number: int) -> dict[str, str]:
    """Six."""
    return {
        "architecture": "x86_64",
        "os_distro": ("debian", "fedora", "ubuntu")[number % 3],
        "os_version": f"{number % 20}.04",
        "build_number": str(number),
        "maintainer": f"team-{number % 50}@example.org",
        "pipeline": f"https://ci.example.org/pipelines/{number}",
    }


def document(number: int) -> dict[str, object]:
    """The JSON of a create request."""
    return {
        "name": f"bench-{number}",
        "disk_format": "raw",
        "container_format": "bare",
        "tags": tags(number),
        **properties(number),
    }


def directly(env: Mapping[str, str], first: int, last: int, owner: str) -> None:
    """Write images ``first`` to ``last - 1`` into the database that ``env`` names."""
    subprocess.run(
        [sys.executable, "-m", "tests.bench.fill", str(first), str(last), owner],
        env={**env, "DJANGO_SETTINGS_MODULE": "imagecatalog.settings"},
        cwd=ROOT,
        check=True,
        timeout=1800,
    )


def main(first: int, last: int, owner: str) -> None:
    """Insert, then refresh the planner's statistics."""
    import django

    django.setup()
    from django.db import connection
    from django.utils import timezone

    from images.models import Image

    newest = timezone.now()
    for start in range(first, last, BATCH):
        Image.objects.bulk_create(
            Image(
                name=f"bench-{number}",
                owner=owner,
                disk_format="raw",
                container_format="bare",
                properties=properties(number),
                tags=tags(number),
                created_at=newest - timedelta(milliseconds=last - number),
            )
            for number in range(start, min(start + BATCH, last))
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
