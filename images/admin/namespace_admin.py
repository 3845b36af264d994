"""The admin pages of metadata definitions: a form for one namespace with all its content."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from imagecatalog.identity.pickers import PROJECTS, Picker, ProjectField
from images.admin.actions import get_caller
from images.admin.changelist import shown_project
from images.admin.service_forms import JsonField, ServiceForm
from images.metadefs import files, namespaces, trees
from images.models import MetadefNamespace

ATTRIBUTES = (
    "namespace",
    "display_name",
    "description",
    "visibility",
    "protected",
    "owner",
)
CONTENT = ("resource_type_associations", "properties", "objects", "tags")


class NamespaceForm(ServiceForm):
    """The form with the attributes of a namespace, and its content as JSON."""

    content = JsonField(
        label=gettext_lazy("Content"),
        required=False,
        help_text=gettext_lazy(
            "JSON with resource_type_associations, properties, objects and tags, as in the "
            "files of metadefs_export."
        ),
        rows=30,
        cols=100,
    )

    class Meta:
        model = MetadefNamespace
        fields = ATTRIBUTES
        field_classes: ClassVar = {"owner": ProjectField}
        widgets: ClassVar = {"owner": Picker(PROJECTS)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            document = trees.tree(namespaces.with_content(self.instance))
            content = {name: document[name] for name in CONTENT if name in document}
            self.initial["content"] = content

    def clean_content(self) -> dict[str, Any]:
        """Return the content of the namespace, whose parts are checked when it is saved.

        Raises ValidationError if the content is not a JSON object, or has an unknown part.
        """
        content = self.cleaned_data["content"] or {}
        if isinstance(content, dict) and set(content) <= set(CONTENT):
            return content
        raise forms.ValidationError(
            gettext_lazy("The content must be a JSON object with: %(names)s."),
            params={"names": ", ".join(CONTENT)},
        )

    def save_values(self) -> MetadefNamespace:
        """Create or change the namespace, and return it. Raises ImageError for a refused value.

        New content replaces all content that the namespace has.
        """
        document = self.given
        content = document.pop("content", None)
        if content is not None:
            document |= dict.fromkeys(CONTENT) | content
        if self.is_new:
            return files.create(document)
        return files.change(self.instance, document)


class NamespaceAdmin(ModelAdmin):  # type: ignore[type-arg]
    """The admin pages of namespaces. Only the API can change the name of an existing namespace."""

    form = NamespaceForm
    list_display = (
        "namespace",
        "display_name",
        "visibility",
        "protected",
        "owner_shown",
    )
    list_filter = ("visibility", "protected")
    search_fields = ("namespace", "display_name")
    ordering = ("namespace",)
    actions = None  # the selection could have protected namespaces

    def get_queryset(self, request: HttpRequest) -> QuerySet[MetadefNamespace]:
        """Return the namespaces, each with the name of its owner's project."""
        rows: QuerySet[MetadefNamespace] = super().get_queryset(request)
        return rows.annotate(shown_owner=shown_project("owner"))

    @admin.display(description=gettext_lazy("owner"), ordering="shown_owner")
    def owner_shown(self, namespace: Any) -> str | None:
        """Return the name of the owner's project; its id if the name is unknown.

        Returns None for a namespace without an owner.
        """
        return namespace.shown_owner  # type: ignore[no-any-return]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the name as a read-only field if the namespace already exists; else no field."""
        return ("namespace",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user can delete the namespace ``obj``; False if that is protected."""
        is_protected = obj is not None and obj.protected
        return not is_protected and super().has_delete_permission(request, obj)

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        """Give ``obj`` the primary key of the namespace that the form has saved; save nothing more."""
        obj.pk = form.saved.pk

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete the namespace with its content."""
        namespaces.delete(get_caller(request), obj.namespace)
