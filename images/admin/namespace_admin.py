"""The admin pages of metadata definitions: a form for one namespace with all its content."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from images import errors
from images.admin.actions import get_caller
from images.admin.changelist import shown_project
from images.metadefs import files, namespaces, trees
from images.metadefs.documents import clean_namespace
from images.metadefs.files import Merge
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


class IndentedEncoder(json.JSONEncoder):
    """A JSON encoder that indents, so that people can read and edit the text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"indent": 2})


class NamespaceForm(forms.ModelForm):  # type: ignore[type-arg]
    """The form with the attributes of a namespace, and its content as JSON."""

    content = forms.JSONField(
        label=gettext_lazy("Content"),
        required=False,
        encoder=IndentedEncoder,
        help_text=gettext_lazy(
            "JSON with resource_type_associations, properties, objects and tags, as in the "
            "files of metadefs_export."
        ),
        widget=forms.Textarea(attrs={"rows": 30, "cols": 100, "spellcheck": "false"}),
    )

    class Meta:
        model = MetadefNamespace
        fields = ATTRIBUTES

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            document = trees.tree(namespaces.with_content(self.instance))
            content = {name: document[name] for name in CONTENT if name in document}
            self.initial["content"] = content

    def clean(self) -> dict[str, Any]:
        """Check the namespace and its content, and store the checked content in ``self.tree``.

        Returns the values of the form. Raises ValidationError if a value is not valid.
        """
        values = super().clean() or {}
        if self.errors:
            return values
        content = values.get("content") or {}
        fields = {name: values[name] for name in ATTRIBUTES if name in values}
        if not isinstance(content, dict) or not set(content) <= set(CONTENT):
            names = ", ".join(CONTENT)
            raise forms.ValidationError(
                gettext_lazy("The content must be a JSON object with: %(names)s."),
                params={"names": names},
            )
        fields.setdefault("namespace", self.instance.namespace)
        try:
            self.tree = clean_namespace({**fields, **content})
        except errors.ImageError as error:
            raise forms.ValidationError(str(error)) from None
        return values


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
        """Save the namespace with its content, which replaces the previous content."""
        files.load(form.tree, Merge.OVERWRITE)
        obj.pk = MetadefNamespace.objects.get(namespace=obj.namespace).pk

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete the namespace with its content."""
        namespaces.delete(get_caller(request), obj.namespace)
