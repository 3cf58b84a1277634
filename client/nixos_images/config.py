"""Which portal, which keys, which token: options first, then environment, then the file."""

from __future__ import annotations

import configparser
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nixos_images.failures import BadUsage

URL = "NIXOS_IMAGES_URL"
TOKEN = "NIXOS_IMAGES_TOKEN"  # noqa: S105 - its name  # nosec B105
SIGNERS = "NIXOS_IMAGES_ALLOWED_SIGNERS"
FOLDER = "nixos-images"
SECTION = "portal"


@dataclass(frozen=True)
class Config:
    """Where the portal is, and the files that say what is trusted and who we are."""

    url: str
    signers: Path | None
    token_file: Path | None

    @property
    def host(self) -> str:
        """The portal's host and port, as the name of a file may have them."""
        return urlsplit(self.url).netloc.replace(":", "_").replace("[", "").replace("]", "")

    @property
    def pinned_signers(self) -> Path:
        """Where keys are kept that were trusted on first use."""
        return config_folder() / f"{self.host}.allowed_signers"

    def trusted_signers(self) -> Path | None:
        """The allowed_signers file that was named, or the one that was pinned; None: neither."""
        if self.signers is not None:
            if not self.signers.is_file():
                raise BadUsage(f"there is no file {self.signers} of allowed signers")
            return self.signers
        return self.pinned_signers if self.pinned_signers.is_file() else None


def load(url: str = "", signers: str = "", token_file: str = "") -> Config:  # a path  # nosec B107
    """The settings; "" stands for an option that was not given. Raises BadUsage."""
    path = config_folder() / "config.ini"
    file = configparser.ConfigParser(interpolation=None)
    try:
        file.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise BadUsage(f"{path}: {str(error).splitlines()[0]}") from None
    kept = dict(file[SECTION]) if file.has_section(SECTION) else {}
    chosen = url or os.environ.get(URL, "") or kept.get("url", "")
    if not chosen:
        raise BadUsage(f"which portal? Set {URL}, or url in the section [{SECTION}] of {path}")
    signers = signers or os.environ.get(SIGNERS, "") or kept.get("allowed_signers", "")
    token_file = token_file or kept.get("token_file", "")
    return Config(_address(chosen), _path(signers), _path(token_file))


def read_token(config: Config) -> str:
    """The bearer token, from its file or the environment, never from the command line."""
    if config.token_file is None:
        token = os.environ.get(TOKEN, "").strip()
        if not token:
            raise BadUsage(f"this wants a token: set {TOKEN}, or name a file by --token-file")
        return token
    try:
        if stat.S_IMODE(config.token_file.stat().st_mode) & 0o077:
            raise BadUsage(f"others may read {config.token_file}: chmod 600 it")
        return config.token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadUsage(f"the token in {config.token_file} can't be read: {error}") from None


def config_folder() -> Path:
    """Where settings and pinned keys lie."""
    return _base("XDG_CONFIG_HOME", ".config") / FOLDER


def state_folder() -> Path:
    """Where it is remembered what was seen."""
    return _base("XDG_STATE_HOME", ".local/state") / FOLDER


def _base(name: str, default: str) -> Path:
    given = os.environ.get(name, "")
    return Path(given) if Path(given).is_absolute() else Path.home() / default


def _path(given: str) -> Path | None:
    return Path(given).expanduser() if given else None


def _address(given: str) -> str:
    parts = urlsplit(given.strip().rstrip("/"))
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise BadUsage(f"a portal's address is http://host or https://host, not {given!r}")
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
