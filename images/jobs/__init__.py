"""Background work: packages declare periodic duties, and the background worker runs them."""

from __future__ import annotations
