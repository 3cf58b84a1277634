"""Which cases must turn red with which seeded bug."""

from __future__ import annotations

from builds.tests.crash.matrix import Case

# Each bug, and cases that must turn red with it. They hold without it: the matrix has them too.
CASES: dict[str, list[Case]] = {
    # Only while nobody else has written rows for the files can the late one write its own.
    "skip_the_fence": [Case("meet", "build: all set aside", 1, "build: row taken")],
    "read_the_fence_again": [Case("stop", "publish: signatures written")],
    "write_in_place": [Case("kill", "settle: under both keys")],
    "store_under_the_last_key": [
        Case("meet", "storage: copied, not named", 1, "build: all set aside"),
        Case("meet", "store: before a file", 1, "build: all set aside"),
    ],
    "commit_in_two_steps": [Case("kill", "build: status set")],
    "plan_in_two_steps": [Case("kill", "plan: pin written")],
    "publish_in_two_steps": [Case("kill", "publish: status set")],
    "publish_before_the_papers": [Case("kill", "publish: committed")],
    "send_once": [Case("kill", "trigger: committed"), Case("kill", "build: message taken")],
    "never_lose": [Case("kill", "build: row taken")],
    "never_finish_moving": [Case("kill", "publish: before a moving file", 2)],
    "blame_the_release": [Case("storage-gone", "check: row taken")],
    "take_twice": [Case("stop", "build: message taken")],
    "look_only_once": [Case("storage-gone", "publish: numbered")],
    "overwrite_in_the_bucket": [
        Case("meet", "store: before a file", 1, "build: all set aside", world="bucket")
    ],
    "settle_by_moving": [Case("kill", "settle: under both keys", world="bucket")],
    "take_an_error_for_an_end": [Case("storage-error", "check: row taken", world="bucket")],
}
