"""The base of the admin's long lists of rows that the service writes, such as jobs and sign-ins."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest

from images.admin.changelist import CappedPaginator


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[type-arg]
    """The base of the admin pages with a long list of rows that users cannot add, change or delete."""

    show_facets = admin.ShowFacets.NEVER  # facets would count all rows
    sortable_by = ()
    actions = None
    show_full_result_count = False
    paginator = CappedPaginator
    list_max_show_all = 0

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: only the service adds rows, for example when a job is requested."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: users cannot change the rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: the rows are records, which users cannot delete."""
        return False
