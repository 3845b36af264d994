"""What can go wrong, in the words of the domain. Knows nothing of HTTP, models or stores.

Every message is shown to a person: it says what was wrong and, where there is one, what to do.
It never contains a location URL, a path or a credential.
"""

from __future__ import annotations


class ImageError(Exception):
    """Anything that a caller may be told. ``str(error)`` is the sentence to show."""

    code = "error"


class Invalid(ImageError):
    """The request itself is wrong; repeating it unchanged cannot succeed."""

    code = "invalid"


class NotFound(ImageError):
    """It does not exist, or the caller may not know that it does."""

    code = "not-found"


class Forbidden(ImageError):
    """It exists and the caller may see it, but not do this."""

    code = "forbidden"


class Conflict(ImageError):
    """The state of the image does not allow this now."""

    code = "conflict"


class AlreadyBegun(Conflict):
    """The image has left the status in which it is said where its data comes from."""

    code = "already-begun"


class Locked(Conflict):
    """Somebody else is doing this just now; the request may succeed soon."""

    code = "locked"


class Gone(ImageError):
    """The image was deleted, or taken over, while its data was on the way."""

    code = "gone"


class OverLimit(ImageError):
    """More than a limit or a quota allows."""

    code = "over-limit"


class TooManyAttempts(ImageError):
    """Too many sign in, or somebody seems to guess; it may succeed after so many ``seconds``."""

    code = "too-many-attempts"

    def __init__(self, message: str, seconds: int = 1) -> None:
        super().__init__(message)
        self.seconds = seconds


class ContentRefused(ImageError):
    """The inspected bytes are not what the image claims, or are not safe."""

    code = "content-refused"


class BodyIncomplete(ImageError):
    """The client went away, stalled or sent a broken body."""

    code = "body-incomplete"


class LeaseExpired(ImageError):
    """Nobody has worked on it for so long that its worker must be dead."""

    code = "lease-expired"


class ServerStopping(ImageError):
    """The service is shutting down; the same request can be repeated soon."""

    code = "server-stopping"


class StoreError(ImageError):
    """A store could not do its work; the request may succeed later."""

    code = "store-error"


class StoreReadOnly(StoreError):
    """Nothing can be written to this store."""

    code = "store-read-only"


class StoreFull(StoreError):
    """No space is left in the store."""

    code = "store-full"


class DataMissing(StoreError):
    """The store does not have these bytes."""

    code = "data-missing"
