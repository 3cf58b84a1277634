"""Five hundred hostile inputs and more: each is refused as it should be, or made inert."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import socket
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.exceptions import ValidationError
from django.core.handlers.base import BaseHandler
from django.http import HttpResponseBase
from django.test import RequestFactory
from django.utils import timezone

from builds import webhook
from builds.boot.options import BadOptions, BootOptions
from builds.builders.base import BadProduct
from builds.builders.products import read_products
from builds.catalogue import CatalogueError, load
from builds.choices import Scope, Standing, Variant
from builds.downloads.ranges import NotSatisfiable, requested_span
from builds.logs.ansi import plain, spans
from builds.models import Actor, Channel, Target, give_standing
from builds.models.flake import flake_inputs, flake_ref, is_of_this_machine
from builds.outward.addresses import Refused, check_url, resolve
from builds.pipeline.abroad.members import members
from builds.pipeline.mirrored import Refused as RefusedTar
from builds.tests.attack.corpus import LEAST, families, rows
from builds.tests.attack.tars import tar_of
from builds.tests.factories import ReleaseFactory, UserFactory
from builds.tests.tokens.conftest import new_token, owner

Row = dict[str, Any]
OURS = "https://images.example.org"
LATEST = "/api/v1/latest/demo/x86_64-linux/"


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Hundreds of refusals need not be logged."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def answer(db: None) -> Callable[..., HttpResponseBase]:
    """Sends raw requests; the channel demo has a published release 1.0."""
    ReleaseFactory(channel__name="demo", published=True, stored=True, version="1.0")
    handler = BaseHandler()
    handler.load_middleware()

    def ask(path: str, **environment: Any) -> HttpResponseBase:
        # As a server hands it over: what was escaped in the path is no longer.
        request = RequestFactory().get("/", **environment)
        raw = urllib.parse.unquote_to_bytes(path.encode())
        request = type(request)(
            {**request.environ, "PATH_INFO": raw.decode("latin-1")},
        )
        response = handler.get_response(request)
        response.close()
        return response

    return ask


def wrong(family: str, is_right: Callable[[Row], bool]) -> list[Row]:
    """The inputs of which something else came."""
    return [row for row in rows(family) if not is_right(row)]


def refused(check: Callable[[], object], error: type[Exception], why: str = "") -> bool:
    try:
        check()
    except error as said:
        return re.search(why, str(said)) is not None
    return False


def test_there_are_enough_and_each_says_what_is_expected() -> None:
    found = {family: rows(family) for family in families()}
    assert sum(map(len, found.values())) >= LEAST
    for family, listed in found.items():
        assert all("expected" in row for row in listed), family
        assert len({repr(row) for row in listed}) == len(listed), f"{family} has one twice"


def test_hosts(answer: Any, settings: LazySettings) -> None:
    """A Host that is not ours is refused; whatever else names one changes nothing."""
    settings.ALLOWED_HOSTS = ["images.example.org"]
    settings.DEBUG = False

    def is_right(row: Row) -> bool:
        named = {"Host": "images.example.org", **row["headers"]}
        told = {f"HTTP_{name.upper().replace('-', '_')}": said for name, said in named.items()}
        response = answer(LATEST, **told)
        wanted = 200 if row["expected"] == "inert" else row["expected"]
        return response.status_code == wanted and b"evil" not in response.content

    assert wrong("hosts", is_right) == []
    settings.PORTAL_URL = OURS
    assert wrong("hosts", is_right) == []
    assert OURS.encode() in answer(LATEST, HTTP_HOST="images.example.org").content


def test_names(answer: Any) -> None:
    """No name reaches anything but the file of that very name."""

    def is_right(row: Row) -> bool:
        name = row["name"]
        response = answer(f"/releases/download/demo/{name}")
        is_plain = response.headers["Content-Type"].startswith("text/plain")
        return response.status_code in row["expected"] and is_plain

    assert wrong("names", is_right) == []
    assert answer("/releases/download/demo/initrd-x86_64-linux").status_code == 200


def test_channels(db: None) -> None:
    def is_right(row: Row) -> bool:
        channel = Channel(name=row["name"], title="x", flake="path:images/mini")
        return refused(channel.full_clean, ValidationError, "name")

    assert wrong("channels", is_right) == []
    Channel(name="demo", title="x", flake="path:images/mini").full_clean()


def test_flake_refs(db: None, tmp_path: Path) -> None:
    """Neither a form nor the catalogue takes them, and Nix is not handed an option."""
    catalogue = tmp_path / "catalogue.toml"

    def is_right(row: Row) -> bool:
        ref = row["ref"]
        channel = Channel(name="demo", title="x", flake=ref)
        by_form = refused(channel.full_clean, ValidationError, "flake")
        as_input = refused(lambda: flake_inputs({"nixpkgs": ref}), ValidationError)
        return by_form and as_input and refused(lambda: flake_ref(ref), ValidationError)

    assert wrong("flakes", is_right) == []
    for ref in (
        "github:NixOS/nixpkgs/nixos-unstable",
        "path:images/mini",
        "git+https://x.y/z?ref=a",
    ):
        flake_ref(ref)
    for ref in ("--impure", "path:../x", "/etc"):
        catalogue.write_text(
            f'[channels.demo]\ntitle = "x"\nflake = "{ref}"\nattribute = "a"\n'
            'systems = ["x86_64-linux"]\nvariants = ["netboot"]\nslot = "Sunday 03:00"\n'
        )
        assert refused(lambda: load(catalogue), CatalogueError, "flake")


def test_flakes_of_the_machine(client: Any, db: None) -> None:
    """Who has only the web names no files of the machine; an admin's form is refused."""
    assert wrong("flakes_of_the_machine", lambda row: is_of_this_machine(row["ref"])) == []
    user = UserFactory(username="ann")
    give_standing(user, Standing.ADMIN, by=Actor("test"), at=timezone.now())
    client.force_login(type(user).objects.get(pk=user.pk))
    fields = {
        "name": "mine",
        "title": "x",
        "position": 0,
        "builder": "nix",
        "overrides": "{}",
        "checks": "[]",
        "checks_after": "[]",
        "slot_weekday": 6,
        "slot_time": "03:00",
        "keep_last": 1,
        "keep_days": 1,
        "targets-TOTAL_FORMS": 0,
        "targets-INITIAL_FORMS": 0,
    }
    for row in rows("flakes_of_the_machine"):
        client.post("/admin/builds/channel/add/", {**fields, "flake": row["ref"]})
        assert not Channel.objects.exists(), row
        both = {"flake": "path:images/mini", "overrides": f'{{"nixpkgs": "{row["ref"]}"}}'}
        client.post("/admin/builds/channel/add/", {**fields, **both})
        assert not Channel.objects.exists(), row
    client.post("/admin/builds/channel/add/", {**fields, "flake": "path:images/mini"})
    assert Channel.objects.get().flake == "path:images/mini"


