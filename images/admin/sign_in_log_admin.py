"""The admin page with the sign-in log: sign-ins of all kinds, and changes of users and credentials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin import DateFieldListFilter, SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from imagecatalog.identity import second_factor
from imagecatalog.identity.models import SignInEvent
from images.admin import formatting
from images.admin.changelist import COUNTED, project_names
from images.admin.read_only_admin import ReadOnlyAdmin

SIGN_INS: Final = ("sign_in", "sign_out", "token_issue")
REFUSED: Final = "refused"
LABELS: Final[Mapping[str, Any]] = {
    "sign_in": _("Signed in to the admin"),
    "sign_out": _("Signed out of the admin"),
    "token_issue": _("Signed in to the API"),
    REFUSED: _("Sign-in refused"),
    "token_revoke": _("Token revoked"),
    "tokens_revoke": _("All tokens revoked"),
    "password_change": _("Password changed by the user"),
    "password_reset": _("Password reset"),
    "user_create": _("User created"),
    "user_enable": _("User enabled"),
    "user_disable": _("User disabled"),
    "user_delete": _("User deleted"),
    "groups_change": _("Admin access changed"),
    "role_give": _("Role given"),
    "role_remove": _("Role removed"),
    "application_credential_create": _("Application credential created"),
    "application_credential_delete": _("Application credential deleted"),
    "second_factor_set_up": _("Second factor set up"),
    "second_factor_remove": _("Second factor removed"),
}
METHODS: Final[Mapping[str, Any]] = {
    "password": _("password"),
    "secret": _("application credential"),
    "application_credential": _("application credential"),
    "token": _("another token"),
    "oidc": _("single sign-on"),
    "ldap": _("password of the directory"),
    second_factor.METHOD: _("second factor"),
}


def label(verb: str) -> str:
    """Return a text for the verb of a sign-in event, such as "Signed in to the admin"."""
    return str(LABELS.get(verb, verb))


def load(events: Iterable[SignInEvent]) -> list[SignInEvent]:
    """Return the events, with further attributes for pages. Two queries for any number of events.

    The attributes are ``label``, ``facts`` (text), ``ago`` (HTML), and ``user_url``: the URL of the
    page of the event's user, empty if that user no longer exists.
    """
    events = list(events)
    users = get_user_model().objects.filter(username__in={it.user for it in events})
    ids = dict(users.values_list("username", "pk"))
    projects = project_names(
        {it.detail["project"] for it in events if it.detail.get("project")}
    )
    for event in events:
        known = ids.get(event.user)
        event.label = label(event.verb)  # type: ignore[attr-defined]
        event.facts = _facts(event, projects)  # type: ignore[attr-defined]
        event.ago = formatting.ago(event.at)  # type: ignore[attr-defined]
        event.user_url = (  # type: ignore[attr-defined]
            reverse("admin:auth_user_change", args=[known]) if known else ""
        )
    return events


def _facts(event: SignInEvent, projects: Mapping[str, str]) -> str:
    """Return the details of an event as text: method, role, project, groups, issuer and reason.

    ``projects`` are the names of projects, by id.
    """
    detail = event.detail
    facts = [
        str(METHODS.get(detail.get("method", ""), detail.get("method", ""))),
        str(detail.get("name", "")),
        str(detail.get("role", "")),
    ]
    if project := detail.get("project"):
        facts.append(
            gettext("project %(name)s") % {"name": projects.get(project, project)}
        )
    if event.verb == "groups_change":
        facts += detail.get("groups", [])
        if detail.get("is_superuser"):
            facts.append(gettext("superuser"))
        elif not detail.get("is_staff"):
            facts.append(gettext("none"))
    if detail.get("issuer"):
        facts.append(gettext("from %(issuer)s") % {"issuer": detail["issuer"]})
    facts.append(str(detail.get("reason", "")))
    return ", ".join(filter(None, facts))


class KindFilter(SimpleListFilter):
    """The filter of the sign-in log by the kind of an event."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the kinds of events, as (value, label)."""
        return [
            ("sign-ins", _("Sign-ins")),
            ("refused", _("Refused sign-ins")),
            ("changes", _("Changes of users, roles and credentials")),
        ]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[SignInEvent]
    ) -> QuerySet[SignInEvent]:
        """Return the events of the chosen kind."""
        if self.value() == "sign-ins":
            return queryset.filter(verb__in=SIGN_INS)
        if self.value() == "refused":
            return queryset.filter(verb=REFUSED)
        if self.value() == "changes":
            return queryset.exclude(verb__in=(*SIGN_INS, REFUSED))
        return queryset


class TimeFilter(DateFieldListFilter):
    """The filter of the sign-in log by time."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.title = _("time")


class SignInLog(ChangeList):
    """The list of sign-in events. A page needs as many queries for many events as for few."""

    def get_results(self, request: HttpRequest) -> None:
        """Load the events of the current page, with the values that the list shows."""
        super().get_results(request)
        self.result_list = load(self.result_list)

    @property
    def is_capped(self) -> bool:
        """Whether the log has more entries than the list counts."""
        return self.result_count >= COUNTED


class SignInEventAdmin(ReadOnlyAdmin):
    """The admin page with the sign-in log."""

    list_display = ("when", "what", "user_shown", "facts", "client", "request_id")
    list_display_links = None
    list_filter = (KindFilter, ("at", TimeFilter))
    change_list_template = "admin/images/sign_in_log/list.html"
    search_fields = ("user", "source", "request_id")
    search_help_text = _("A user name, a client address or a request id.")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return SignInLog, the class of the list."""
        return SignInLog

    def changelist_view(
        self, request: HttpRequest, extra_context: Any = None
    ) -> HttpResponse:
        """Show the sign-in log; with the query parameter ``user`` only the events of this user."""
        title = {}
        if user := request.GET.get("user"):
            title["title"] = gettext("Sign-in log of %(user)s") % {"user": user}
        return super().changelist_view(request, title | (extra_context or {}))

    @admin.display(description=_("time"))
    def when(self, event: Any) -> SafeString:
        """Return how long ago the event was, as HTML."""
        return event.ago  # type: ignore[no-any-return]

    @admin.display(description=_("event"))
    def what(self, event: Any) -> str:
        """Return the kind of the event as text, such as "Signed in to the admin"."""
        return str(event.label)

    @admin.display(description=_("user"))
    def user_shown(self, event: Any) -> SafeString | str:
        """Return the name of the user, as a link to the user's page if there is one."""
        if not event.user_url:
            return str(event.user)
        return format_html('<a href="{}">{}</a>', event.user_url, event.user)

    @admin.display(description=_("client address"))
    def client(self, event: Any) -> str:
        """Return the client's address, or the source of the event in a word, such as "console"."""
        return str(event.source)

    @admin.display(description=_("details"))
    def facts(self, event: Any) -> str:
        """Return the details of the event, such as method, project, role and reason, as text."""
        return str(event.facts)


def log_url(user: str) -> str:
    """Return the URL of the sign-in log of one user."""
    url = reverse("admin:identity_signinevent_changelist")
    return f"{url}?{urlencode({'user': user})}"
