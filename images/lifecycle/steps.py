"""Steps: code of other packages that runs in the transaction in which an image changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from images.models import Image

# A function that is called with the locked image, and returns a context in which the image changes:
# what the context does before can refuse the change, and what it saves afterwards is committed with
# the change.
Step = Callable[[Image], AbstractContextManager[None]]


def no_step(image: Image) -> AbstractContextManager[None]:
    """Return a context that does nothing, for a change of an image without a step."""
    return nullcontext()
