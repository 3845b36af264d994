"""The Django project of the image catalogue, with the built-in identity service."""

from __future__ import annotations
