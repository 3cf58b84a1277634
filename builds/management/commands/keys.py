"""`manage.py keys …`: makes, shows, changes and revokes the keys that releases are signed with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error
from django.utils import timezone

from builds import pipeline
from builds.choices import KeyStatus
from builds.signing import BadKeys, Keyring, KeySet, NoKey, Refused, fingerprint, sshsig

WRONG = (NoKey, BadKeys, Refused, OSError, ValueError)


class Command(BaseCommand):
    """See docs/keys.md. All but sign-root run where the signer does."""

    help = "Make, show, change and revoke the keys that releases are signed with."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do."""
        acts = parser.add_subparsers(dest="act", required=True)
        make = acts.add_parser("make", help="a root key and the first two release keys")
        make.add_argument("--root-public", type=Path, help="a root key that lies elsewhere")
        acts.add_parser("show", help="fingerprints, and how each key stands")
        acts.add_parser("rotate", help="let the next key sign, and make another next one")
        revoke = acts.add_parser("revoke", help="say that what a key has signed is worth nothing")
        revoke.add_argument("key")
        request = acts.add_parser("request", help="the same, for a root key on another machine")
        request.add_argument("change", choices=["first", "rotate", "revoke"])
        request.add_argument("key", nargs="?", default="")
        sign = acts.add_parser("sign-root", help="sign a request, where the root key is")
        sign.add_argument("request", type=Path)
        sign.add_argument("--root-key", type=Path, required=True)
        install = acts.add_parser("install", help="use a request that the root key has signed")
        install.add_argument("request", type=Path)
        acts.add_parser("publish", help="put the public files into the storage again")
        acts.add_parser("sign-again", help="let the current key sign what others have signed")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it; one line where it can't be done."""
        acts: dict[str, Callable[..., None]] = {
            "make": self._make,
            "show": self._show,
            "rotate": self._rotate,
            "revoke": self._revoke,
            "request": self._request,
            "sign-root": self._sign_root,
            "install": self._install,
            "publish": self._publish,
            "sign-again": self._sign_again,
        }
        self._keyring = Keyring(Path(settings.SIGNER_KEYS))
        try:
            acts[options["act"]](options)
        except WRONG as error:
            raise CommandError(str(error)) from error

    def _make(self, options: dict[str, Any]) -> None:
        self._keyring.make(at=timezone.now(), root=options["root_public"])
        self.stdout.write(f"root {fingerprint(self._keyring.root)}")
        self._record(pipeline.record_root, self._keyring.root)
        if self._keyring.has_root:
            self._record(pipeline.record_keys, None, self._keyring.read())
            self._publish(options)
        else:
            self.stdout.write("next: keys request first")

    def _show(self, _options: dict[str, Any]) -> None:
        where = "here, too: move it to another machine" if self._keyring.has_root else "elsewhere"
        self.stdout.write(f"root {fingerprint(self._keyring.root)}, its private half is {where}")
        for key in self._keyring.read().keys:
            until = f"{key.valid_after:%Y-%m-%d} to {key.valid_before:%Y-%m-%d}"
            self.stdout.write(f"{key.id} {key.status}, {until}, {fingerprint(key.ssh)}")

    def _rotate(self, options: dict[str, Any]) -> None:
        self._change(self._keyring.rotated(at=timezone.now()), options)

    def _revoke(self, options: dict[str, Any]) -> None:
        self._change(self._keyring.revoked(options["key"], at=timezone.now()), options)

    def _change(self, wanted: KeySet, options: dict[str, Any]) -> None:
        before = self._keyring.read()
        self._keyring.sign_and_install(wanted)
        self._record(pipeline.record_keys, before, wanted)
        self._show(options)
        self._publish(options)
        self.stdout.write("next: keys sign-again")

    def _request(self, options: dict[str, Any]) -> None:
        """The new keys.json goes to standard output: private halves never leave this machine."""
        at = timezone.now()
        changes = {
            "first": lambda: self._keyring.first(at=at),
            "rotate": lambda: self._keyring.rotated(at=at),
            "revoke": lambda: self._keyring.revoked(options["key"], at=at),
        }
        self.stdout.write(changes[options["change"]]().to_json().decode(), ending="")

    def _sign_root(self, options: dict[str, Any]) -> None:
        """Needs no database and no network: only this program, the request and the root key."""
        data = options["request"].read_bytes()
        for key in KeySet.from_json(data).keys:
            if key.status in {KeyStatus.CURRENT, KeyStatus.NEXT}:
                print(f"will sign: {key.id} {key.status} {fingerprint(key.ssh)}", file=sys.stderr)  # noqa: T201 - beside the file
        signature = sshsig.sign(data, options["root_key"], sshsig.KEYS_NAMESPACE)
        _beside(options["request"]).write_bytes(signature)
        self.stdout.write(f"signed: {_beside(options['request'])}")

    def _install(self, options: dict[str, Any]) -> None:
        path = options["request"]
        before = self._before()
        self._keyring.install(path.read_bytes(), _beside(path).read_bytes())
        self._record(pipeline.record_keys, before, self._keyring.read())
        self._show(options)
        self._publish(options)

    def _before(self) -> KeySet | None:
        try:
            return self._keyring.read()
        except NoKey:
            return None

    def _record(self, record: Callable[..., None], *words: Any) -> None:
        """Into the audit trail. Keys change also where the database is away: a thief waits not."""
        try:
            record(*words, at=timezone.now())
        except Error as error:
            self.stderr.write(f"the audit trail does not know of this: {error}")

    def _publish(self, _options: dict[str, Any]) -> None:
        """Through the signer, so that it is seen whether it has the same keys."""
        try:
            pipeline.write_keys()
        except (OSError, Refused) as error:
            self.stdout.write(f"the public files are stored later: {error}")

    def _sign_again(self, _options: dict[str, Any]) -> None:
        current = self._keyring.read().current
        if current is None:
            raise NoKey("no release key is current")
        wrong = 0
        channels = set()
        for release, what in pipeline.sign_all_again(current.id, at=timezone.now()):
            channels.add(release.channel.name)
            wrong += bool(what)
            self.stdout.write(f"{release}: {what or 'signed again'}")
        for channel in sorted(channels):
            pipeline.write_moving(channel)
        if wrong:
            raise CommandError(f"{wrong} could not be signed again: withdraw them, or build anew")


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sig")
