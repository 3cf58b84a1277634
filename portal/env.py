"""Typed readers of the environment that stop the start with one line naming what is wrong."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from environs import Env, EnvError

# A unix socket's path is at most 107 bytes on Linux; a clone may lie deeper than that.
SOCKET_PATH_LIMIT = 100
# Seconds for which a request waits until one of its process's connections is free.
POOL_PATIENCE = 10

# This machine, and the networks that the internet does not reach.
NEAR = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7,fe80::/10"
# What people may be; builds.choices.Standing has the same, which can't be read this early.
ROLES = ("viewer", "operator", "admin")
SYSTEMS = ("x86_64-linux", "aarch64-linux")  # as builds.choices.System


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """An OpenID Connect issuer that people may sign in with.

    `roles` gives the role for a value of the claim; empty: nobody gets an account by signing in.
    """

    issuer: str
    origin: str
    client_id: str
    client_secret: str
    name: str
    claim: str
    roles: dict[str, str]


class BadSetting(SystemExit):
    """A setting has a value that the portal refuses; its text is the line that is printed."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"portal: setting {name}: {reason}")


class Environment:
    """Reads settings by name; every reader raises BadSetting."""

    def __init__(self, env: Env | None = None) -> None:
        self._env = env or Env()

    def text(self, name: str, default: str = "") -> str:
        """Text without the white space around it."""
        return str(self._env.str(name, default)).strip()

    def boolean(self, name: str, *, default: bool) -> bool:
        """One of true, false, yes, no, on, off, 1, 0."""
        try:
            return bool(self._env.bool(name, default))
        except EnvError:
            raise BadSetting(name, "wants true or false") from None

    def choice(self, name: str, known: Sequence[str]) -> str:
        """One of these words; the first where it is not set."""
        value = self.text(name, known[0])
        if value not in known:
            raise BadSetting(name, f"wants one of {', '.join(known)}, not {value!r}")
        return value

    def integer(self, name: str, default: int, *, least: int = 0) -> int:
        """A whole number of at least `least`."""
        try:
            value = int(self._env.int(name, default))
        except EnvError:
            raise BadSetting(name, "wants a whole number") from None
        if value < least:
            raise BadSetting(name, f"wants a whole number of at least {least}, not {value}")
        return value

    def lease(self) -> tuple[int, int]:
        """LEASE_SECONDS and HEARTBEAT_SECONDS: a lease must outlive a missed heartbeat."""
        lease = self.integer("LEASE_SECONDS", 60, least=3)
        beat = self.integer("HEARTBEAT_SECONDS", min(15, (lease - 1) // 2), least=1)
        if beat * 2 >= lease:
            raise BadSetting(
                "HEARTBEAT_SECONDS", f"wants less than half of LEASE_SECONDS, which is {lease}"
            )
        return lease, beat

    def token_days(self) -> tuple[int, int]:
        """TOKEN_DAYS and TOKEN_DAYS_MOST: the days of an API token's life, usual and most."""
        most = self.integer("TOKEN_DAYS_MOST", 365, least=1)
        usual = self.integer("TOKEN_DAYS", min(90, most), least=1)
        if usual > most:
            raise BadSetting("TOKEN_DAYS", f"wants no more than TOKEN_DAYS_MOST, which is {most}")
        return usual, most

    def data_dir(self, default: Path) -> Path:
        """DATA_DIR: an absolute folder, made where it is missing; it must be writable."""
        path = Path(self.text("DATA_DIR", str(default))).expanduser()
        if not path.is_absolute():
            raise BadSetting("DATA_DIR", f"wants an absolute path, not {str(path)!r}")
        try:
            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path) as probe:
                probe.write(b"writable")
        except OSError as error:
            raise BadSetting("DATA_DIR", f"{path} is not writable: {error.strerror}") from None
        return path

    def secret_key(self, data_dir: Path) -> str:
        """SECRET_KEY, or one made once and kept in the data folder, readable by its owner only."""
        given = self.text("SECRET_KEY")
        if given:
            if len(given) < 32:  # noqa: PLR2004 - the reason says it
                raise BadSetting("SECRET_KEY", "wants at least 32 characters")
            return given
        path = data_dir / "secret-key"
        if not path.exists():
            part = path.with_suffix(f".{secrets.token_hex(4)}")
            part.touch(mode=0o600)
            part.write_text(secrets.token_urlsafe(48))
            try:
                path.hardlink_to(part)  # the first of several processes wins
            except FileExistsError:
                pass
            finally:
                part.unlink()
        return path.read_text().strip()

    def allowed_hosts(self, default: list[str], *, debug: bool) -> list[str]:
        """ALLOWED_HOSTS: names separated by commas; `*` only with DEBUG.

        Any host would let a forged Host header print an attacker's address in our commands.
        """
        given = self.text("ALLOWED_HOSTS")
        hosts = [host.strip() for host in given.split(",") if host.strip()] or default
        if "*" in hosts and not debug:
            raise BadSetting("ALLOWED_HOSTS", "'*' trusts any Host header; name the hosts")
        for host in hosts:
            if host != "*" and not re.fullmatch(r"\.?[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\]", host):
                raise BadSetting("ALLOWED_HOSTS", f"{host!r} is not a host name (no port, no URL)")
        return hosts

    def portal_url(self) -> str:
        """PORTAL_URL: http(s)://host[:port] without path, or "" where it is not set."""
        given = self.text("PORTAL_URL").rstrip("/")
        if not given:
            return ""
        parts = urlsplit(given)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BadSetting("PORTAL_URL", f"wants http://host or https://host, not {given!r}")
        if parts.path or parts.query or parts.fragment or parts.username:
            raise BadSetting("PORTAL_URL", f"wants no path, query or user in {given!r}")
        return given

    def redis_url(self, data_dir: Path) -> str:
        """REDIS_URL, or the embedded server's socket."""
        given = self.text("REDIS_URL")
        if not given:
            return f"redis+socket://{embedded_redis_socket(data_dir)}"
        if not given.startswith(("redis://", "rediss://", "redis+socket://", "unix://")):
            raise BadSetting("REDIS_URL", f"wants redis://host:port/number, not {given!r}")
        return re.sub(r"^unix://", "redis+socket://", given)

    def signer(self, data_dir: Path) -> tuple[Path, Path]:
        """SIGNER_SOCKET and SIGNER_KEYS: where the signer listens, and the folder of its keys."""
        paths = {
            "SIGNER_SOCKET": socket_in(data_dir, "signer.sock"),
            "SIGNER_KEYS": data_dir / "keys",
        }
        for name, default in paths.items():
            paths[name] = Path(self.text(name, str(default))).expanduser()
            if not paths[name].is_absolute():
                raise BadSetting(name, f"wants an absolute path, not {str(paths[name])!r}")
        return paths["SIGNER_SOCKET"], paths["SIGNER_KEYS"]

    def cache_url(self, redis_url: str) -> str:
        """The same Redis as Django's cache names it: a unix socket is unix:///path there."""
        return re.sub(r"^redis\+socket://", "unix://", redis_url)

    def oidc(self) -> OidcSettings | None:
        """OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, OIDC_NAME, OIDC_CLAIM, OIDC_ROLES.

        None where no issuer is set. Tokens come straight from the issuer, so that it must be
        reached by HTTPS, save on this machine.
        """
        issuer = self.text("OIDC_ISSUER").rstrip("/")
        if not issuer:
            return None
        parts = urlsplit(issuer)
        is_local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        if not parts.hostname or (
            parts.scheme != "https" and not (is_local and parts.scheme == "http")
        ):
            raise BadSetting("OIDC_ISSUER", f"wants https://host, not {issuer!r}")
        client = {name: self.text(name) for name in ("OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")}
        for name, value in client.items():
            if not value:
                raise BadSetting(name, "is wanted where OIDC_ISSUER is set")
        return OidcSettings(
            issuer=issuer,
            origin=f"{parts.scheme}://{parts.netloc}",
            client_id=client["OIDC_CLIENT_ID"],
            client_secret=client["OIDC_CLIENT_SECRET"],
            name=self.text("OIDC_NAME", parts.hostname),
            claim=self.text("OIDC_CLAIM", "groups"),
            roles=self._oidc_roles(),
        )

    def _oidc_roles(self) -> dict[str, str]:
        """OIDC_ROLES: portal-admins=admin,staff=viewer as {value of the claim: role}."""
        pairs = [pair for pair in self.text("OIDC_ROLES").split(",") if pair.strip()]
        roles = {}
        for pair in pairs:
            value, _, role = (part.strip() for part in pair.rpartition("="))
            if not value or role not in ROLES:
                raise BadSetting(
                    "OIDC_ROLES", f"wants group=role, one of {', '.join(ROLES)}, not {pair!r}"
                )
            roles[value] = role
        return roles

    def email(self) -> dict[str, Any]:
        """EMAIL_URL as Django's EMAIL_* settings; empty where it is not set.

        smtp://user:password@host:25 (?ssl=true), submission://…:587 with STARTTLS, console:.
        """
        given = self.text("EMAIL_URL")
        if not given:
            return {}
        try:
            settings: dict[str, Any] = dict(self._env.dj_email_url("EMAIL_URL"))
        except (EnvError, ValueError) as error:
            raise BadSetting("EMAIL_URL", str(error)) from None
        if "EMAIL_BACKEND" not in settings:
            raise BadSetting("EMAIL_URL", "wants smtp://host:port or submission://user:pass@host")
        return settings

    def mail_from(self, portal_url: str) -> str:
        """MAIL_FROM: the sender of e-mail; nixos-images@ the portal's own host by default."""
        host = urlsplit(portal_url).hostname or "localhost"
        given = self.text("MAIL_FROM", f"nixos-images@{host}")
        try:
            validate_email(parseaddr(given)[1])
        except ValidationError:
            if "MAIL_FROM" in os.environ:
                raise BadSetting("MAIL_FROM", f"{given!r} is not an e-mail address") from None
        return given

    def token(self, name: str) -> str:
        """A secret of at least 16 characters that can stand in a header; "" where it is not set."""
        given = self.text(name)
        if given and not re.fullmatch(r"[!-~]{16,}", given):
            raise BadSetting(name, "wants at least 16 characters of ASCII without white space")
        return given

    def url(self, name: str) -> str:
        """An http(s) URL without query, its last slash taken off, or "" where it is not set."""
        given = self.text(name).rstrip("/")
        parts = urlsplit(given)
        if given and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query):
            raise BadSetting(name, f"wants http://host or https://host/path, not {given!r}")
        return given

    def download_redirect(self, *, in_bucket: bool) -> str:
        """DOWNLOAD_REDIRECT: "signed", or where the storage's tree is public; "" for none."""
        if self.text("DOWNLOAD_REDIRECT") != "signed":
            return self.url("DOWNLOAD_REDIRECT")
        if not in_bucket:
            raise BadSetting("DOWNLOAD_REDIRECT", "signed wants AWS_STORAGE_BUCKET_NAME")
        return "signed"

    def words(self, name: str, known: tuple[str, ...] = ()) -> list[str]:
        """Words separated by commas, each of those that are known, if any are."""
        words = [word.strip() for word in self.text(name).split(",") if word.strip()]
        for word in words:
            if known and word not in known:
                raise BadSetting(name, f"wants {', '.join(known)}, not {word!r}")
        return words

    def readable_file(self, name: str) -> str:
        """The path of a file that can be read, or "" where it is not set."""
        given = self.text(name)
        try:
            if given:
                Path(given).read_bytes()
        except OSError as error:
            raise BadSetting(name, f"{given} can't be read: {error.strerror}") from None
        return given

    def networks(
        self, name: str, default: str = ""
    ) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """Networks such as 10.1.0.0/16, fd00::/8, separated by commas."""
        words = [word.strip() for word in self.text(name, default).split(",") if word.strip()]
        try:
            return tuple(ipaddress.ip_network(word) for word in words)
        except ValueError as error:
            raise BadSetting(name, f"wants networks like 10.1.0.0/16: {error}") from None

    def database(self, data_dir: Path, *, pool: int = 0) -> dict[str, object]:
        """DATABASE_URL as Django's settings; SQLite in the data folder where it is not set.

        With a `pool` the threads of a process share so many connections to PostgreSQL.
        """
        default = f"sqlite:///{data_dir}/portal.sqlite3"
        try:
            database: dict[str, object] = dict(self._env.dj_db_url("DATABASE_URL", default))
        except (EnvError, ValueError) as error:
            raise BadSetting("DATABASE_URL", str(error)) from None
        tunes: dict[str, Callable[[dict[str, object]], None]] = {
            "django.db.backends.sqlite3": _tune_sqlite,
            "django.db.backends.postgresql": partial(_tune_postgresql, pool=pool),
        }
        tune = tunes.get(str(database.get("ENGINE")))
        if tune is None:
            raise BadSetting("DATABASE_URL", "wants sqlite:///path or postgres://…")
        tune(database)
        return database


