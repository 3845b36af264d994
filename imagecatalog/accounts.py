"""The configuration of django-allauth's app, which is installed for single sign-on only."""

from __future__ import annotations

from allauth.account.apps import AccountConfig


class AccountsConfig(AccountConfig):  # type: ignore[misc]
    """The configuration of the app ``account``, which django-allauth's OpenID Connect client needs."""

    def ready(self) -> None:
        """Do nothing, unlike the method of django-allauth that this one replaces.

        That method demands a middleware that would run for every API request.
        """
