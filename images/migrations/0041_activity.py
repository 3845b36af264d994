"""Index the events of images and families by time, for the activity of the whole catalogue."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("images", "0040_digests_of_indexes")]

    operations = [
        migrations.AddIndex(
            "event", models.Index(fields=["at", "id"], name="event_newest")
        ),
        migrations.AddIndex(
            "event",
            models.Index(fields=["actor", "at", "id"], name="event_actor_newest"),
        ),
        migrations.AddIndex(
            "event",
            models.Index(fields=["project", "at", "id"], name="event_project_newest"),
        ),
        migrations.AddIndex(
            "familyevent",
            models.Index(fields=["at", "id"], name="family_event_newest"),
        ),
    ]
