"""The admin pages of the limits that an operator has set for projects."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from imagecatalog.identity.pickers import PROJECTS, Picker, ProjectField
from images.admin.changelist import shown_project
from images.models import QuotaLimit
from images.transfers import limits, usage


def _if_own(permission: Callable[..., bool]) -> Callable[..., bool]:
    """Wrap a permission check, so that it returns False if Keystone manages the limits.

    Otherwise the result is that of ``permission``.
    """

    @wraps(permission)
    def has_permission(*args: Any, **kwargs: Any) -> bool:
        return not settings.IMAGECATALOG_UNIFIED_LIMITS and permission(*args, **kwargs)

    return has_permission


class QuotaLimitForm(forms.ModelForm):  # type: ignore[type-arg]
    """The form with a limit of a project."""

    class Meta:
        model = QuotaLimit
        fields = ("project", "name", "value")
        field_classes: ClassVar = {"project": ProjectField}
        widgets: ClassVar = {"project": Picker(PROJECTS)}
        help_texts: ClassVar = {"project": _("Name or id of the project.")}


class QuotaLimitAdmin(ModelAdmin):  # type: ignore[type-arg]
    """The admin pages of the limits that an operator has set for projects."""

    has_add_permission = _if_own(ModelAdmin.has_add_permission)
    has_change_permission = _if_own(ModelAdmin.has_change_permission)
    has_delete_permission = _if_own(ModelAdmin.has_delete_permission)

    form = QuotaLimitForm
    list_display = ("project_shown", "name", "value")
    list_filter = ("name",)
    search_fields = ("project", "shown_project")
    ordering = ("project", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[QuotaLimit]:
        """Return the limits, each with the name of its project."""
        rows: QuerySet[QuotaLimit] = super().get_queryset(request)
        return rows.annotate(shown_project=shown_project("project"))

    @admin.display(description=_("project"), ordering="shown_project")
    def project_shown(self, limit: Any) -> str:
        """Return the name of the limit's project; its id if the name is unknown."""
        return str(limit.shown_project)

    @admin.display(description=_("in use"))
    def used(self, limit: QuotaLimit) -> int:
        """Return the project's use of the resource that is limited: MiB, or a number of images."""
        return usage.of(limit.project)[limit.name] // limits.UNITS[limit.name]

    def get_readonly_fields(
        self, request: HttpRequest, obj: QuotaLimit | None = None
    ) -> tuple[str, ...]:
        """Return the names of read-only fields: all but the value, if the limit exists."""
        return ("project", "name", "used") if obj else ()

    def save_model(
        self, request: HttpRequest, obj: QuotaLimit, form: Any, change: bool
    ) -> None:
        """Save a new limit of a project, or the changed value of an existing limit."""
        limits.set_own(obj.project, {obj.name: obj.value})
        obj.pk = QuotaLimit.objects.get(project=obj.project, name=obj.name).pk

    def delete_model(self, request: HttpRequest, obj: QuotaLimit) -> None:
        """Delete the limit of the project; the default limit then applies to it again."""
        limits.set_own(obj.project, {obj.name: None})

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[QuotaLimit]
    ) -> None:
        """Delete the selected limits; the default limits then apply to their projects again."""
        for limit in queryset:
            self.delete_model(request, limit)