def test_attributes() -> None:
    def is_right(row: Row) -> bool:
        target = Target(system="x86_64-linux", variant="netboot", attribute=row["attribute"])
        return refused(
            lambda: target.clean_fields(exclude=["channel"]), ValidationError, "attribute"
        )

    assert wrong("attributes", is_right) == []


def test_inputs() -> None:
    def is_right(row: Row) -> bool:
        refs = {row["name"]: "github:NixOS/nixpkgs"}
        return refused(lambda: flake_inputs(refs), ValidationError)

    assert wrong("inputs", is_right) == []


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


def test_tokens(answer: Any, db: None) -> None:
    """No header, no address and no half of a token opens anything."""
    channel = Channel.objects.get()
    texts = _tokens()

    def opens(row: Row) -> int:
        told: dict[str, Any] = {}
        if "authorization" in row:
            told["HTTP_AUTHORIZATION"] = _written(row["authorization"], texts)
        if "header" in row:
            name = row["header"].upper().replace("-", "_")
            told[f"HTTP_{name}"] = _written(row["value"], texts)
        told["QUERY_STRING"] = _written(row.get("query", ""), texts)
        request = RequestFactory().post(
            "/api/v1/releases/", {"channel": channel.name}, content_type="application/json", **told
        )
        handler = BaseHandler()
        handler.load_middleware()
        return handler.get_response(request).status_code

    def is_right(row: Row) -> bool:
        return opens(row) == row["expected"] and not channel.releases.drafts().exists()

    assert wrong("tokens", is_right) == []
    assert opens({"authorization": "Bearer {T}"}) == 202


def _tokens() -> SimpleNamespace:
    boss = owner("boss")
    right = new_token(of=boss, name="right")[1]
    revoked, revoked_text = new_token(of=boss, name="revoked")
    revoked.revoke(by=Actor("test"), at=timezone.now())
    shut, shut_text = new_token(of=owner("gone"), name="shut")
    shut.owner.is_active = False
    shut.owner.save()
    body = right.removeprefix("nip_")
    other = "A" if right[12] != "A" else "B"
    return SimpleNamespace(
        T=right,
        SHORT=body[:36],
        CUT=right[:-1],
        MISTYPED=right[:12] + other + right[13:],
        BODY=body,
        LOWER=right.lower(),
        UPPER=right.upper(),
        ZEROS="0" * 49,
        DIGEST=revoked.digest,
        HINT=revoked.hint,
        EXPIRED=new_token(of=boss, name="old", days=-1)[1],
        REVOKED=revoked_text,
        SHUT=shut_text,
        OTHER_SCOPE=new_token(Scope.READ_DRAFTS, of=boss, name="lesser")[1],
        OTHER_CHANNEL=new_token(of=boss, name="elsewhere", channels=["elsewhere"])[1],
        LOWERED=new_token(of=owner("low", Standing.VIEWER), name="low")[1],
    )


def _written(text: str, texts: SimpleNamespace) -> str:
    for name, value in vars(texts).items():
        text = text.replace(f"{{{name}}}", value)
    return text


def test_ranges() -> None:
    """One range is a part, nonsense is the whole, what lies outside is 416; never more."""

    def is_right(row: Row) -> bool:
        try:
            span = requested_span(row["range"], "", '"x"', 1000)
        except NotSatisfiable:
            return bool(row["expected"] == "none")
        found = "all" if span is None else [span.start, span.length]
        return bool(found == row["expected"])

    assert wrong("ranges", is_right) == []


def test_options() -> None:
    """What ends in an iPXE script, on a kernel's line or in root's files has no signs that act."""

    def is_right(row: Row) -> bool:
        fields = {row["field"]: row["text"]}
        if row["field"] == "card":
            fields["addresses"] = "192.0.2.5/24"
        return refused(lambda: BootOptions.parse(fields), BadOptions, row["field"])

    assert wrong("options", is_right) == []


def test_segments(answer: Any) -> None:
    """Options in an address are checked as if typed; machines get a 404 in plain text."""

    def is_right(row: Row) -> bool:
        response = answer(f"/boot/demo/x86_64-linux/{row['segment']}/netboot.ipxe")
        kind = response.headers["Content-Type"]
        return response.status_code in {400, row["expected"]} and kind.startswith("text/plain")

    assert wrong("segments", is_right) == []
