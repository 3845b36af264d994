"""The base class of admin pages whose form, a ``ServiceForm``, creates and changes the objects."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest

from images.admin.actions import get_caller, may


class ServiceAdmin(ModelAdmin):  # type: ignore[type-arg]
    """The base class of admin pages of objects that a ``ServiceForm`` creates and changes.

    All users who can view images can view these objects. Objects are deleted on pages of their own,
    not on Django's, after a page has shown the consequences.
    """

    actions = None

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user can view images, and so these objects."""
        return may(request, "images.view_image")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False, so that Django shows no button to delete: the page has another one."""
        return False

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the class of the form; its attribute ``caller`` is the signed-in user."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.caller = get_caller(request)
        return form

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        """Give ``obj`` the primary key of the object that the form has saved; save nothing."""
        obj.pk = form.saved.pk
