"""What is picked out of a console to say why a machine did not come up."""

from __future__ import annotations

import re

import pytest

from builds.choices import Verdict
from builds.emulator.watch import BAD_ENDS
from builds.emulator.words import last_words, loader_words, remarks

# As SeaBIOS, iPXE, GRUB and OVMF of Debian 12 wrote them to a serial port.
IPXE = (
    "net0: [Link status: Down (http://ipxe.org/38086193)]\r\n"
    "http://10.0.2.2:8931/nothing.ipxe... No such file or directory (http://ipxe.org/\r\n"
    "2d0c613b)\r\nNo more network devices\r\n\r\nNo bootable device.\r\n"
)
IPXE_SAID = "http://10.0.2.2:8931/nothing.ipxe... No such file or directory"
GRUB = "\x1b[0mLoading\r\nerror: file `/Image' not found.\r\n\r\nPress any key to continue..."


def test_ipxe_is_quoted_across_the_edge_of_its_screen() -> None:
    assert loader_words(IPXE) == f"{IPXE_SAID} (http://ipxe.org/ 2d0c613b)"
    assert loader_words(IPXE.splitlines()[0]) == "", "a link that comes up later is no failure"


def test_grub_is_quoted_without_escapes() -> None:
    assert loader_words(GRUB) == "error: file `/Image' not found."


@pytest.mark.parametrize("said", [IPXE, GRUB, "BdsDxe: No bootable option or device was found.\r"])
def test_end_of_a_loader_is_known(said: str) -> None:
    assert re.search(BAD_ENDS[Verdict.LOADER], said)


@pytest.mark.parametrize(
    "said",
    [
        "iPXE (http://ipxe.org) 00:03.0 CA00 PCI2.10 PnP PMM\r\nPress Ctrl-B\r\n",
        "Boot failed: could not read the boot disk\r\nBooting from ROM...\r\n",
        "[    1.0] nfs: error: nothing that matters\r\n[    2.0] Run /init as init process\r\n",
    ],
)
def test_words_on_the_way_are_no_end(said: str) -> None:
    assert not re.search("|".join(BAD_ENDS.values()), said)


def test_last_words_leave_the_kernels_clock_and_colours_out() -> None:
    assert last_words("a\r\n[    4.56] \x1b[1mRun /init\x1b[0m as init\r\n\r\n").endswith(
        "Its last words: Run /init as init"
    )
    assert last_words("\r\n") == " It said nothing at all."


def test_remarks_tell_what_the_kernel_said_of_an_initrd() -> None:
    said = "[ 1.0] Initramfs unpacking failed: invalid magic at start of compressed archive\r\n"
    assert remarks(said * 2) == (
        " Before that: Initramfs unpacking failed: invalid magic at start of compressed archive"
    )
    assert remarks("all is well") == ""
