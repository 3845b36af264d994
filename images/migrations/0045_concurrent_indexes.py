"""Index images, locations, transfers and events, while the service goes on writing into them."""

from __future__ import annotations

from django.db import migrations, models
from django.db.models.functions import Coalesce

from images.concurrent_indexes import AddIndexConcurrently
from images.models.known_digest import KnownDigest


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("images", "0044_download_permission")]

    operations = [
        AddIndexConcurrently(
            "transfer",
            models.Index("id", condition=~models.Q(secret=""), name="transfer_secret"),
        ),
        AddIndexConcurrently(
            "image",
            models.Index(
                fields=["digests_wanted_at"],
                name="image_digests_wanted",
                condition=models.Q(digests_wanted_at__isnull=False),
            ),
        ),
        AddIndexConcurrently(
            "image",
            models.Index(
                fields=["os_hash_value"],
                name="image_hash_value",
                condition=models.Q(os_hash_value__isnull=False),
            ),
        ),
        *(
            AddIndexConcurrently(
                "image",
                models.Index(
                    KnownDigest(algorithm),
                    name=f"image_{algorithm}",
                    condition=models.Q(checksum__isnull=False),
                ),
            )
            for algorithm in ("sha1", "sha256", "sha384", "sha512")
        ),
        AddIndexConcurrently(
            "image",
            models.Index(
                fields=["owner", "deleted_at"],
                name="image_trash_of_owner",
                condition=models.Q(status="pending_delete"),
            ),
        ),
        AddIndexConcurrently(
            "imagelocation",
            models.Index(
                Coalesce("verified_at", "created_at"),
                "id",
                name="location_to_verify",
                condition=models.Q(status="active"),
            ),
        ),
        AddIndexConcurrently(
            "imagelocation",
            models.Index(
                fields=["verified_at", "image"],
                name="location_unverified",
                condition=models.Q(status="active", verified_at=None),
            ),
        ),
        AddIndexConcurrently(
            "event",
            models.Index(fields=["verb", "at", "id"], name="event_verb_newest"),
        ),
        AddIndexConcurrently(
            "event",
            models.Index(
                fields=["request_id", "at", "id"], name="event_request_newest"
            ),
        ),
    ]
