"""The closed sets of the portal: systems, variants, roles, stages, statuses, verdicts."""

from builds.choices.images import CheckName, Console, Role, System, Variant, Verdict
from builds.choices.people import Act, DeliveryStatus, EventKind, Means, Scope, Standing
from builds.choices.states import (
    BuilderName,
    BuildStatus,
    KeyStatus,
    MirrorState,
    Origin,
    ReleaseStatus,
    Stage,
    TransferKind,
    Trigger,
    Urgency,
)

__all__ = [
    "Act",
    "BuildStatus",
    "BuilderName",
    "CheckName",
    "Console",
    "DeliveryStatus",
    "EventKind",
    "KeyStatus",
    "Means",
    "MirrorState",
    "Origin",
    "ReleaseStatus",
    "Role",
    "Scope",
    "Stage",
    "Standing",
    "System",
    "TransferKind",
    "Trigger",
    "Urgency",
    "Variant",
    "Verdict",
]
