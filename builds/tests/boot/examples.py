"""Boot options to test with: real keys, texts that are right, and texts that are not."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from builds.choices import Console

# What iPXE, GRUB, shells, the kernel, JSON or a terminal make something of.
NASTY = "\n\r\t\0 \"'`\\$&|;#<>(){}[]*?!%^=,:/@+~-._\u2028\u00a0é\ud83d\ue000aA0"
FRAGMENTS = (
    *("${cmdline}", "${", "}", "&&", "||", ";", "#", "\n", "\r\n", "chain http://evil/x", "--"),
    *("initrd=x", 'a="b c"', "console=ttyS9", "root=/dev/sda1", "quiet", "\\", "${netX/mac}", "'"),
)


@cache
def key(kind: str = "ed25519", bits: int = 0) -> str:
    """A public key as ssh-keygen writes it."""
    with tempfile.TemporaryDirectory() as folder:
        size = ["-b", str(bits)] if bits else []
        file = Path(folder) / "key"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", "me@home", "-f", file],
            check=True,
        )
        return file.with_suffix(".pub").read_text().strip()


nasty = st.one_of(
    st.text(NASTY, max_size=12),
    st.lists(st.sampled_from(FRAGMENTS), max_size=4).map("".join),
    st.lists(st.sampled_from(FRAGMENTS), max_size=4).map(" ".join),
    st.text(max_size=12),
)
params = st.lists(
    st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,3})?(=[A-Za-z0-9,:/@+%~._-]{0,8})?", fullmatch=True),
    max_size=4,
).map(" ".join)
right = st.fixed_dictionaries(
    {},
    optional={
        "keys": st.sampled_from(["", key(), f"# mine\n{key()}\n\n{key('ecdsa')}"]),
        "hostname": st.sampled_from(["rescue", "a.example.org", "Node-7", ""]),
        "addresses": st.sampled_from(["192.0.2.5/24", "2001:db8::5/64 10.0.0.7/255.0.0.0"]),
        "nameservers": st.sampled_from(["192.0.2.53", "2001:db8::53 9.9.9.9"]),
        "consoles": st.lists(st.sampled_from(Console.values), max_size=3).map(" ".join),
        "params": params,
    },
)
fields = ("keys", "hostname", "card", "addresses", "gateways", "nameservers", "consoles", "params")
anything = st.one_of(
    right,
    st.dictionaries(st.sampled_from(fields), nasty, max_size=3),
    st.builds(lambda texts, more: texts | more, right, st.dictionaries(st.just("params"), nasty)),
)
