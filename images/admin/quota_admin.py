"""The admin pages of the limits of projects."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from images.models import QuotaLimit
from images.transfers import limits, usage


class QuotaLimitAdmin(ModelAdmin):  # type: ignore[type-arg]
    """The limits that projects have of their own."""

    list_display = ("project", "name", "value")
    list_filter = ("name",)
    search_fields = ("project",)
    ordering = ("project", "name")

    @admin.display(description=_("in use"))
    def used(self, limit: QuotaLimit) -> int:
        """Return what the project has of the limited amount, in MiB or images."""
        return usage.of(limit.project)[limit.name] // limits.UNITS[limit.name]

    def get_readonly_fields(
        self, request: HttpRequest, obj: QuotaLimit | None = None
    ) -> tuple[str, ...]:
        """Let only the value of an existing limit be changed, and show what is in use."""
        return ("project", "name", "used") if obj else ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whether the user may add limits: nobody may if they are those of Keystone."""
        return not settings.IMAGECATALOG_UNIFIED_LIMITS and super().has_add_permission(
            request
        )

    def has_change_permission(
        self, request: HttpRequest, obj: QuotaLimit | None = None
    ) -> bool:
        """Whether the user may change limits, as for adding."""
        return (
            not settings.IMAGECATALOG_UNIFIED_LIMITS
            and super().has_change_permission(request, obj)
        )

    def has_delete_permission(
        self, request: HttpRequest, obj: QuotaLimit | None = None
    ) -> bool:
        """Whether the user may delete limits, as for adding."""
        return (
            not settings.IMAGECATALOG_UNIFIED_LIMITS
            and super().has_delete_permission(request, obj)
        )

    def save_model(
        self, request: HttpRequest, obj: QuotaLimit, form: Any, change: bool
    ) -> None:
        """Set the limit."""
        limits.set_own(obj.project, {obj.name: obj.value})
        obj.pk = QuotaLimit.objects.get(project=obj.project, name=obj.name).pk

    def delete_model(self, request: HttpRequest, obj: QuotaLimit) -> None:
        """Give the project the default limit again."""
        limits.set_own(obj.project, {obj.name: None})

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[QuotaLimit]
    ) -> None:
        """Give the chosen projects the default limits again."""
        for limit in queryset:
            self.delete_model(request, limit)
