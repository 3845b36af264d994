"""Background work: each room declares its duties, the worker runs them."""

from __future__ import annotations
