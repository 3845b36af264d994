"""The checks of the command ``doctor``: each looks at one part of an installation, and tries it."""

from __future__ import annotations
