"""Index the events of images and families by time, for the activity of the whole catalogue."""

from __future__ import annotations

from django.db import migrations, models

from images.concurrent_indexes import AddIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("images", "0040_digests_of_indexes")]

    operations = [
        AddIndexConcurrently(
            "event", models.Index(fields=["at", "id"], name="event_newest")
        ),
        AddIndexConcurrently(
            "event",
            models.Index(fields=["actor", "at", "id"], name="event_actor_newest"),
        ),
        AddIndexConcurrently(
            "event",
            models.Index(fields=["project", "at", "id"], name="event_project_newest"),
        ),
        AddIndexConcurrently(
            "familyevent",
            models.Index(fields=["at", "id"], name="family_event_newest"),
        ),
    ]
