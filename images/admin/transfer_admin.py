"""The admin page with the list of transfers, which can be filtered by status, kind and store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from images import imports, stores
from images.admin import formatting, polling, transfer_views
from images.admin.actions import ACTIONS, may
from images.admin.polled_list import FILTER, ChoicesFilter, PolledAdmin, PolledList
from images.models import OPEN_STATUSES, Status, Transfer, TransferStatus

FINISHED = "finished"  # imports only: finished uploads are too many to be useful


class StatusFilter(admin.SimpleListFilter):
    """The filter of the list of transfers by status. Without a choice, all open transfers are shown."""

    title = _("status")
    parameter_name = "status"
    template = FILTER

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Transfer]
    ) -> list[tuple[str, Any]]:
        """Return the statuses from which the user can choose, as (value, label)."""
        statuses = (*OPEN_STATUSES, TransferStatus.FAILED)
        chosen = [(it.value, it.label) for it in statuses]
        return [*chosen, (FINISHED, _("Finished imports"))]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Yield the choices as links. The first one, "In progress", is for all open transfers."""
        first, *others = super().choices(changelist)
        yield {**first, "display": gettext("In progress")}
        yield from others

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Transfer]
    ) -> QuerySet[Transfer]:
        """Return the transfers with the chosen status; all open transfers without a choice."""
        chosen = self.value()
        if chosen == FINISHED:
            return queryset.filter(status=TransferStatus.DONE, task_id__isnull=False)
        return queryset.filter(status__in=[chosen] if chosen else OPEN_STATUSES)


class StoreFilter(admin.SimpleListFilter):
    """The filter of the list of transfers by target store."""

    title = _("store")
    parameter_name = "store"
    template = FILTER

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Transfer]
    ) -> list[tuple[str, Any]]:
        """Return the configured stores, from which the user can choose, as (value, label)."""
        return [(store.id, store.id) for store in stores.configured()]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Transfer]
    ) -> QuerySet[Transfer]:
        """Return the transfers into the chosen store; all of them without a choice."""
        chosen = self.value()
        return Transfer.objects.into(chosen) & queryset if chosen else queryset


class TransferList(PolledList):
    """The list of transfers; the links of its rows lead back to the same list."""

    def get_results(self, request: HttpRequest) -> None:
        """Load the transfers of the current page, each with the query of the list as ``listed``."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        for transfer in self.result_list:
            transfer.listed = self.get_query_string()[1:]


class TransferAdmin(PolledAdmin):
    """The admin page with the list of transfers. A transfer has no page of its own."""

    empty = _("There are no such transfers.")
    list_display = (
        "named",
        "kind_shown",
        "badge",
        "progress",
        "store",
        "activity",
        "error",
    )
    list_display_links = None
    list_filter = (StatusFilter, ("kind", ChoicesFilter), StoreFilter)
    list_select_related = ("image",)
    search_fields = ("image__name", "^image__id")
    search_help_text = _("Part of an image's name, or the beginning of its id.")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PolledList]:
        """Return TransferList, the class of the list of transfers."""
        return TransferList

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs of the list of transfers and of the JSON document that its page polls."""
        name = "images_transfer_changelist"
        lists = [url for url in super().get_urls() if url.name == name]
        view = self.admin_site.admin_view(polling.transfers)
        return [*lists, path("live/", view, name="images_transfer_live")]

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the names of the columns of the list that the user can see.

        Only users who can cancel transfers see the last column, with the action, and only users who
        can import data see the URL of a transfer's data.
        """
        importing = may(request, transfer_views.IMPORTING)
        cancelling = may(request, ACTIONS["fail"].permission)
        columns = [
            "kind_and_source" if importing and name == "kind_shown" else name
            for name in self.list_display
        ]
        if cancelling:
            columns.insert(-1, "steps" if importing else "cancel_link")
        return columns

    def get_ordering(self, request: HttpRequest) -> tuple[str]:
        """Return the order of the list: the newest transfer first.

        Failed transfers, of which there can be many, are ordered by the time of their end, which
        has an index.
        """
        failed = request.GET.get("status") == TransferStatus.FAILED
        return ("-ended_at",) if failed else ("-started_at",)

    @admin.display(description=_("image"))
    def named(self, transfer: Transfer) -> SafeString:
        """Return the name of the transfer's image as a link to the image's page, and the image's id."""
        return format_html(
            '<a href="{}">{}</a><br><code class="id">{}</code>',
            reverse("admin:images_image_change", args=[transfer.image_id]),
            formatting.title(transfer.image),
            transfer.image_id,
        )

    @admin.display(description=_("kind"))
    def kind_shown(self, transfer: Transfer) -> str:
        """Return the kind of the transfer as text."""
        return formatting.kind(transfer)

    @admin.display(description=_("status"))
    def badge(self, transfer: Transfer) -> SafeString:
        """Return the status of the transfer as a coloured label in HTML.

        The element has the transfer's id, which the script of the page uses for polling.
        """
        return format_html(
            '<span data-polled="{}">{}</span>',
            transfer.pk,
            formatting.work_badge(transfer),
        )

    @admin.display(description=_("progress"))
    def progress(self, transfer: Transfer) -> SafeString | str:
        """Return the number of received bytes, as HTML with a bar while the transfer runs."""
        return formatting.bar(transfer)

    @admin.display(description=_("last activity"))
    def activity(self, transfer: Transfer) -> SafeString | str:
        """Return how long ago the transfer ended, or else had its last heartbeat, as HTML."""
        return formatting.ago(transfer.ended_at or transfer.heartbeat_at)

    @admin.display(description=_("kind"))
    def kind_and_source(self, transfer: Transfer) -> SafeString | str:
        """Return the kind of the transfer, and the URL of its data without the query, as HTML."""
        if not transfer.source:
            return formatting.kind(transfer)
        return format_html(
            '<span>{}</span><br><code class="url">{}</code>',
            formatting.kind(transfer),
            imports.masked(transfer.source),
        )

    @admin.display(description=_("action"))
    def steps(self, transfer: Transfer) -> SafeString | str:
        """Return HTML to repeat a failed web download, or else a link that cancels the transfer.

        A button of the list's form repeats the download. If its URL has a query, which is not kept,
        a link leads to the form in which the user enters the URL again.
        """
        can_repeat = transfer_views.can_retry(transfer)
        if not can_repeat or transfer.image.status != Status.QUEUED:
            return self.cancel_link(transfer)
        if transfer_views.needs_url(transfer):
            url = _url("import", transfer, transfer=transfer.pk)
            return format_html(
                '<a href="{}">{}</a>', url, gettext("Enter the URL again")
            )
        return format_html(
            '<button type="submit" class="copy" formaction="{}">{}</button>',
            _url("retry", transfer, transfer.pk),
            gettext("Retry"),
        )

    @admin.display(description=_("action"))
    def cancel_link(self, transfer: Transfer) -> SafeString | str:
        """Return a link that cancels the transfer, as HTML; empty if it has ended."""
        if not transfer.is_open:
            return ""
        url = _url("cancel_transfer", transfer, transfer.pk)
        return format_html('<a href="{}">{}</a>', url, gettext("Cancel"))


def _url(page: str, row: Transfer, *more: Any, **query: Any) -> str:
    """Return the URL of a page of a transfer's image that leads back to the list of transfers."""
    url = reverse(f"admin:images_image_{page}", args=[row.image_id, *more])
    listed = {transfer_views.LISTED: row.listed}  # type: ignore[attr-defined]
    return f"{url}?{urlencode(query | listed)}"
