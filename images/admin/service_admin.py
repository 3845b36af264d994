"""The base of the admin pages of objects that a ``ServiceForm`` creates and changes."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest

from images.admin.actions import get_caller, may


class ServiceAdmin(ModelAdmin):  # type: ignore[type-arg]
    """Admin pages of objects that the service creates and changes for the user.

    Whoever can view images can view the objects. A page of its own deletes an object, after a look
    at what it stands for.
    """

    actions = None

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user can view images, and so these objects."""
        return may(request, "images.view_image")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: the page of an object has a button of its own."""
        return False

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the class of the form, which knows the user as ``caller``."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.caller = get_caller(request)
        return form

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        """Name the object that the form has created or changed."""
        obj.pk = form.saved.pk
