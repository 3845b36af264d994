"""The admin pages of the limits that single projects have."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from images.models import QuotaLimit
from images.transfers import limits, usage


def _if_own(permission: Callable[..., bool]) -> Callable[..., bool]:
    """Return a check of a permission that nobody passes if the limits come from Keystone."""

    @wraps(permission)
    def has_permission(*args: Any, **kwargs: Any) -> bool:
        return not settings.IMAGECATALOG_UNIFIED_LIMITS and permission(*args, **kwargs)

    return has_permission


class QuotaLimitAdmin(ModelAdmin):  # type: ignore[type-arg]
    """The pages of limits that an operator has given to single projects."""

    has_add_permission = _if_own(ModelAdmin.has_add_permission)
    has_change_permission = _if_own(ModelAdmin.has_change_permission)
    has_delete_permission = _if_own(ModelAdmin.has_delete_permission)

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
