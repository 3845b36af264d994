"""Registration of the pages of images in Django's admin; other modules have the views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import F, QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from images.admin import (
    action_views,
    add_views,
    bulk_texts,
    bulk_views,
    exports,
    formatting,
    image_download,
    image_edit,
    image_export,
    image_page,
    list_options,
    location_views,
    members,
    polling,
    search_page,
    shortcuts,
    tag_suggestions,
    transfer_views,
    upload,
)
from images.admin.actions import ACTIONS, may, require
from images.admin.changelist import ImageList, paginator_of
from images.bulk.edits import EDIT
from images.models import Image
from images.operations import overview

# Columns that a view has besides those that the user has chosen, or instead of some of them.
IN_TRASH = ("trash_age", "scrub_age")
NOT_IN_TRASH = {"age", "progress"}
IMAGE_PAGES: Mapping[str, Callable[..., HttpResponseBase]] = {
    "data": image_page.data,
    "properties": image_page.properties,
    "sharing": image_page.share,
    "edit": image_edit.show,
    "download": image_download.send,
}
# Views with the column "problem" -> the columns that are empty there, or say the same.
WITH_PROBLEMS = {
    "failed": {"problem", "size_shown", "stored", "progress"},
    "failed-today": {"problem", "size_shown", "stored", "progress"},
    "stuck": {"problem", "stored"},
    "damaged": {"problem", "progress"},
}


class ImageAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The admin pages of images: the list, the page of an image, and the pages of actions."""

    list_display_links = None
    sortable_by = (
        "status_badge",
        "named",
        "visibility",
        "size_shown",
        "age",
        "changed",
        "trash_age",
    )
    ordering = ("-created_at",)
    search_fields = ("name",)  # enables the search of get_search_results
    search_help_text = _(
        "Words of names, tags, operating systems and projects; an id or a digest."
    )
    show_full_result_count = False
    list_per_page = 25
    list_max_show_all = 0
    actions_selection_counter = True
    change_list_template = "admin/images/image/list.html"

    # The list

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ImageList]:
        """Return ImageList, the class of the list of images."""
        return ImageList

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the names of the columns: those that the user has chosen and those of the view."""
        columns = list_options.chosen(request).columns
        view = request.GET.get("view")
        if view == "trash":
            columns = tuple(name for name in columns if name not in NOT_IN_TRASH)
            columns += IN_TRASH
        if view in WITH_PROBLEMS:
            others = (name for name in columns if name not in WITH_PROBLEMS[view])
            columns = ("problem", *others)
        return ("status_badge", "named", *columns)

    def get_paginator(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the paginator of the list, which does not count all images of a long one."""
        return paginator_of(request.GET, *args, **kwargs)

    def changelist_view(
        self, request: HttpRequest, extra_context: Any = None
    ) -> HttpResponse:
        """Show the list; a query with empty parameters is redirected to the query without them."""
        given = [
            (name, value) for name, values in request.GET.lists() for value in values
        ]
        kept = [(name, value) for name, value in given if value]
        if request.method == "GET" and kept != given:
            # Some clients take "?" for the same address, and would come back for ever.
            return HttpResponseRedirect(f"?{urlencode(kept)}" if kept else request.path)
        return super().changelist_view(request, extra_context)

    def export(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        """Return all images that match the query of the list as a file: ``csv`` or ``json``.

        Raises Http404 for another kind. With invalid filters it redirects to the list.
        """
        require(request)
        if kind not in exports.FORMATS:
            raise Http404(_("The list is exported as csv or json."))
        try:
            images: Any = self.get_changelist_instance(request)
            is_invalid = bool(images.form.errors)
        except IncorrectLookupParameters:  # there is no such page
            is_invalid = True
        if is_invalid:
            return HttpResponseRedirect(f"../../?{request.GET.urlencode()}")
        return image_export.response(images.queryset, kind)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Image], search_term: str
    ) -> tuple[QuerySet[Image], bool]:
        """Return the images that match the search term, and False because no image occurs twice."""
        return search_page.matching(request, queryset, search_term), False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the actions that the user can run on selected images: name -> Django's tuple.

        The tuple has function, name and label. Django's own action for deletion is not among them.
        """
        return {
            verb: (partial(_start, verb), verb, bulk_texts.label(verb))
            for verb in (EDIT, *ACTIONS)
            if may(request, bulk_texts.permission(verb))
        }

    def action_checkbox(self, image: Image) -> SafeString:
        """Return the checkbox that selects an image, as HTML, faster than Django's template."""
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="action-select"'
            ' aria-label="{}">',
            ACTION_CHECKBOX_NAME,
            image.pk,
            _("Select this image: %(name)s")
            % {"name": f"{formatting.title(image)} ({image.pk})"},
        )

    @admin.display(description=_("status"), ordering="status")
    def status_badge(self, image: Image) -> str:
        """Return the status as a coloured label in HTML.

        The script of the page keeps it up to date while the page is open.
        """
        return format_html(
            '<span data-image="{}">{}</span>',
            image.pk,
            image.badge,  # type: ignore[attr-defined]
        )

    @admin.display(description=_("name"), ordering=F("name").asc(nulls_first=True))
    def named(self, image: Image) -> str:
        """Return the name as a link to the image's page, with id and labels such as "protected"."""
        return format_html(
            '<a href="{}"><bdi>{}</bdi></a><br><code class="id">{}</code>{}',
            image.url,  # type: ignore[attr-defined]
            formatting.title(image),
            image.pk,
            formatting.marks(image),
        )

    @admin.display(description=_("owner"))
    def owner_shown(self, image: Image) -> str:
        """Return the name of the owner's project; its id if the name is unknown."""
        return format_html(
            '<span class="owner" title="{}">{}</span>',
            image.owner or "",
            image.owner_name or "–",  # type: ignore[attr-defined]
        )

    @admin.display(description=_("format"))
    def format(self, image: Image) -> str:
        """Return the disk format and the container format; a dash if neither is set."""
        return formatting.formats(image) or "–"

    @admin.display(description=_("size"), ordering=F("size").asc(nulls_first=True))
    def size_shown(self, image: Image) -> str:
        """Return the size of the data with a suitable unit."""
        return formatting.size(image.size)

    @admin.display(description=_("age"), ordering="created_at")
    def age(self, image: Image) -> str:
        """Return how long ago the image was created, as HTML."""
        return formatting.ago(image.created_at)

    @admin.display(description=_("changed"), ordering="updated_at")
    def changed(self, image: Image) -> str:
        """Return how long ago the image was changed, as HTML."""
        return formatting.ago(image.updated_at)

    @admin.display(description=_("tags"))
    def tags_shown(self, image: Image) -> SafeString | str:
        """Return the tags of the image, as HTML."""
        tags = ((tag,) for tag in image.tags)
        return (
            format_html_join(" ", '<span class="mark"><bdi>{}</bdi></span>', tags)
            or "–"
        )

    @admin.display(description=_("operating system"))
    def system(self, image: Image) -> str:
        """Return the operating system that the properties name, such as "debian 13 x86_64"."""
        return formatting.system(image.properties) or "–"

    @admin.display(description=_("problem"))
    def problem(self, image: Image) -> SafeString | str:
        """Return why the last transfer of the image failed, or what is damaged, as HTML."""
        lines = (
            (text, formatting.ago(at) if at else "")
            for text, at in image.problem  # type: ignore[attr-defined]
        )
        return format_html_join("", "<div>{} {}</div>", lines) or "–"

    @admin.display(description=_("locations"))
    def stored(self, image: Image) -> str:
        """Return the ids of the stores that have a copy of the data; a dash if there are none."""
        stores: list[str] = image.copies  # type: ignore[attr-defined]
        return ", ".join(stores) or "–"

    @admin.display(description=_("progress"))
    def progress(self, image: Image) -> str:
        """Return the progress of the running transfer, as HTML; a dash if none is running."""
        return formatting.bar(image.transfer)  # type: ignore[attr-defined]

    @admin.display(description=_("moved to the trash"), ordering="deleted_at")
    def trash_age(self, image: Image) -> str:
        """Return how long ago the image was moved to the trash, as HTML."""
        return formatting.ago(image.deleted_at)

    @admin.display(description=_("deleted permanently"))
    def scrub_age(self, image: Image) -> str:
        """Return in how much time the image will be deleted permanently, as HTML; or "due now"."""
        at = overview.scrub_at(image)
        # While the workers are paused, nothing is deleted that is due.
        is_due = at is not None and at <= timezone.now()
        return str(_("due now")) if is_due else formatting.ago(at)

    # The pages

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs of all pages about images."""

        def route(
            rule: str, view: Callable[..., HttpResponseBase], name: str
        ) -> URLPattern:
            wrapped = self.admin_site.admin_view(view)
            return path(rule, wrapped, name=f"images_image_{name}")

        urls = [
            route("live/", polling.images, "live"),
            route("tags/", tag_suggestions.suggest, "suggest_tags"),
            route("bulk/<uuid:change_id>/", bulk_views.show, "bulk"),
            route("export/<str:kind>/", self.export, "export"),
            route("options/", list_options.choose, "list_options"),
            route("saved/", list_options.save, "save_filter"),
            route("<str:image_id>/live/", polling.image, "live_one"),
            route("<str:image_id>/upload/", upload.show, "upload"),
            route("<str:image_id>/upload/live/", upload.live, "upload_live"),
            route("<str:image_id>/move/<str:verb>/", action_views.run_on_one, "move"),
            route("<str:image_id>/locations/add/", location_views.add, "add_location"),
            route(
                "<str:image_id>/locations/<int:location_id>/remove/",
                location_views.remove,
                "remove_location",
            ),
            route(
                "<str:image_id>/members/<str:what>/", members.change, "change_member"
            ),
            route(
                "<str:image_id>/transfers/<uuid:transfer_id>/retry/",
                transfer_views.retry,
                "retry",
            ),
            route(
                "<str:image_id>/transfers/<uuid:transfer_id>/cancel/",
                transfer_views.cancel,
                "cancel_transfer",
            ),
            *(
                route(f"<str:image_id>/{view}/", page, view)
                for view, page in IMAGE_PAGES.items()
            ),
            route("<str:image_id>/import/", transfer_views.import_data, "import"),
            route("<str:image_id>/copy/", transfer_views.copy, "copy"),
            route("add/guess/", add_views.guess, "guess"),
            *(
                route(f"add/{method.path}/", method.view, method.name)
                for method in add_views.ADD_METHODS
            ),
        ]
        return [*urls, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the page "Add image"."""
        return add_views.choose(request)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Show the page of an image; its form has a page of its own."""
        return image_page.overview(request, object_id)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Redirect to the page that confirms the deletion of an image.

        Raises PermissionDenied without permission to view images, Http404 for an unknown image.
        """
        require(request)
        # The image is looked up first, because not every text can be part of the action's URL.
        image = shortcuts.get_image_or_404(object_id)
        return redirect("admin:images_image_move", image.pk, "delete")

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Show the history of an image."""
        return image_page.events(request, object_id)


def _start(
    verb: str, admin: ImageAdmin, request: HttpRequest, images: QuerySet[Image]
) -> HttpResponse:
    return bulk_views.start(request, images, verb)
