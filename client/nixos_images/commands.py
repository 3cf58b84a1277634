"""What each command does."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from nixos_images import config as settings
from nixos_images import fetch, latest, proof, signatures, trigger, watch, web
from nixos_images.completion import script
from nixos_images.config import Config
from nixos_images.failures import BadUsage, NotThere, NotVerified
from nixos_images.progress import size
from nixos_images.proof import Proof, Wish
from nixos_images.records import SYSTEMS, Release, instant, sums_of
from nixos_images.seen import Seen

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def list_channels(options: argparse.Namespace) -> int:
    """Print each channel with its latest releases."""
    found = latest.channels(settings.load(options.portal))
    if options.json:
        print(json.dumps([asdict(channel) for channel in found], indent=1))
        return 0
    for channel in found:
        for each in channel.systems:
            what = (
                f"{each.version:<32} {_age(each.published_at or '')}" if each.version else "nothing"
            )
            print(f"{channel.name:<24} {each.system:<14} {what}")
    return 0


def show_latest(options: argparse.Namespace) -> int:
    """Print the latest release, or the address of one of its files."""
    config = settings.load(options.portal)
    system = options.system or this_system()
    if options.json:
        record = web.record(latest.latest_url(config, options.channel, system))
        print(json.dumps(record, indent=1))
        return 0
    release = latest.latest(config, options.channel, system)
    if options.url:
        return _print_url(release, options.variant, options.url)
    print(f"{release.name}, release {release.sequence}, {_age(release.published_at)}")
    for artifact in release.chosen(options.variant):
        print(f"  {artifact.name}  {size(artifact.size)}  {artifact.immutable_url}")
    return 0


def fetch_files(options: argparse.Namespace) -> int:
    """Fetch files of the latest release, its sums and their signature beside them."""
    config = settings.load(options.portal, options.allowed_signers)
    release = latest.latest(config, options.channel, options.system or this_system())
    seen = Seen(config)
    if not options.allow_older:
        seen.refuse_older(release)
    chosen = release.chosen(options.variant, options.role)
    if not chosen:
        raise NotThere(f"{release.name} has no such file; see nixos-images latest")
    proven = proof.prove(release, config, _wish(options))
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    for artifact in chosen:
        path = fetch.fetch(artifact, folder, quiet=options.quiet)
        print(path, flush=True)
    _keep_papers(release, proven, folder)
    seen.note(release, proven.timestamp, even_older=options.allow_older)
    _say(f"{release.name}: size and SHA-256 of {_files(len(chosen))} are right", options)
    _explain(proven, options)
    return 0


def verify_file(options: argparse.Namespace) -> int:
    """Compare a file with the sums of its release: the portal's, or those beside it."""
    path = Path(options.file)
    if not path.is_file():
        raise BadUsage(f"there is no file {path}")
    system = next((each for each in SYSTEMS if each in path.name), "")
    if not system:
        raise BadUsage(f"{path.name} names no system; verify a file under its own name")
    beside = path.parent / f"SHA256SUMS-{system}"
    if options.channel:
        sums, told = _sums_of_portal(options, system)
    elif beside.is_file():
        sums, told = _sums_beside(options, beside)
    else:
        raise BadUsage(f"which release? Name it by --channel, or put {beside.name} beside the file")
    wanted = sums_of(sums).get(path.name)
    if wanted is None:
        raise NotThere(f"{path.name} is no file of that release")
    if fetch.digest(path) != wanted:
        raise NotVerified(f"{path} is not that file: its SHA-256 is another than {wanted}")
    print(f"{path}: its SHA-256 is right; {told}")
    return 0


def watch_any(options: argparse.Namespace) -> int:
    """Wait for a build's end, or for a channel's next release, which is printed."""
    config = settings.load(options.portal)
    if (options.build is None) == (options.channel is None):
        raise BadUsage("name a CHANNEL, or a build by --build")
    if options.build is not None:
        watch.watch_build(config, options.build, timeout=options.timeout)
        return 0
    release = watch.watch_release(
        config,
        options.channel,
        options.system or this_system(),
        after=options.after,
        every=max(options.interval, 1),
        timeout=options.timeout,
    )
    print(f"{release.name}, release {release.sequence}")
    return 0


def trigger_release(options: argparse.Namespace) -> int:
    """Have a release built, and wait for it where that is wanted."""
    config = settings.load(options.portal, token_file=options.token_file)
    wish = {"channel": options.channel, "system": options.system, "variant": options.variant}
    wish = {name: value for name, value in wish.items() if value is not None}
    releases = trigger.trigger(config, wish | ({"force": True} if options.force else {}))
    if options.wait:
        releases = trigger.wait(config, releases, timeout=options.timeout)
    if options.json:
        print(json.dumps(releases, indent=1))
        return 0
    for release in releases:
        print(f"{trigger.name(release)}: {release['status']}  {release.get('page_url', '')}")
    return 0


