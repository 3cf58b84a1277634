"""The command `nixos-images`: its options, and what it prints."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from nixos_images import VERSION, commands
from nixos_images.completion import PROGRAM, SHELLS
from nixos_images.failures import Failure
from nixos_images.records import ROLES, SYSTEMS, VARIANTS

INTERRUPTED = 130
CODES = """exit codes:
  0  done                         5  older than what was seen before
  1  the portal can't be reached  6  the portal refuses
  2  asked for in a wrong way     7  the build or release failed
  3  not there                    8  it did not come in time
  4  not verified                 130  interrupted
"""


def main(words: Sequence[str] | None = None) -> int:
    """Do what is asked; the exit code."""
    options = parser().parse_args(words)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except Failure as failure:
        print(f"{PROGRAM}: {failure}", file=sys.stderr)
        return failure.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    return code


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    top = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Lists, fetches and verifies NixOS images of a portal, and has them built.",
        epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"{PROGRAM} {VERSION}")
    kinds = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _list(_command(kinds, "list", commands.list_channels, "what there is, and how old it is"))
    _latest(_command(kinds, "latest", commands.show_latest, "the latest release of a channel"))
    _fetch(_command(kinds, "fetch", commands.fetch_files, "fetch its files, and verify them"))
    _verify(_command(kinds, "verify", commands.verify_file, "verify a file that is here"))
    _watch(_command(kinds, "watch", commands.watch_any, "wait for a release, or follow a build"))
    _trigger(_command(kinds, "trigger", commands.trigger_release, "have a release built"))
    shell = kinds.add_parser("completion", help="print what a shell completes this command by")
    shell.add_argument("shell", choices=SHELLS)
    shell.set_defaults(run=commands.print_completion, parser=top)
    return top


def _command(
    kinds: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: object, text: str
) -> argparse.ArgumentParser:
    made = kinds.add_parser(name, help=text, description=text)
    made.add_argument("--portal", metavar="URL", default="", help="the portal's address")
    made.set_defaults(run=run)
    return made


def _list(made: argparse.ArgumentParser) -> None:
    made.add_argument("--json", action="store_true", help="for programs")


def _latest(made: argparse.ArgumentParser) -> None:
    _of_channel(made)
    shape = made.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="the portal's record, for programs")
    shape.add_argument("--url", metavar="ROLE", choices=ROLES, help="the address of one file")
    made.add_argument("--variant", choices=VARIANTS, default="", help="of this variant only")


def _fetch(made: argparse.ArgumentParser) -> None:
    _of_channel(made, by_option=True)
    made.add_argument("--variant", choices=VARIANTS, default="", help="of this variant only")
    made.add_argument("--role", choices=ROLES, default="", help="of this role only")
    made.add_argument("-o", "--output", metavar="DIR", default=".", help="where to (here)")
    made.add_argument("-q", "--quiet", action="store_true", help="say only what is wrong")
    _proof(made)


def _verify(made: argparse.ArgumentParser) -> None:
    made.add_argument("file", metavar="FILE", help="the file, under the name it was fetched by")
    made.add_argument("--channel", default="", help="whose release it is of; else sums beside it")
    made.add_argument("--release", metavar="VERSION", default="", help="else the latest one")
    _proof(made)


def _watch(made: argparse.ArgumentParser) -> None:
    _of_channel(made, by_option=True, is_optional=True)
    made.add_argument("--build", metavar="ID", type=int, help="follow the log of this build")
    made.add_argument(
        "--after", metavar="SEQUENCE", type=int, help="newer than this, not than the latest now"
    )
    made.add_argument(
        "--interval", metavar="SECONDS", type=float, default=60, help="ask so often (60)"
    )
    _timeout(made)


def _trigger(made: argparse.ArgumentParser) -> None:
    made.add_argument("channel", metavar="CHANNEL")
    made.add_argument("--system", choices=SYSTEMS, help="else all that the channel is built for")
    made.add_argument(
        "--variant", choices=VARIANTS, help="only this, in the newest release, which failed"
    )
    made.add_argument("--force", action="store_true", help="also where nothing has changed")
    made.add_argument("--wait", action="store_true", help="until it is published, or has failed")
    made.add_argument("--token-file", metavar="FILE", default="", help="where the token is")
    made.add_argument("--json", action="store_true", help="for programs")
    _timeout(made)


def _of_channel(
    made: argparse.ArgumentParser, *, by_option: bool = False, is_optional: bool = False
) -> None:
    made.add_argument("channel", metavar="CHANNEL", nargs="?" if is_optional else None)
    if by_option:
        made.add_argument("--system", choices=SYSTEMS, default="", help="else this machine's")
    else:
        made.add_argument("system", metavar="SYSTEM", nargs="?", choices=SYSTEMS)


def _proof(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--allowed-signers", metavar="FILE", default="", help="whose signatures count"
    )
    made.add_argument(
        "--trust-on-first-use", action="store_true", help="take the portal's keys, from now on"
    )
    made.add_argument(
        "--allow-older", action="store_true", help="take an older state than was seen before"
    )
    made.add_argument(
        "--allow-expired",
        action="store_true",
        help="take a latest release that nobody vouches for any more",
    )
    made.add_argument(
        "--require-signature", action="store_true", help="fail where none could be verified"
    )


def _timeout(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=0, help="give up then (never)"
    )
