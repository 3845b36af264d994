"""Form fields in which staff choose a project or a user by name, and the names that they suggest.

A project can be entered by name or id; the value of the field is always the id. A script
(pickers.js) completes what is typed. Without it the fields are plain text inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from imagecatalog.identity import projects
from imagecatalog.identity.models import Project
from images import access

SUGGESTED: Final = 20  # names at once
SIMILAR: Final = 3  # names in an error
PROJECTS: Final = "admin:identity_project_suggest"  # names of URLs
USERS: Final = "admin:auth_user_suggest"


class Picker(forms.TextInput):
    """A text input for a name, which a script completes with names that the service knows.

    ``url`` is the name of the URL that suggests names. If the user has entered an unknown name that
    can be valid, ``question`` is this name, and a check box asks the user to confirm it;
    ``confirmed`` is the name that the user has confirmed.
    """

    template_name = "identity/picker.html"
    question = ""
    confirmed = ""

    def __init__(self, url: str, attrs: dict[str, Any] | None = None) -> None:
        fixed = {"autocomplete": "off", "spellcheck": "false", "size": 40}
        super().__init__(fixed | (attrs or {}))
        self.url = url

    def value_from_datadict(
        self, data: Mapping[str, Any], files: Any, name: str
    ) -> Any:
        """Return the submitted text, and remember which unknown name the user has confirmed."""
        self.confirmed = data.get(f"{name}_confirmed", "")
        return super().value_from_datadict(data, files, name)

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Return the context of the template, with the URL of the suggestions."""
        context: dict[str, Any] = super().get_context(name, value, attrs)
        context["widget"]["attrs"]["data-suggest"] = reverse(self.url)
        context["widget"]["question"] = self.question
        return context


class ProjectField(forms.CharField):
    """A form field for a project, by name or id. Its value is the id; empty for no project.

    An unknown project is refused. If projects are managed elsewhere (IMAGECATALOG_AUTH is not
    ``embedded``), an unknown id is accepted once the user has confirmed it; if ``asks`` is False,
    it is accepted without a confirmation.
    """

    widget: Any = Picker(PROJECTS)

    def __init__(self, *, asks: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.asks = asks
        self._shown = ("", "")

    def prepare_value(self, value: Any) -> Any:
        """Return the text that the form shows: the name of a known project, else ``value``."""
        if not value or not isinstance(value, str):
            return value
        # A form asks twice: also for the value that it showed first.
        if self._shown[0] != value:
            self._shown = (value, _name(value) or value)
        return self._shown[1]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the two texts stand for different projects."""
        return super().has_changed(initial, data) and (
            _id_or_text(initial) != _id_or_text(data)
        )

    def clean(self, value: Any) -> Any:
        """Return the id of the project. Raises ValidationError for an unknown project."""
        text = super().clean(value)
        if not text:
            return text
        found = projects.find_id(text)
        if found or access.is_project_in_use(text):
            return found or text
        if settings.IMAGECATALOG_AUTH == "embedded":
            raise _unknown(_("There is no project “%(name)s”."), text, _similar(text))
        if self.asks and self.widget.confirmed != text:
            self.widget.question = text
            raise _unknown(
                _(
                    "No project “%(name)s” is known here. Projects are managed elsewhere, "
                    "by ids: check the id, then confirm it."
                ),
                text,
            )
        return text


class NameField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A form field for a row of ``queryset``, entered by the text in its column ``column``."""

    def __init__(
        self, queryset: QuerySet[Any], column: str, url: str, **options: Any
    ) -> None:
        label = options.get("label", "")
        widget = Picker(url, {"aria-label": label} if label else None)
        super().__init__(queryset, to_field_name=column, widget=widget, **options)

    def to_python(self, value: Any) -> Any:
        """Return the row that a name stands for. Raises ValidationError for an unknown name."""
        if isinstance(value, self.queryset.model):  # type: ignore[union-attr]
            return value
        text = value.strip() if isinstance(value, str) else ""
        if not text:
            return None
        rows: QuerySet[Any] = self.queryset  # type: ignore[assignment]
        found = rows.filter(**{str(self.to_field_name): text}).first()
        if found is None:
            kind = rows.model._meta.verbose_name
            raise _unknown(_("There is no %(kind)s “%(name)s”."), text, kind=str(kind))
        return found


def project_field(**options: Any) -> NameField:
    """Return a form field for one of the service's own projects, entered by name."""
    return NameField(Project.objects.all(), "name", PROJECTS, **options)


def user_field(**options: Any) -> NameField:
    """Return a form field for a user, entered by name."""
    users = get_user_model()
    column = users.USERNAME_FIELD
    return NameField(users._default_manager.all(), column, USERS, **options)


@require_GET
def suggest_projects(request: HttpRequest) -> HttpResponse:
    """Return names of projects that contain the query parameter ``term``, as JSON.

    Raises PermissionDenied for users who can view neither images nor projects.
    """
    user = request.user
    if not (
        user.has_perm("images.view_image") or user.has_perm("identity.view_project")
    ):
        raise PermissionDenied
    return _names(request, Project.objects.all(), "name")


@require_GET
def suggest_users(request: HttpRequest) -> HttpResponse:
    """Return names of users that contain the query parameter ``term``, as JSON.

    Raises PermissionDenied for users who cannot view users.
    """
    if not request.user.has_perm("auth.view_user"):
        raise PermissionDenied
    users = get_user_model()
    return _names(request, users._default_manager.all(), users.USERNAME_FIELD)


def _names(request: HttpRequest, rows: QuerySet[Any], column: str) -> HttpResponse:
    term = request.GET.get("term", "").strip()
    found = rows.filter(**{f"{column}__icontains": term}).order_by(column)
    names = list(found.values_list(column, flat=True)[:SUGGESTED])
    return JsonResponse({"names": names})


def _name(project: str) -> str | None:
    """Return the name of a project; None if it is unknown, or is also the id of another project."""
    namesake = Project.objects.filter(pk=OuterRef("name"))
    rows = Project.objects.filter(~Exists(namesake), pk=project)
    return rows.values_list("name", flat=True).first()


def _id_or_text(text: Any) -> str:
    cleaned = str(text or "").strip()
    return projects.find_id(cleaned) or cleaned


def _similar(text: str) -> list[str]:
    found = Project.objects.filter(name__icontains=text).order_by("name")
    return list(found.values_list("name", flat=True)[:SIMILAR])


def _unknown(
    sentence: str, name: str, similar: list[str] | None = None, **more: str
) -> ValidationError:
    if similar:
        similar_sentence = _("Did you mean %(similar)s?")
        sentence = f"{sentence} {similar_sentence}"
        more["similar"] = ", ".join(similar)
    return ValidationError(sentence, params={"name": name, **more}, code="unknown")