def embedded_redis_socket(data_dir: Path) -> Path:
    """The unix socket of the embedded Redis of this data folder."""
    return socket_in(data_dir, "redis.sock")


def socket_in(data_dir: Path, name: str) -> Path:
    """Where a unix socket of this data folder lies: in run/, unless that is too deep."""
    socket = data_dir / "run" / name
    if len(str(socket)) <= SOCKET_PATH_LIMIT:
        return socket
    folder = hashlib.sha256(str(data_dir).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"nixos-images-{folder}" / name


def _tune_sqlite(database: dict[str, object]) -> None:
    database["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
        "PRAGMA foreign_keys=ON; PRAGMA busy_timeout=20000;",
    }


def _tune_postgresql(database: dict[str, object], *, pool: int) -> None:
    options = dict(database.get("OPTIONS") or {})  # type: ignore[call-overload]
    # One stuck transaction must not block everybody for good.
    options["options"] = "-c lock_timeout=20s -c idle_in_transaction_session_timeout=60s"
    if pool:
        options["pool"] = {
            "max_size": pool,
            "min_size": min(2, pool),
            "timeout": POOL_PATIENCE,
            # Who asks next tries again: by itself the pool would wait for longer and longer, and
            # be without a database for a minute after that is back.
            "reconnect_timeout": 0,
        }
    database["OPTIONS"] = options
    database["CONN_HEALTH_CHECKS"] = True
