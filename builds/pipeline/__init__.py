"""The way of a release: plan, build, store, check, publish."""

from builds.pipeline.advance import Step, advance, note_sent
from builds.pipeline.checks import run_check
from builds.pipeline.collect import acts, collect, keep, stop_keeping
from builds.pipeline.documents import boot_script, moving_files
from builds.pipeline.heartbeat import holding
from builds.pipeline.plan import pin, trigger, trigger_due
from builds.pipeline.publish import publish, write_moving
from builds.pipeline.reconcile import reconcile
from builds.pipeline.restore import restore
from builds.pipeline.retention import lost_releases, orphans
from builds.pipeline.run import builder, run
from builds.pipeline.scrub import scrub, scrub_some

__all__ = [
    "Step",
    "acts",
    "advance",
    "boot_script",
    "builder",
    "collect",
    "holding",
    "keep",
    "lost_releases",
    "moving_files",
    "note_sent",
    "orphans",
    "pin",
    "publish",
    "reconcile",
    "restore",
    "run",
    "run_check",
    "scrub",
    "scrub_some",
    "stop_keeping",
    "trigger",
    "trigger_due",
    "write_moving",
]