def print_completion(options: argparse.Namespace) -> int:
    """Print a shell's completions."""
    print(script(options.parser, options.shell), end="")
    return 0


def this_system() -> str:
    """The system of the machine that this runs on; raises BadUsage where there are no images."""
    machine = platform.machine().lower()
    system = f"{_MACHINES.get(machine, machine)}-linux"
    if system not in SYSTEMS:
        raise BadUsage(f"there are no images for {machine}; name one of {', '.join(SYSTEMS)}")
    return system


def _print_url(release: Release, variant: str, role: str) -> int:
    found = release.chosen(variant, role)
    if not found:
        raise NotThere(f"{release.name} has no {role}")
    if len(found) > 1:
        variants = ", ".join(sorted({each.variant for each in found}))
        raise BadUsage(f"several files are a {role}; choose by --variant of {variants}")
    print(found[0].immutable_url)
    return 0


def _sums_of_portal(options: argparse.Namespace, system: str) -> tuple[bytes, str]:
    """The sums of a release of the portal, and what is known of them."""
    config = settings.load(options.portal, options.allowed_signers)
    release = latest.latest(config, options.channel, system)
    if options.release and options.release != release.version:
        return _sums_of_older(config, options, system)
    proven = proof.prove(release, config, _wish(options))
    return proven.sums, "; ".join(
        [*proven.verified, *(f"not verified: {w}" for w in proven.unverified)]
    )


def _sums_of_older(config: Config, options: argparse.Namespace, system: str) -> tuple[bytes, str]:
    channel, version = web.quoted(options.channel), web.quoted(options.release)
    url = f"{config.url}/releases/download/{channel}/{version}/SHA256SUMS-{system}"
    sums = web.read(url)
    signers = config.trusted_signers()
    if signers is None:
        return _unsigned(options, sums, "no keys are trusted yet")
    try:
        signature = web.read(url + signatures.SIGNATURE)
    except NotThere:
        return _unsigned(options, sums, "that release is not signed")
    return (
        sums,
        f"the sums are signed by {signatures.verify(sums, signature, signers)} of {signers}",
    )


def _sums_beside(options: argparse.Namespace, beside: Path) -> tuple[bytes, str]:
    """The sums beside a file, as `fetch` has left them there."""
    sums, signature = beside.read_bytes(), beside.with_name(beside.name + signatures.SIGNATURE)
    try:
        signers = settings.load(signers=options.allowed_signers).trusted_signers()
    except BadUsage:
        signers = Path(options.allowed_signers) if options.allowed_signers else None
    if signers is None or not signature.is_file():
        why = "no keys are trusted yet" if signers is None else f"there is no {signature.name}"
        return _unsigned(options, sums, why)
    who = signatures.verify(sums, signature.read_bytes(), signers)
    return sums, f"{beside.name} is signed by {who} of {signers}"


def _unsigned(options: argparse.Namespace, sums: bytes, why: str) -> tuple[bytes, str]:
    if options.require_signature:
        raise NotVerified(f"no signature could be verified: {why}")
    return sums, f"not verified: who made it, because {why}"


def _keep_papers(release: Release, proven: Proof, folder: Path) -> None:
    """Leave the sums beside the files, so that `sha256sum -c` and `verify` work later."""
    name = f"SHA256SUMS-{release.system}"
    (folder / name).write_bytes(proven.sums)
    signature = folder / f"{name}{signatures.SIGNATURE}"
    if proven.signature is None:
        signature.unlink(missing_ok=True)
    else:
        signature.write_bytes(proven.signature)


def _explain(proven: Proof, options: argparse.Namespace) -> None:
    for what in proven.verified:
        _say(f"verified: {what}", options)
    for what in proven.unverified:
        print(f"NOT verified: {what}", file=sys.stderr)


def _say(text: str, options: argparse.Namespace) -> None:
    if not options.quiet:
        print(text, file=sys.stderr)


def _wish(options: argparse.Namespace) -> Wish:
    return Wish(
        required=options.require_signature,
        trust_on_first_use=options.trust_on_first_use,
        allow_older=options.allow_older,
        allow_expired=options.allow_expired,
    )


def _age(published_at: str) -> str:
    age = datetime.now(timezone.utc) - instant(published_at)
    if age.days:
        return f"{age.days} day{'' if age.days == 1 else 's'} old"
    return f"{max(int(age.total_seconds()), 0) // 3600} h old"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
