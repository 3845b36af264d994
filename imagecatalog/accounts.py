"""The configuration of django-allauth's app, which is installed for single sign-on only."""

from __future__ import annotations

from allauth.account.apps import AccountConfig


class AccountsConfig(AccountConfig):  # type: ignore[misc]
    """The configuration of django-allauth's app ``account``, which its OpenID Connect client needs."""

    def ready(self) -> None:
        """Do nothing.

        django-allauth's own method demands a middleware that would run for every API request.
        """
