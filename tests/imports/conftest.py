"""What the tests of imports share."""

from __future__ import annotations

from tests.formats.conftest import made

__all__ = ["made"]  # a fixture
