"""The image catalogue: its wiring, and the app of the built-in identity service."""

from __future__ import annotations
