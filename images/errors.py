"""The errors that callers get, independent of HTTP, models and stores.

Every message is shown to a user: it says what is wrong and, if possible, what to do. A message
never contains a location URL, a path or a credential.
"""

from __future__ import annotations

from typing import Final

MOST_OF_CAUSE: Final = 300  # characters


class ImageError(Exception):
    """The base class of errors that are shown to callers; ``str(error)`` is the message."""

    code = "error"
    logged = False  # whether the log already has this failure, with its details
    operator_message = ""  # if another one is for operators, who can do more

    def for_operator(self) -> str:
        """Return the message that commands print: it never says to ask the operator."""
        return self.operator_message or str(self)

    def with_cause(self) -> str:
        """Return the message and, in one line, the beginning of the error that has caused this one.

        The cause can contain a location URL or a path: it is only for operators.
        """
        cause = " ".join(str(self.__cause__ or "").split())
        return f"{self} {cause[:MOST_OF_CAUSE]}".strip()


class Invalid(ImageError):
    """The request itself is wrong; repeating it unchanged cannot succeed."""

    code = "invalid"


class NotFound(ImageError):
    """The image or other object does not exist, or the caller must not know that it exists."""

    code = "not-found"


class Forbidden(ImageError):
    """The caller can see the object, but is not allowed to do the requested action."""

    code = "forbidden"


class Conflict(ImageError):
    """The present state of the image or the service does not allow the requested action."""

    code = "conflict"


class AlreadyBegun(Conflict):
    """The source of the image's data cannot be set any more: the image is not queued."""

    code = "already-begun"


class Locked(Conflict):
    """Another request is working on the same upload; the refused request can succeed soon."""

    code = "locked"


class Gone(ImageError):
    """The image was deleted, or another transfer took over, while its data was transferred."""

    code = "gone"


class OverLimit(ImageError):
    """The request exceeds a limit or a quota."""

    code = "over-limit"


class QuotaExceeded(OverLimit):
    """The request exceeds the quota ``name`` of a project."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class TooManyRequests(ImageError):
    """The client sends requests too often; another one can succeed after ``seconds``."""

    code = "too-many-requests"

    def __init__(self, message: str, seconds: int = 1) -> None:
        super().__init__(message)
        self.seconds = seconds


class LimitsUnknown(ImageError):
    """The limits of a project cannot be read from Keystone; the request may succeed later."""

    code = "limits-unknown"


class TooManyAttempts(TooManyRequests):
    """There were too many attempts to sign in; another attempt can succeed after ``seconds``."""

    code = "too-many-attempts"


class TooManyTransfers(ImageError):
    """Too much data is sent or received at once; the request may succeed in a few seconds."""

    code = "too-many-transfers"


class TransferEnded(TooManyTransfers):
    """The transfer was ended to make room for the transfer of another client."""

    code = "transfer-ended"


class ContentRefused(ImageError):
    """The inspected data is not in the format that the image claims, or is not safe."""

    code = "content-refused"


class BodyIncomplete(ImageError):
    """The client disconnected, stalled or sent a malformed body."""

    code = "body-incomplete"


class LeaseExpired(ImageError):
    """A transfer is considered dead: no heartbeat, a dead process, or its deadline has passed."""

    code = "lease-expired"


class ServerStopping(ImageError):
    """The service is shutting down; the same request can be repeated soon."""

    code = "server-stopping"


class StoreError(ImageError):
    """A store failed; the request can succeed later."""

    code = "store-error"


class StoreReadOnly(StoreError):
    """The store is read-only."""

    code = "store-read-only"


class StoreFull(StoreError):
    """The store has no space left."""

    code = "store-full"


class StoreNotConfigured(StoreError):
    """The data is in a store that is not, or no longer, configured."""

    code = "store-not-configured"


class DataMissing(StoreError):
    """The store does not have the requested object."""

    code = "data-missing"
