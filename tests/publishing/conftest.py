"""Fixtures with families that are published, which the tests of ``/pub/`` have, too."""

from __future__ import annotations

from tests.api.published.conftest import add, family, january, visitor

__all__ = ["add", "family", "january", "visitor"]
