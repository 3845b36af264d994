"""The models: fields, QuerySet methods and status transitions (no I/O, no permissions)."""

from __future__ import annotations

from images.models.admin_list import ListOptions, SavedFilter
from images.models.backup_report import BackupReport
from images.models.bulk import BulkChange, BulkResult, BulkRow
from images.models.edges import EDGES, Edge
from images.models.event import Event
from images.models.family import (
    Family,
    FamilyEvent,
    FamilyScope,
    FamilyVersion,
    Naming,
)
from images.models.image import (
    DELETED_STATUSES,
    READABLE_STATUSES,
    TRANSIENT_STATUSES,
    Image,
    Status,
)
from images.models.job import OPEN_JOBS, Job, JobStatus
from images.models.location import ImageLocation, LocationStatus
from images.models.lookups import Holds
from images.models.member import Member, MemberStatus
from images.models.metadef import (
    MetadefAssociation,
    MetadefNamespace,
    MetadefObject,
    MetadefProperty,
    MetadefResourceType,
    MetadefTag,
    NamespaceVisibility,
    ShippedNamespace,
)
from images.models.publication import (
    PreparedVersion,
    Publication,
    PublicationChange,
    PublishedIndex,
    PublishedTree,
)
from images.models.quota_limit import QuotaLimit
from images.models.retention import (
    Result,
    RetentionClock,
    RetentionDecision,
    RetentionPolicy,
    RetentionRun,
    SharedImages,
)
from images.models.statistics import Statistics
from images.models.transfer import (
    OPEN_STATUSES,
    ChunkStatus,
    ImportMethod,
    TargetStatus,
    Transfer,
    TransferKind,
    TransferStatus,
    TransferTarget,
    UploadChunk,
    ownerless,
)
from images.models.unified_limits import UnifiedLimits
from images.models.worker_pause import WorkerPause
from images.models.worker_report import WorkerReport

__all__ = [
    "DELETED_STATUSES",
    "EDGES",
    "OPEN_JOBS",
    "OPEN_STATUSES",
    "READABLE_STATUSES",
    "TRANSIENT_STATUSES",
    "BackupReport",
    "BulkChange",
    "BulkResult",
    "BulkRow",
    "ChunkStatus",
    "Edge",
    "Event",
    "Family",
    "FamilyEvent",
    "FamilyScope",
    "FamilyVersion",
    "Holds",
    "Image",
    "ImageLocation",
    "ImportMethod",
    "Job",
    "JobStatus",
    "ListOptions",
    "LocationStatus",
    "Member",
    "MemberStatus",
    "MetadefAssociation",
    "MetadefNamespace",
    "MetadefObject",
    "MetadefProperty",
    "MetadefResourceType",
    "MetadefTag",
    "NamespaceVisibility",
    "Naming",
    "PreparedVersion",
    "Publication",
    "PublicationChange",
    "PublishedIndex",
    "PublishedTree",
    "QuotaLimit",
    "Result",
    "RetentionClock",
    "RetentionDecision",
    "RetentionPolicy",
    "RetentionRun",
    "SavedFilter",
    "SharedImages",
    "ShippedNamespace",
    "Statistics",
    "Status",
    "TargetStatus",
    "Transfer",
    "TransferKind",
    "TransferStatus",
    "TransferTarget",
    "UnifiedLimits",
    "UploadChunk",
    "WorkerPause",
    "WorkerReport",
    "ownerless",
]
