"""The iPXE script as the checks read it, and the same in GRUB's words."""

from __future__ import annotations

import pytest

from builds.pipeline.checks.script import Netboot, ScriptError, grub_config, read

URL = "http://10.0.2.2:8000/releases/download/demo/12.1/netboot-aarch64-linux.ipxe"
SCRIPT = """#!ipxe
# demo 12.1 aarch64-linux
kernel Image-aarch64-linux initrd=initrd-aarch64-linux init=/nix/store/x-y/init quiet ${cmdline}
initrd --name initrd-aarch64-linux initrd-aarch64-linux
boot
"""


def test_script_names_absolute_urls_and_the_kernel_line() -> None:
    folder = "http://10.0.2.2:8000/releases/download/demo/12.1"
    assert read(SCRIPT, URL) == Netboot(
        kernel=f"{folder}/Image-aarch64-linux",
        params="initrd=initrd-aarch64-linux init=/nix/store/x-y/init quiet",
        initrds=(f"{folder}/initrd-aarch64-linux",),
    )


def test_grub_is_told_the_same_and_quotes_every_word() -> None:
    script = SCRIPT.replace("quiet", "a='b $(reboot);reboot")
    config = grub_config(read(script, URL))
    path = "'(http,10.0.2.2:8000)/releases/download/demo/12.1/Image-aarch64-linux'"
    assert f"if linux {path} 'initrd=initrd-aarch64-linux'" in config
    assert r"'a='\''b' '$(reboot);reboot'" in config
    assert config.splitlines()[-4:-1] == ["boot", "fi", "fi"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (SCRIPT.removeprefix("#!ipxe\n"), "does not begin with #!ipxe"),
        (SCRIPT.replace("boot\n", ""), "does not name a kernel and an initrd and boot them"),
        (SCRIPT.replace("initrd --name", "# initrd"), "does not name a kernel and an initrd"),
        (SCRIPT.replace("boot\n", "chain other.ipxe\n"), "only iPXE understands: chain other.ipxe"),
    ],
)
def test_script_that_does_not_boot_is_refused_in_words(script: str, words: str) -> None:
    with pytest.raises(ScriptError, match=words):
        read(script, URL)
