"""The way of a release: plan, build, store, check, publish."""

from builds.pipeline.abroad import (
    Busy,
    check_mirror,
    check_mirrors,
    follow,
    follow_all,
    pack,
    unpack,
)
from builds.pipeline.adopt import Adoption, adopt
from builds.pipeline.advance import Step, advance, check_step, note_sent
from builds.pipeline.archive import archive_log, archive_logs
from builds.pipeline.arrivals import (
    Declaration,
    Declared,
    NoRoom,
    TooMuch,
    WrongDeclaration,
    declare,
    finish,
)
from builds.pipeline.arriving import WrongDigest, WrongPlace, check, forget, take_in
from builds.pipeline.checks import run_check
from builds.pipeline.collect import acts, collect
from builds.pipeline.control import (
    cancel,
    publish_now,
    refusal_to_cancel,
    refusal_to_publish,
    refusal_to_retry,
    retry,
    retry_variant,
)
from builds.pipeline.documents import boot_script, moving_files
from builds.pipeline.downloads import take_counts
from builds.pipeline.estimate import publication
from builds.pipeline.front_log import count_log
from builds.pipeline.heartbeat import holding
from builds.pipeline.makers import builder, builder_for
from builds.pipeline.notify import find_stale, notify, seconds_to_next
from builds.pipeline.pieces import hash_pieces
from builds.pipeline.plan import pin, trigger, trigger_due
from builds.pipeline.publish import publish, write_moving
from builds.pipeline.published import (
    before_head,
    head_without,
    keep,
    refusal_to_keep,
    refusal_to_roll_back,
    refusal_to_stop_keeping,
    refusal_to_withdraw,
    roll_back,
    stop_keeping,
    withdraw,
)
from builds.pipeline.queues import Line, Place
from builds.pipeline.reconcile import reconcile
from builds.pipeline.regression import (
    Regression,
    compare_url,
    first_reds,
    reds,
    regression,
    source_url,
)
from builds.pipeline.relocate import relocate
from builds.pipeline.restore import restore
from builds.pipeline.retention import lost_releases, orphans
from builds.pipeline.run import run
from builds.pipeline.scrub import scrub, scrub_some
from builds.pipeline.signatures import (
    known_keys,
    record_keys,
    record_root,
    sign_again,
    sign_all_again,
    write_keys,
)
from builds.pipeline.totals import count_ended
from builds.pipeline.workers import Presence, left_to_others

__all__ = [
    "Adoption",
    "Busy",
    "Declaration",
    "Declared",
    "Line",
    "NoRoom",
    "Place",
    "Presence",
    "Regression",
    "Step",
    "TooMuch",
    "WrongDeclaration",
    "WrongDigest",
    "WrongPlace",
    "acts",
    "adopt",
    "advance",
    "archive_log",
    "archive_logs",
    "before_head",
    "boot_script",
    "builder",
    "builder_for",
    "cancel",
    "check",
    "check_mirror",
    "check_mirrors",
    "check_step",
    "collect",
    "compare_url",
    "count_ended",
    "count_log",
    "declare",
    "find_stale",
    "finish",
    "first_reds",
    "follow",
    "follow_all",
    "forget",
    "hash_pieces",
    "head_without",
    "holding",
    "keep",
    "known_keys",
    "left_to_others",
    "lost_releases",
    "moving_files",
    "note_sent",
    "notify",
    "orphans",
    "pack",
    "pin",
    "publication",
    "publish",
    "publish_now",
    "reconcile",
    "record_keys",
    "record_root",
    "reds",
    "refusal_to_cancel",
    "refusal_to_keep",
    "refusal_to_publish",
    "refusal_to_retry",
    "refusal_to_roll_back",
    "refusal_to_stop_keeping",
    "refusal_to_withdraw",
    "regression",
    "relocate",
    "restore",
    "retry",
    "retry_variant",
    "roll_back",
    "run",
    "run_check",
    "scrub",
    "scrub_some",
    "seconds_to_next",
    "sign_again",
    "sign_all_again",
    "source_url",
    "stop_keeping",
    "take_counts",
    "take_in",
    "trigger",
    "trigger_due",
    "unpack",
    "withdraw",
    "write_keys",
    "write_moving",
]
