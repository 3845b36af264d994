"""The errors that callers get, independent of HTTP, models and stores.

Every message is shown to a user: it says what is wrong and, if possible, what to do. A message
never contains the URL of a location, a path or a credential.
"""

from __future__ import annotations

from typing import Final

# Characters. An object store names the key twice, then says why.
MOST_OF_CAUSE: Final = 600
# The message for an exception that no part of the service expects.
SERVICE_FAILED: Final = "The service failed. The operator finds the reason in its log."


class ImageError(Exception):
    """The base class of errors that are shown to callers; ``str(error)`` is the message."""

    code = "error"
    logged = False  # whether the log already has this failure, with its details
    operator_message = ""  # if another one is for operators, who can do more

    def for_operator(self) -> str:
        """Return the message as commands print it: without advice to ask the operator."""
        return self.operator_message or str(self)

    def with_cause(self) -> str:
        """Return the message for operators and the beginning of the error's cause, in one line.

        The cause can contain the URL of a location or a path: show it only to operators.
        """
        return f"{self.for_operator()} {self.cause()}".strip()

    def cause(self) -> str:
        """Return the beginning of the error that has caused this one, in one line; else ``""``.

        The text can contain the URL of a location or a path: show it only to operators.
        """
        return " ".join(str(self.__cause__ or "").split())[:MOST_OF_CAUSE]


class Invalid(ImageError):
    """The error for a wrong request, which cannot succeed if it is repeated unchanged."""

    code = "invalid"


class NotFound(ImageError):
    """The error for an object that does not exist, or that the caller must not know to exist."""

    code = "not-found"


class Forbidden(ImageError):
    """The error for a caller who can see the object, but is not allowed to do the requested action."""

    code = "forbidden"


class Conflict(ImageError):
    """The error if the present state of the image or the service does not allow the action."""

    code = "conflict"


class Changed(ImageError):
    """The error for a request that depends on a version that the object no longer has."""

    code = "changed"


class AlreadyBegun(Conflict):
    """The error if the source of an image's data is to be set, but the image is no longer queued."""

    code = "already-begun"


class Locked(Conflict):
    """The error if another request is working on the same upload.

    The refused request can succeed soon.
    """

    code = "locked"


class Gone(ImageError):
    """The error if, during a transfer, the image was deleted or another transfer took over."""

    code = "gone"


class OverLimit(ImageError):
    """The error for a request that exceeds a limit or a quota."""

    code = "over-limit"


class QuotaExceeded(OverLimit):
    """The error for a request that exceeds a project's quota; ``name`` is the name of the quota."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class TooManyRequests(ImageError):
    """The error for a client that sends requests too often.

    Another request can succeed after ``seconds``.
    """

    code = "too-many-requests"

    def __init__(self, message: str, seconds: int = 1) -> None:
        super().__init__(message)
        self.seconds = seconds


class LimitsUnknown(ImageError):
    """The error if the limits of a project cannot be read from Keystone.

    The request can succeed later.
    """

    code = "limits-unknown"


class TooManyAttempts(TooManyRequests):
    """The error after too many attempts to sign in.

    Another attempt can succeed after ``seconds``.
    """

    code = "too-many-attempts"


class TooManyTransfers(ImageError):
    """The error if too many uploads and downloads run at once.

    The request can succeed in a few seconds.
    """

    code = "too-many-transfers"


class TransferEnded(TooManyTransfers):
    """The error for a transfer that was ended to make room for the transfer of another client."""

    code = "transfer-ended"


class ContentRefused(ImageError):
    """The error for data that is not safe, or not in the format that the image declares."""

    code = "content-refused"


class BodyIncomplete(ImageError):
    """The error if a client disconnects, stalls or sends a malformed body."""

    code = "body-incomplete"


class LeaseExpired(ImageError):
    """The error for a transfer that is considered dead.

    It has sent no heartbeat in time, its process has died, or its deadline has passed.
    """

    code = "lease-expired"


class ServerStopping(ImageError):
    """The error while the service is shutting down; the same request can be repeated soon."""

    code = "server-stopping"


class StoreError(ImageError):
    """The error of a store that failed; the request can succeed later."""

    code = "store-error"
    is_counted = False  # whether the metrics count this failure already


class StoreReadOnly(StoreError):
    """The error if data is to be written to a read-only store."""

    code = "store-read-only"


class StoreFull(StoreError):
    """The error of a store without enough space."""

    code = "store-full"


class StoreNotConfigured(StoreError):
    """The error if data is in a store that is not, or no longer, configured."""

    code = "store-not-configured"


class DataMissing(StoreError):
    """The error if a store does not have the requested object."""

    code = "data-missing"


class DataDamaged(StoreError):
    """The error if the data in the stores is not the data of the image."""

    code = "damaged"
