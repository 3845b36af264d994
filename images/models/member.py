"""A project with which an image is shared."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from images.models.image import Image


class MemberStatus(models.TextChoices):
    PENDING = "pending", _("Pending")
    ACCEPTED = "accepted", _("Accepted")
    REJECTED = "rejected", _("Rejected")


class Member(models.Model):
    """It may read the image whatever its status; the status decides about its lists only."""

    image = models.ForeignKey(Image, models.CASCADE, related_name="members")
    member = models.CharField(max_length=255, help_text="project id")
    status = models.CharField(
        max_length=8, choices=MemberStatus.choices, default=MemberStatus.PENDING
    )
    # API v1 only: it may make others members too.
    can_share = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["image", "member"], name="member_once")
        ]
        indexes = [
            models.Index(fields=["member", "status", "image"], name="member_images")
        ]

    def __str__(self) -> str:
        return f"{self.member} ({self.status})"
