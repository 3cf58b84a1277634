"""The way of a release: plan, build, store, check, publish."""

from builds.pipeline.advance import Step, advance, note_sent
from builds.pipeline.archive import archive_log, archive_logs
from builds.pipeline.checks import run_check
from builds.pipeline.documents import boot_script, moving_files
from builds.pipeline.heartbeat import holding
from builds.pipeline.plan import pin, trigger, trigger_due
from builds.pipeline.publish import publish, write_moving
from builds.pipeline.reconcile import reconcile
from builds.pipeline.run import builder, run

__all__ = [
    "Step",
    "advance",
    "archive_log",
    "archive_logs",
    "boot_script",
    "builder",
    "holding",
    "moving_files",
    "note_sent",
    "pin",
    "publish",
    "reconcile",
    "run",
    "run_check",
    "trigger",
    "trigger_due",
    "write_moving",
]
