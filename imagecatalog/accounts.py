"""The configuration of django-allauth's app, which is installed for single sign-on only."""

from __future__ import annotations

from allauth.account.apps import AccountConfig


class AccountsConfig(AccountConfig):  # type: ignore[misc]
    """The app of django-allauth that its OpenID Connect client needs, without its own pages."""

    def ready(self) -> None:
        """Do nothing: the original wants a middleware, which every API request would run."""
