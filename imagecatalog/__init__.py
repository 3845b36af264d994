"""The image catalogue: its wiring, and the app of the built-in identity service."""

from __future__ import annotations

__version__ = "0.1.0"
