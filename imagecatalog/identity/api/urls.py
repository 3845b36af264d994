"""The resources of the identity face, below ``/identity``."""

from __future__ import annotations

from django.urls import path, re_path

from imagecatalog.identity.api import (
    application_credentials,
    directory,
    tokens,
    versions,
)
from imagecatalog.identity.api.views import UnknownPath

CREDENTIALS = "v3/users/<str:user_id>/application_credentials"

urlpatterns = [
    re_path(r"^/?$", versions.Versions.as_view()),
    re_path(r"^/v3/?$", versions.Version.as_view()),
    path("/v3/auth/tokens", tokens.Tokens.as_view()),
    path("/v3/auth/projects", tokens.Projects.as_view()),
    path("/v3/auth/catalog", tokens.Catalog.as_view()),
    path("/v3/projects", directory.Projects.as_view()),
    path("/v3/projects/<str:project_id>", directory.OneProject.as_view()),
    path("/v3/roles", directory.Roles.as_view()),
    path("/v3/roles/<str:role_id>", directory.OneRole.as_view()),
    path("/v3/users/<str:user_id>", directory.OneUser.as_view()),
    path(
        f"/{CREDENTIALS}",
        application_credentials.ApplicationCredentials.as_view(),
    ),
    path(
        f"/{CREDENTIALS}/<str:credential_id>",
        application_credentials.OneApplicationCredential.as_view(),
    ),
    re_path(r"", UnknownPath.as_view()),
]
