"""A portal with a row of everything, and everybody who may knock at its doors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.core.handlers.base import BaseHandler
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.template import TemplateDoesNotExist
from django.template.backends.base import BaseEngine
from django.test import Client, RequestFactory
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from pysequoia import Tsk

from builds import pipeline
from builds.choices import Origin, Scope, Standing, System, TransferKind, Verdict
from builds.emulator.watch import BootResult
from builds.models import (
    Actor,
    Arrival,
    Check,
    Damage,
    Event,
    Followed,
    Host,
    Mirror,
    Release,
    Subscription,
    Transfer,
    Worker,
    give_standing,
)
from builds.pipeline.arrivals import Declaration, Declared
from builds.pipeline.checks.running import record
from builds.storage import artifacts
from builds.tests.factories import (
    NOW,
    BuildFactory,
    ChannelFactory,
    CheckFactory,
    ReleaseFactory,
    UserFactory,
)
from builds.tests.tokens.conftest import new_token

KEPT = "reproduced-diffoscope.txt"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
PEOPLE = ("anonymous", "nobody", "viewer", "operator", "admin", "superuser")


@dataclass(frozen=True)
class Site:
    """What there is: values for the parameters of routes, cookies by person, tokens by scope."""

    release: Release
    values: Mapping[str, object]
    cookies: Mapping[str, dict[str, str]]
    tokens: Mapping[str, str]
    factory: RequestFactory = field(default_factory=RequestFactory)

    def ask(self, method: str, path: str, *, who: str = "anonymous", **more: Any) -> HttpRequest:
        """A request of a person, by cookies, or of a token (`token:SCOPE`), by its header."""
        headers = more.pop("headers", {})
        if who.startswith("token:"):
            headers = {**headers, "Authorization": f"Bearer {self.tokens[who[6:]]}"}
        request = self.factory.generic(method, path, headers=headers, **more)
        request.COOKIES = dict(self.cookies.get(who, {}))
        return request


class Door(BaseHandler):
    """All middleware and views, as a web server calls them; what was changed is undone."""

    def __init__(self, *, csrf: bool) -> None:
        super().__init__()
        self._csrf = csrf
        self.load_middleware()

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """The answer, closed."""
        request._dont_enforce_csrf_checks = not self._csrf  # type: ignore[attr-defined]
        cache.clear()  # nobody has asked too often
        with transaction.atomic():
            response = self.get_response(request)
            transaction.set_rollback(True)
        response.close()
        return response


class Unrendered(BaseEngine):
    """Pages that are there, and say nothing: where a status is enough. Scripts are not for it."""

    app_dirname = "templates"

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__({name: said for name, said in params.items() if name != "OPTIONS"})

    def get_template(self, template_name: str) -> Unrendered:
        """Itself, for every page that there is; the engine after it has the scripts."""
        pages = template_name.endswith(".html")
        for path in self.iter_template_filenames(template_name):
            if pages and Path(path).exists():
                return self
        raise TemplateDoesNotExist(template_name, backend=self)

    def render(self, context: Any = None, request: Any = None) -> str:
        """Nothing."""
        return ""


def build_site(settings: LazySettings, folder: Path) -> Site:
    """Make it all."""
    settings.OPENPGP_KEY_FILE = str(folder / "openpgp.asc")
    Path(settings.OPENPGP_KEY_FILE).write_text(str(Tsk.generate("Images <i@example.org>")))
    release = ReleaseFactory(
        channel=ChannelFactory(name="demo", is_default=True, systems=[System.X86_64]),
        published=True,
        stored=True,
        version="1.0",
    )
    failed = BuildFactory(failed=True, release=ReleaseFactory(failed=True, queue=False))
    draft = ReleaseFactory(finished=True, channel__name="draft", version="2.0")
    check = _photographed(release)
    host = Host.objects.create(name="rescue-7", channel=release.channel)
    people = {who: _person(who) for who in PEOPLE}
    tokens = {
        scope.value: new_token(scope, of=people["admin"], name=scope.value)[1] for scope in Scope
    }
    arrival = _arrival(release, Actor(f"token upload of {people['admin']}"))
    mine = new_token(of=people["superuser"], name="mine")[0]
    _rows(release, UserFactory(username="boss"))
    assert pipeline.hash_pieces(at=NOW, rate=None, seconds=60)
    values = {
        "channel": "demo",
        "version": "1.0",
        "system": "x86_64-linux",
        "name": "initrd-x86_64-linux",
        "pk": release.pk,
        "release_id": release.pk,
        "build_id": failed.pk,
        "check_id": check.pk,
        "upload_id": arrival.pk,
        "token": host.token,
        "segment": "e30",  # {}: no options
        "job": "netboot.x86_64-linux",
        "kind": "file",
        "subtype": "initrd",
        "number": 1,
        "rest": "nothing",
        "tag": "demo/1.0",
        "id": mine.owner_id,
        "content_type_id": ContentType.objects.get_for_model(Release).pk,
        **{f"builds/<int:pk>/{verb} pk": failed.pk for verb in ("", "log", "cancel", "retry")},
        **{f"releases/<int:pk>/{verb} pk": draft.pk for verb in ("cancel", "publish")},
        "releases/<int:pk>/retry pk": failed.release_id,
        "accounts/tokens/<int:pk>/revoke pk": mine.pk,
        **{
            f"{root}repos/nix-community/nixos-images/releases/<int:number>{rest} number": (
                2 * release.channel.pk
            )
            for root in ("", "api/v3/")
            for rest in ("", "/assets")
        },
        **{
            f"{root}repos/nix-community/nixos-images/releases/assets/<int:number> number": (
                release.artifacts.order_by("pk")[0].pk
            )
            for root in ("", "api/v3/")
        },
        "checks/<int:check_id>/kept/<str:name> name": KEPT,
        "keys/<str:name> name": "minisign.pub",
        "schemas/<str:name>.json name": "release",
        "api/v1/releases/<channel>/<version>/<system>/publish/ channel": "draft",
        "api/v1/releases/<channel>/<version>/<system>/publish/ version": "2.0",
    }
    cookies = {who: _cookies(user) for who, user in people.items()}
    return Site(release, values, cookies, tokens)


def _person(who: str) -> User | None:
    if who == "anonymous":
        return None
    if who == "superuser":
        user: User = UserFactory(username=who, admin=True)
        return user
    user = UserFactory(username=who)
    if who != "nobody":
        give_standing(user, Standing(who), by=Actor("test"), at=timezone.now())
    return User.objects.get(pk=user.pk)


def _cookies(user: User | None) -> dict[str, str]:
    client = Client()
    if user is not None:
        client.force_login(user)
    return {name: morsel.value for name, morsel in client.cookies.items()}


def _photographed(release: Release) -> Any:
    check = CheckFactory(release=release, name="boot-netboot-bios", gates=False)
    assert check.start("worker")
    record(check, BootResult(Verdict.PASSED, 4.2, "tcg", "It came up.", "up", PNG, 320))
    Check.objects.filter(pk=check.pk).update(comparison={"kept": [KEPT]})
    artifacts().write_once(release.key(KEPT), b"<script>not code</script>")
    return check


def _arrival(release: Release, by: Actor) -> Arrival:
    system = System.X86_64
    names = (system.kernel_name, f"initrd-{system}", f"netboot-{system}.ipxe")
    return pipeline.declare(
        Declaration(
            channel=release.channel,
            system=system,
            files=[Declared(name, 6, "a" * 64) for name in names],
            origin=Origin.UPLOADED,
            version="3.0",
            partial=True,
        ),
        by=by,
        at=timezone.now(),
    )


def _rows(release: Release, user: Any) -> None:
    """One of each model that Django's admin shows and the site has not yet."""
    Damage.objects.create(release=release, name="gone", what="It is gone.", found_at=NOW)
    Followed.objects.create(url="https://images.example.org")
    Mirror.objects.create(url="https://mirror.example.org", title="University")
    hook = Subscription.objects.create(name="hook", url="https://hook.example.org/x")
    Event.objects.ping(hook, at=NOW)
    Transfer.objects.create(
        release=release, kind=TransferKind.IMPORTED, source="a.tar", taken_at=NOW
    )
    Worker.objects.create(name="worker@host", capacity=1, started_at=NOW, seen_at=NOW)
    EmailAddress.objects.create(user=user, email="boss@example.org")
    Authenticator.objects.create(user=user, type="recovery_codes", data={"seed": ""})
    app = SocialApp.objects.create(provider="openid_connect", provider_id="x", name="x")
    account = SocialAccount.objects.create(user=user, provider="x", uid="x")
    SocialToken.objects.create(app=app, account=account, token="x")
    each = IntervalSchedule.objects.create(every=1, period="hours")
    CrontabSchedule.objects.create()
    SolarSchedule.objects.create(event="sunrise", latitude=0, longitude=0)
    ClockedSchedule.objects.create(clocked_time=NOW + timedelta(days=1))
    PeriodicTask.objects.create(name="tick", task="x", interval=each)
