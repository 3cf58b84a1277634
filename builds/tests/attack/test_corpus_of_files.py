"""Hostile output, archives, logs and targets of webhooks: nothing of them leads out."""

from __future__ import annotations

import contextlib
import io
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from builds import webhook
from builds.builders.base import BadProduct
from builds.builders.products import read_products
from builds.choices import Variant
from builds.logs.ansi import plain, spans
from builds.outward.addresses import Refused, check_url, resolve
from builds.pipeline.abroad.members import members
from builds.pipeline.mirrored import Refused as RefusedTar
from builds.tests.attack.corpus import LEAST, Row, families, refused, rows, wrong
from builds.tests.attack.tars import tar_of

pytestmark = pytest.mark.usefixtures("silence")


def test_there_are_enough_and_each_says_what_is_expected() -> None:
    found = {family: rows(family) for family in families()}
    assert sum(map(len, found.values())) >= LEAST
    for family, listed in found.items():
        assert all("expected" in row for row in listed), family
        assert len({repr(row) for row in listed}) == len(listed), f"{family} has one twice"


def test_tars() -> None:
    """`import` reads headers only, and takes plain files below a release's folder."""

    def is_right(row: Row) -> bool:
        tar = io.BytesIO(tar_of(row))
        return refused(lambda: members(tar), RefusedTar, row["expected"])

    assert wrong("tars", is_right) == []


def test_products(tmp_path: Path) -> None:
    """Nothing outside of a build's output is handed out, whatever its listing says."""
    out = _output(tmp_path)
    listing = out / "nix-support" / "hydra-build-products"

    def is_right(row: Row) -> bool:
        listing.write_text(row["lines"].replace("OUT", str(out)), encoding="utf-8")
        return refused(
            lambda: read_products(out, Variant.KEXEC_INSTALLER, [out], lambda _: None),
            BadProduct,
            row["expected"],
        )

    assert wrong("products", is_right) == []
    listing.write_text(f"file tarball {out}/good.tar.gz\n")
    [good] = read_products(out, Variant.KEXEC_INSTALLER, [out], lambda _: None)
    assert good.name == "good.tar.gz"


def _output(folder: Path) -> Path:
    out, other = folder / "out", folder / "else"
    for each in (out / "nix-support", out / "folder", out / "other", other, folder / "out-twin"):
        each.mkdir(parents=True)
    for file in (other / "secret", folder / "out-twin" / "secret"):
        file.write_text("secret")
    plain_names = ("good.tar.gz", "other/good.tar.gz", "file", ".hidden", "-rf", "--option")
    strange = ("a b", "a$(id)", "a`id`", "é", "a\u202eb", "{{x}}", "%2e%2e", "a'b", "a;b")
    for name in (*plain_names, *strange, "<svg onload=x>"):
        (out / name).write_text("x")
    (out / "empty").touch()
    os.mkfifo(out / "pipe")
    with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(out):
        made.bind("socket")  # its full path would be too long
    targets: dict[str, str | Path] = {
        "link-out": "../else/secret",
        "link-abs": other / "secret",
        "link-chain": "link-out",
        "link-folder": other,
        "link-loop": "link-loop",
        "link-nowhere": "/nowhere",
        "link-proc": "/proc/self/exe",
    }
    for name, target in targets.items():
        (out / name).symlink_to(target)
    return out


def test_logs() -> None:
    """A line is text: nothing in it acts on a terminal, and colours are names."""

    def is_right(row: Row) -> bool:
        shown = spans(row["line"])
        text = "".join(span.text for span in shown)
        looks = " ".join(span.classes for span in shown)
        cut = row["expected"].removesuffix("…")
        is_safe = re.fullmatch(r"(?:ansi-[a-z]+ ?| )*", looks) is not None
        return text == row["expected"] and is_safe and plain(row["line"]).startswith(cut)

    assert wrong("logs", is_right) == []


NAMES = {
    "inward.example": ["10.0.0.1"],
    "mixed.example": ["93.184.215.14", "127.0.0.1"],
    "inward6.example": ["::1"],
    "mapped.example": ["::ffff:169.254.169.254"],
    "metadata.example": ["169.254.169.254"],
    "hook.example": ["93.184.215.14"],
    "localhost.": ["127.0.0.1"],
}


def test_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook goes to public addresses only, whatever way they are written."""
    real = socket.getaddrinfo

    def resolver(host: str, port: int, *args: Any, **fields: Any) -> Any:
        found = NAMES.get(host, [host])
        return [entry for each in found for entry in real(each, port, *args, **fields)]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)

    def reach(url: str) -> None:
        place = check_url(url)
        resolve(place.host, place.port, ())

    def is_right(row: Row) -> bool:
        return refused(lambda: reach(row["url"]), Refused, row["expected"])

    assert wrong("targets", is_right) == []
    reach("http://hook.example/")
    assert webhook.check_url("https://hook.example/x").host == "hook.example"
