"""The base classes of the lists of transfers and of jobs, whose pages reload after a change."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from images.admin import polling
from images.admin.actions import may
from images.admin.read_only_admin import ReadOnlyAdmin

FILTER = "admin/images/polled/filter.html"


class ChoicesFilter(admin.ChoicesFieldListFilter):
    """The filter of a list by a column with choices, such as the kind of a transfer."""

    template = FILTER


class PolledList(ChangeList):
    """A list of transfers or jobs. The page reloads when polling finds that one has changed."""

    @property
    def state(self) -> str:
        """A text that changes when a row on the page gets another status."""
        return polling.state(self.result_list)

    @property
    def poll_url(self) -> str:
        """The URL of the JSON document that the page polls."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_live")


class PolledAdmin(ReadOnlyAdmin):
    """The base class of the admin pages of transfers and jobs, which have no form to edit them."""

    empty: ClassVar[Any]  # shown instead of an empty list; translated when it is shown

    list_per_page = 50
    change_list_template = "admin/images/polled/list.html"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user can view images, and so also transfers and jobs."""
        return may(request, "images.view_image")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PolledList]:
        """Return PolledList, the class of the list."""
        return PolledList

    def changelist_view(
        self, request: HttpRequest, extra_context: Any = None
    ) -> HttpResponse:
        """Show the list; if it is empty, show the text ``self.empty``."""
        empty = {"empty": self.empty}
        return super().changelist_view(request, empty | (extra_context or {}))
