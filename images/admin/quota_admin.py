"""The admin pages of the limits that single projects have."""

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
    """The pages of limits that an operator has given to single projects."""

    list_display = ("project", "name", "value")
    list_filter = ("name",)
    search_fields = ("project",)
    ordering = ("project", "name")

    @admin.display(description=_("in use"))
    def used(self, limit: QuotaLimit) -> int:
        """Return how much of the limit the project uses, in MiB or as a number of images."""
        return usage.of(limit.project)[limit.name] // limits.UNITS[limit.name]

    def get_readonly_fields(
        self, request: HttpRequest, obj: QuotaLimit | None = None
    ) -> tuple[str, ...]:
        """Return the read-only fields: of an existing limit, only the value can be changed."""
        return ("project", "name", "used") if obj else ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may add limits: never if the limits come from Keystone."""
        return not settings.IMAGECATALOG_UNIFIED_LIMITS and super().has_add_permission(
            request
        )

    def has_change_permission(
        self, request: HttpRequest, obj: QuotaLimit | None = None
    ) -> bool:
        """Return whether the user may change limits: never if the limits come from Keystone."""
        return (
            not settings.IMAGECATALOG_UNIFIED_LIMITS
            and super().has_change_permission(request, obj)
        )

    def has_delete_permission(
        self, request: HttpRequest, obj: QuotaLimit | None = None
    ) -> bool:
        """Return whether the user may delete limits: never if the limits come from Keystone."""
        return (
            not settings.IMAGECATALOG_UNIFIED_LIMITS
            and super().has_delete_permission(request, obj)
        )

    def save_model(
        self, request: HttpRequest, obj: QuotaLimit, form: Any, change: bool
    ) -> None:
        """Set the limit of the project to the value in the form."""
        limits.set_own(obj.project, {obj.name: obj.value})
        obj.pk = QuotaLimit.objects.get(project=obj.project, name=obj.name).pk

    def delete_model(self, request: HttpRequest, obj: QuotaLimit) -> None:
        """Delete the limit, so that the project has the default limit again."""
        limits.set_own(obj.project, {obj.name: None})

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[QuotaLimit]
    ) -> None:
        """Delete the selected limits, so that their projects have the default limits again."""
        for limit in queryset:
            self.delete_model(request, limit)
