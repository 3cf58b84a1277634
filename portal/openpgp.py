"""The key that signs what readers verify by OpenPGP, looked at before the portal starts."""

from __future__ import annotations

from pathlib import Path

from portal.env import BadSetting, Environment

NAME = "OPENPGP_KEY_FILE"


def openpgp_key_file(env: Environment) -> str:
    """OPENPGP_KEY_FILE: a secret key that can sign at once; "" where it is not set."""
    path = env.text(NAME)
    if path:
        from pysequoia import Tsk  # noqa: PLC0415 - a quarter of a second of every start

        try:
            Tsk.from_bytes(Path(path).read_bytes()).signer()
        except OSError as error:
            raise BadSetting(NAME, f"can't be read: {error}") from None
        except RuntimeError as error:
            why = str(error).partition("\n")[0]
            wanted = "wants a secret OpenPGP key that signs and has no passphrase"
            raise BadSetting(NAME, f"{wanted}: {why}") from None
    return path
