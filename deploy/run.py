"""`make run`: from a fresh clone to a running portal, and back to nothing on Ctrl-C."""

from __future__ import annotations

import http.client
import os
from pathlib import Path

from deploy import needs, setup, venv
from deploy.child import Service
from deploy.guards import ROOT, Address, AlreadyRunning, data_dir, hold, refuse_if_full
from deploy.steps import deploy, environment
from deploy.supervisor import Stopped, Supervisor
from deploy.terminal import say

# Work of minutes and hours, a process for each piece of it.
LONG = ("--queues", "check,build.x86_64-linux,build.aarch64-linux", "--concurrency", "2")
# Work that waits for others most of the time: threads of one process, more than ever wait at once,
# so that finding what was lost and telling people never stand behind a build.
SHORT = ("--queues", "default", "--pool", "threads", "--concurrency", "8")


def main(arguments: list[str]) -> int:
    """Run the portal until it is stopped."""
    address = Address.from_environment()
    folder = data_dir()
    try:
        lock = hold(folder, address.url)
    except AlreadyRunning as other:
        say(str(other))
        # The wish is fulfilled, unless it was for another address.
        return 0 if other.url == address.url else 1
    try:
        address.refuse_if_taken()
        refuse_if_full(ROOT)
        with Supervisor(ROOT, environment(folder)) as supervisor:
            try:
                return run(supervisor, folder, address)
            except Stopped:
                say("stops")
        say("stopped")
    finally:
        os.close(lock)
    return 0


def run(supervisor: Supervisor, folder: Path, address: Address) -> int:
    """Set up what is missing, start everything, and watch it; the page comes first.

    Raises Stopped; returns a code only where the portal could not be prepared.
    """
    setup.announce((*needs.PYTHON, *needs.RUN))
    if needs.missing(needs.PYTHON):
        supervisor.finish(set_up("python"))
    preparing = supervisor.start(set_up("run", setup.INPUTS))
    python = venv.provide(supervisor, folder, "requirements.txt")
    services = Services(python, folder, address)
    start(supervisor, services.before_the_database())
    code = supervisor.finish(services.prepare())
    if code:
        return code  # it has said why, in one line
    start(supervisor, services.beside_the_database())
    while not answers(address):
        supervisor.turn()
    say(f"running at {address.url} (Ctrl-C stops it)")
    if supervisor.has(preparing):
        say("the workers start as soon as the system is set up; until then builds wait")
    while supervisor.has(preparing):
        supervisor.turn()
    supervisor.start(services.worker("worker", LONG))
    supervisor.start(services.worker("default", SHORT))
    while True:
        supervisor.turn()


def start(supervisor: Supervisor, services: list[Service]) -> None:
    """Start these in their order."""
    for service in services:
        supervisor.start(service)


def set_up(*groups: str) -> Service:
    """The system's part of the set-up; apt is not killed in the middle of a package."""
    return Service(
        "set-up",
        deploy("setup", *groups),
        restarts=False,
        is_patient=True,
        has_prefix=False,
    )


class Services:
    """The portal's programs, as the supervisor starts them."""

    def __init__(self, interpreter: str, folder: Path, address: Address) -> None:
        self._python = interpreter
        self._log = folder / "log"
        self._address = address

    def before_the_database(self) -> list[Service]:
        """What `prepare` talks to; the settings may name one that somebody else runs."""
        return [] if _is_named("REDIS_URL") else [self.redis()]

    def beside_the_database(self) -> list[Service]:
        """What reads settings and rows, and so wants them right; the signer may be another's."""
        signers = [] if _is_named("SIGNER_SOCKET") else [self.signer()]
        return [*signers, self.web(), self.beat()]

    def redis(self) -> Service:
        """The embedded Redis; last to go, because the others talk to it until their end."""
        command = (self._python, "-m", "deploy.embedded_redis")
        return Service("redis", command, serves_others=True, log=self._log / "redis.log")

    def prepare(self) -> Service:
        """Database, static files, catalogue, admin; its lines are the command's own."""
        command = (self._python, str(ROOT / "manage.py"), "prepare")
        return Service("prepare", command, restarts=False, has_prefix=False)

    def signer(self) -> Service:
        """What holds the keys, in a folder that the others don't read."""
        command = (self._python, str(ROOT / "manage.py"), "signer")
        return Service("signer", command, serves_others=True)

    def web(self) -> Service:
        """Pages, downloads and API."""
        config = str(ROOT / "deploy" / "gunicorn_settings.py")
        bind = ("--bind", self._address.netloc)
        return self._service("web", "gunicorn", "--config", config, *bind, "portal.wsgi")

    def beat(self) -> Service:
        """The periodic ticks. Without a pid file: the lock of the data folder does its work."""
        return self._service("beat", *_CELERY, "beat", "--pidfile=")

    def worker(self, name: str, serves: tuple[str, ...]) -> Service:
        """What takes work from some of the queues; see docs/control.md."""
        return self._service(
            name,
            *_CELERY,
            "worker",
            *("--hostname", f"{name}@%h", *serves),
            *("--without-mingle", "--without-gossip"),
        )

    def _service(self, name: str, *words: str) -> Service:
        return Service(name, (self._python, "-m", *words))


def _is_named(setting: str) -> bool:
    return bool(os.environ.get(setting, "").strip())


_CELERY = ("celery", "--quiet", "--app", "portal")


def answers(address: Address) -> bool:
    """Whether the web server gives any answer."""
    connection = http.client.HTTPConnection(address.reachable, address.port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
