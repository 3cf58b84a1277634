"""Changes of bytes, as an enemy or a broken line would make them; the same seed, the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

MOST_CHANGES = 6
LONGEST = 4096


def mutated(seeds: Sequence[bytes], words: Sequence[bytes], draw: Random) -> bytes:
    """A seed after some changes; `words` are what the format itself is made of."""
    data = bytearray(draw.choice(seeds))
    for _ in range(draw.randrange(MOST_CHANGES + 1)):
        _change(data, seeds, words, draw)
    return bytes(data[:LONGEST])


def _change(data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes], draw: Random) -> None:
    at = draw.randrange(len(data) + 1)
    end = min(at + draw.randrange(1, 17), len(data))
    match draw.randrange(8):
        case 0 if at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        case 1 if at < len(data):
            data[at] = draw.randrange(256)
        case 2:
            del data[at:end]
        case 3:
            data[at:at] = data[at:end] * draw.randrange(1, 5)
        case 4:
            data[at:at] = draw.randbytes(draw.randrange(1, 5))
        case 5:
            other = draw.choice(seeds)
            data[at:end] = other[draw.randrange(len(other) + 1) :]
        case 6:
            data[at:end] = str(draw.choice([0, 1, -1, 2**31, 2**63, 2**64, 10**30])).encode()
        case _:
            data[at:end] = draw.choice(words)
