"""The menu in the header of the admin, and the page "System" with the models that it leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

# Models with an entry of their own; "Activity" is a page without a model.
ENTRIES: Final = (
    (_("Images"), "images.Image"),
    (_("Families"), "images.Family"),
    (_("Activity"), "activity"),
    (_("Projects"), "identity.Project"),
    (_("Users"), "auth.User"),
)
# The groups of the page "System", with a sentence about each model; other models follow them.
GROUPS: Final = (
    (
        _("Background work"),
        {
            "images.Transfer": _("Uploads, imports and copies: waiting, running, failed."),
            "images.Job": _("Work that the background workers do for many images."),
            "images.RetentionPolicy": _("Rules that hide or delete old images."),
        },
    ),
    (
        _("Rules of the catalogue"),
        {
            "images.QuotaLimit": _("How much data and how many images projects can have."),
            "images.MetadefNamespace": _("Descriptions of properties, by namespace."),
        },
    ),
    (
        _("Access"),
        {
            "identity.ApplicationCredential": _("Credentials with which programs sign in."),
            "auth.Group": _("Sets of permissions for users of this admin."),
            "identity.SignInEvent": _("Sign-ins to the APIs and to this admin."),
        },
    ),
)  # fmt: skip


def entries(request: HttpRequest, apps: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the entries of the menu that the user can open: ``title``, ``url``, ``is_current``.

    ``apps`` is the list of apps that Django's admin makes for the user. Without queries.
    """
    urls = {name: model["admin_url"] for name, model in _models(apps)}
    shown = [(title, _url(name, urls)) for title, name in ENTRIES]
    own = [(title, url) for title, url in shown if url]
    other = set(urls.values()).difference(url for _title, url in own)
    current = next((url for _title, url in own if request.path.startswith(url)), "")
    if other:
        system = reverse("admin:system")
        own.append((_("System"), system))
        if request.path.startswith((system, *other)):
            current = system
    return [
        {"title": title, "url": url, "is_current": url == current} for title, url in own
    ]


def system(request: HttpRequest) -> TemplateResponse:
    """Show the page "System": the models that have no entry in the menu, in groups."""
    context = admin.site.each_context(request)
    models = dict(_models(context["available_apps"]))
    for _title, name in ENTRIES:
        models.pop(name, None)
    groups = [
        {"title": title, "models": list(_described(models, sentences))}
        for title, sentences in GROUPS
    ]
    groups.append({"title": _("More"), "models": list(models.values())})
    context |= {
        "title": _("System"),
        "groups": [group for group in groups if group["models"]],
    }
    return TemplateResponse(request, "admin/images/system.html", context)


def _models(apps: Iterable[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the label of each model that the user can see, such as ``images.Image``, and its entry."""
    for app in apps:
        for model in app["models"]:
            if model["admin_url"]:
                yield model["model"]._meta.label, model


def _url(name: str, urls: dict[str, str]) -> str:
    """Return the URL of a menu entry; an empty text if the user cannot open its page.

    ``name`` is the label of a model, such as ``images.Image``, or the name of a URL. ``urls`` are
    the URLs of the models that the user can see, by label.
    """
    if "." in name:
        return urls.get(name, "")
    return reverse(f"admin:{name}") if "images.Image" in urls else ""


def _described(
    models: dict[str, dict[str, Any]], sentences: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the models of a group, each with its sentence, and remove them from ``models``.

    ``models`` are the models that the user can see, by label; ``sentences`` describe the models of
    the group, by label.
    """
    for name, sentence in sentences.items():
        if name in models:
            yield models.pop(name) | {"sentence": sentence}
