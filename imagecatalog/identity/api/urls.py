"""The URL routes of the identity API, below ``/identity``."""

from __future__ import annotations

from django.urls import re_path
from rest_framework.routers import SimpleRouter

from imagecatalog.identity.api.application_credentials import (
    ApplicationCredentialViewSet,
)
from imagecatalog.identity.api.directory import (
    ProjectViewSet,
    RoleViewSet,
    UserViewSet,
)
from imagecatalog.identity.api.tokens import AuthViewSet
from imagecatalog.identity.api.versions import VersionViewSet
from imagecatalog.identity.api.views import UnknownPathView

CREDENTIALS = "/v3/users/(?P<user_id>[^/]+)/application_credentials"

router = SimpleRouter(trailing_slash=False)
router.register("/v3/auth", AuthViewSet, basename="auth")
router.register("/v3/projects", ProjectViewSet, basename="project")
router.register("/v3/roles", RoleViewSet, basename="role")
router.register("/v3/users", UserViewSet, basename="user")
router.register(
    CREDENTIALS, ApplicationCredentialViewSet, basename="application-credential"
)

urlpatterns = [
    re_path(r"^/?$", VersionViewSet.as_view({"get": "list"})),
    re_path(r"^/v3/?$", VersionViewSet.as_view({"get": "retrieve"})),
    *router.urls,
    re_path(r"", UnknownPathView.as_view()),
]
