"""What the composer prints for QEMU, pasted into a shell, boots with what was typed."""

from __future__ import annotations

import html
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from builds.tests.whole_way.conftest import Portal

WAIT = 150.0  # seconds; an emulated boot on slow cores


@pytest.mark.timeout(600)
def test_line_for_qemu_boots_with_hostname_console_and_parameters(
    portal: Portal, demo: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    fields = {"method": "qemu", "hostname": "rescue-7", "params": "test.word=a,b"}
    query = urlencode({"channel": "demo", "consoles": "ttyS0,115200", **fields})
    page = portal.get(f"/boot/?{query}")
    [line] = re.findall(r'<pre id="composed-main"[^>]*>(.*?)</pre>', page, re.DOTALL)
    said = tmp_path / "said"
    with said.open("wb") as console:
        shell = subprocess.Popen(
            ["sh", "-c", html.unescape(line)],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=console,
            stderr=console,
            start_new_session=True,
        )
    try:
        version = demo["x86_64-linux"]["version"]
        wait_for(said, re.escape(f"mini image is up: x86_64-linux {version}"), shell)
        assert shell.stdin is not None
        shell.stdin.write(b"echo name=$(hostname) ; cat /proc/cmdline; poweroff -f\n")
        shell.stdin.flush()
        wait_for(said, "name=rescue-7", shell)
        wait_for(said, r"console=ttyS0,115200 test\.word=a,b", shell)
        assert shell.wait(60) == 0
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
        shell.communicate()


def wait_for(said: Path, pattern: str, shell: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        text = said.read_text(errors="replace")
        if re.search(pattern, text):
            return
        assert shell.poll() is None, text
        time.sleep(0.2)
    raise AssertionError(f"no {pattern} on the console:\n{said.read_text(errors='replace')}")
