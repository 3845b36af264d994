"""Stores are tested with the real disk."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def unsynced() -> None:
    """Override the fixture of all tests: here what is written is synced."""
