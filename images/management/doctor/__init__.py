"""The checks of the command `doctor`. Each check examines one part of the installation."""

from __future__ import annotations
