"""The way of a release: plan, build, store, check, publish."""

from builds.pipeline.advance import Step, advance, note_sent
from builds.pipeline.archive import archive_log, archive_logs
from builds.pipeline.checks import run_check
from builds.pipeline.collect import acts, collect, keep, stop_keeping
from builds.pipeline.control import (
    before_head,
    cancel,
    publish_now,
    refusal_to_retry,
    retry,
    retry_variant,
    roll_back,
    withdraw,
)
from builds.pipeline.documents import boot_script, moving_files
from builds.pipeline.downloads import take_counts
from builds.pipeline.front_log import count_log
from builds.pipeline.heartbeat import holding
from builds.pipeline.notify import find_stale, notify, seconds_to_next
from builds.pipeline.plan import pin, trigger, trigger_due
from builds.pipeline.publish import publish, write_moving
from builds.pipeline.queues import Line, Place
from builds.pipeline.reconcile import reconcile
from builds.pipeline.regression import Regression, first_reds, regression
from builds.pipeline.restore import restore
from builds.pipeline.retention import lost_releases, orphans
from builds.pipeline.run import builder, run
from builds.pipeline.scrub import scrub, scrub_some
from builds.pipeline.workers import Presence

__all__ = [
    "Line",
    "Place",
    "Presence",
    "Regression",
    "Step",
    "acts",
    "advance",
    "archive_log",
    "archive_logs",
    "before_head",
    "boot_script",
    "builder",
    "cancel",
    "collect",
    "count_log",
    "find_stale",
    "first_reds",
    "holding",
    "keep",
    "lost_releases",
    "moving_files",
    "note_sent",
    "notify",
    "orphans",
    "pin",
    "publish",
    "publish_now",
    "reconcile",
    "refusal_to_retry",
    "regression",
    "restore",
    "retry",
    "retry_variant",
    "roll_back",
    "run",
    "run_check",
    "scrub",
    "scrub_some",
    "seconds_to_next",
    "stop_keeping",
    "take_counts",
    "trigger",
    "trigger_due",
    "withdraw",
    "write_moving",
]
