"""Fixtures for the tests of imports."""

from __future__ import annotations

from tests.formats.conftest import made

__all__ = ["made"]  # a fixture
