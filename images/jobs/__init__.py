"""Background work: each package declares its duties, and the background worker runs them."""

from __future__ import annotations
