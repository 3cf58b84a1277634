"""What is fed: each target asserts what must hold whatever comes; its own refusals may pass."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from builds.boot.options import BadOptions, BootOptions
from builds.builders.base import BadProduct
from builds.builders.nix_log import NixLog
from builds.builders.products import params_of_script, parse_listing
from builds.downloads.ranges import NotSatisfiable, is_unchanged, requested_span

ETAG = '"0123abcd"'


@dataclass(frozen=True, slots=True)
class Target:
    """`feed` raises AssertionError, or whatever it should not, for bytes that break something."""

    feed: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]


def log(data: bytes) -> None:
    """The log reads the same at once and line by line; its lines fit into every database."""
    lines = data.split(b"\n")
    at_once, by_line = NixLog(), NixLog()
    found = at_once.read_all(lines)
    assert found == [text for line in lines for text in by_line.read_all([line])]
    assert at_once.progress == by_line.progress
    for line in found:
        assert "\0" not in line
        line.encode()


def products(data: bytes) -> None:
    """A listing is read or refused, and a script's parameters stay on one line."""
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(BadProduct):
        for listed in parse_listing(text):
            assert listed.path
            assert '"' not in listed.path
    with contextlib.suppress(BadProduct):
        params = params_of_script(text)
        assert "\n" not in params
        assert "${cmdline}" not in params.split()


def ranges(data: bytes) -> None:
    """A range is within the file, or there is none."""
    parts = data.decode("latin-1").split("|")
    header, if_range, size = (*parts, "", "")[:3]
    length = int.from_bytes(size.encode("latin-1")[:6], "big")
    is_unchanged(if_range, ETAG)
    try:
        span = requested_span(header, if_range, ETAG, length)
    except NotSatisfiable:
        return
    if span is not None:
        assert 0 <= span.start < span.start + span.length <= length
        assert if_range.strip() in {"", ETAG}


def parameters(data: bytes) -> None:
    """Boot options are refused, or say the same again and put nothing new on the kernel's line."""
    segments = [data.decode("latin-1"), base64.urlsafe_b64encode(data).decode().rstrip("=")]
    for segment in segments:
        try:
            options = BootOptions.from_segment(segment)
        except BadOptions as wrong:
            errors = [str(text) for text in wrong.errors.values()]
        else:
            errors = []
            _agrees(options)
        assert all(error.isprintable() for error in errors)


def _agrees(options: BootOptions) -> None:
    assert BootOptions.from_segment(options.segment) == options
    line = " ".join(options.kernel_params)
    assert line.isascii()
    assert line.isprintable()
    assert not set(line) & set("\"'`$\\;&|<>(){}*?!#")


def _json(**texts: str) -> bytes:
    return json.dumps(texts).encode()


TARGETS = {
    "log": Target(
        log,
        (
            (
                b'@nix {"action":"start","id":1,"level":3,"type":105,"text":"building",'
                b'"fields":["/nix/store/s226piqgql46zqafli2l0kh8404g7jw9-linux-6.12.drv","",1,1]}\n'
                b'@nix {"action":"result","fields":["  CC  main.o"],"id":1,"type":101}\n'
                b'@nix {"action":"stop","id":1}\n'
            ),
            (
                b'@nix {"action":"result","id":1,"type":105,"fields":[1,5,1,0]}\n'
                b'@nix {"action":"result","id":1,"type":106,"fields":[105,7]}\n'
            ),
            (
                b'@nix {"action":"msg","level":0,"msg":"\\u001b[31;1merror:\\u001b[0m it broke",'
                b'"raw_msg":"it broke"}\nwarning: plain\n'
            ),
            b'@nix {"action":"result","fields":["one\\ttwo \xc3\xa9"],"id":7,"type":107}\n' * 3,
        ),
        (b"@nix ", b'"fields":[', b"\n", b"\\ud800", b"\\u0000", b"null", b"true", b"[[", b"}}"),
    ),
    "products": Target(
        products,
        (
            b'file iso "/nix/store/a-b/nixos.iso"\nfile tarball /nix/store/a/x.tar.gz index.html\n',
            b"file kernel /nix/store/a/bzImage\nfile initrd /nix/store/a/initrd\n",
            (
                b"#!ipxe\nkernel bzImage init=/nix/store/x/init initrd=initrd quiet ${cmdline}\n"
                b"initrd initrd\nboot\n"
            ),
        ),
        (b'"', b"file ", b"\n", b"..", b"\0", b"${", b"initrd=", b"kernel ", b"\xe2\x80\xa8", b"<"),
    ),
    "ranges": Target(
        ranges,
        (
            b"bytes=0-99||\x00\x00\x10\x00",
            b'bytes=-5|"0123abcd"|\x00\xff',
            b'bytes = 5 - |W/"x", *|\x01\x00\x00\x00\x00\x00',
            b"bytes=0-1,4-5||\x09",
        ),
        (b"bytes=", b"-", b",", b"9" * 30, b"\xb2", b"|", b'"0123abcd"', b"W/", b" "),
    ),
    "parameters": Target(
        parameters,
        (
            _json(hostname="rescue-7", addresses="192.0.2.5/24 2001:db8::5/64"),
            _json(addresses="192.0.2.5/24", gateways="192.0.2.1", card="52:54:00:12:34:56"),
            _json(consoles="tty0 ttyS1,115200", params="quiet systemd.log_level=debug"),
            _json(keys="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43 + " me@here"),
            base64.urlsafe_b64encode(_json(hostname="a", nameservers="192.0.2.53")).rstrip(b"="),
        ),
        (
            b'"params":"',
            b"\\u0000",
            b"\\n",
            b"init=/bin/sh",
            b"::",
            b"/33",
            b"{",
            b'"',
            b"=",
            b"$(",
        ),
    ),
}
