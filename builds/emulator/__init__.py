"""The emulator: boots images in QEMU and watches their consoles; knows no rows."""
