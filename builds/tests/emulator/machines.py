"""What the tests of the emulator share: its accelerator, and a look at what runs."""

from __future__ import annotations

from builds.emulator.accelerator import Accelerator

TCG = Accelerator("tcg", "The tests run where KVM may not.")
