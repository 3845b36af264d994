"""The members of shared images."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from images.models.image import Image


class MemberStatus(models.TextChoices):
    """The statuses of a member: whether the project accepts the shared image."""

    PENDING = "pending", _("Pending")
    ACCEPTED = "accepted", _("Accepted")
    REJECTED = "rejected", _("Rejected")


class Member(models.Model):
    """A project with which an image is shared.

    The project sees the image whatever the member's status; the status decides only whether
    the image is in the project's lists.
    """

    image = models.ForeignKey(Image, models.CASCADE, related_name="members")
    member = models.CharField(max_length=255, help_text="project id")
    status = models.CharField(
        max_length=8, choices=MemberStatus.choices, default=MemberStatus.PENDING
    )
    # API v1 only: the member is allowed to add other members.
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
