"""Pictures as files, of the standard library alone: PNG, and its animated form (W3C PNG, third edition)."""

from __future__ import annotations

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# By number of channels: grey, grey and alpha, colour, colour and alpha.
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
# Faster than zlib's default by half, and larger by a tenth.
_LEVEL = 4
_CHUNK = struct.Struct(">I4s")
_U32 = struct.Struct(">I")


def encode_png(data: bytes, height: int, width: int, channels: int) -> bytes:
    """Returns a PNG of 8 bits a channel; `data` has row after row, the channels of a pixel side by side."""
    rows = zlib.compress(_unfiltered(data, width * channels), _LEVEL)
    return SIGNATURE + _header(height, width, channels) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def encode_apng(frames: list[bytes], height: int, width: int, channels: int, fps: float) -> bytes:
    """Returns an animated PNG that goes round for ever; what does not know such shows the first frame."""
    parts = [SIGNATURE, _header(height, width, channels), _chunk(b"acTL", struct.pack(">II", len(frames), 0))]
    delay = max(1, min(65_535, round(1_000 / fps))) if fps > 0 else 250
    number = 0
    for frame in frames:
        control = struct.pack(">IIIIIHHBB", number, width, height, 0, 0, delay, 1_000, 0, 0)
        parts.append(_chunk(b"fcTL", control))
        number += 1
        rows = zlib.compress(_unfiltered(frame, width * channels), _LEVEL)
        if number == 1:
            parts.append(_chunk(b"IDAT", rows))
        else:
            parts.append(_chunk(b"fdAT", _U32.pack(number) + rows))
            number += 1
    return b"".join((*parts, _chunk(b"IEND", b"")))


def _header(height: int, width: int, channels: int) -> bytes:
    return _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0))


def _unfiltered(data: bytes, stride: int) -> bytes:
    return b"".join(b"\0" + data[at : at + stride] for at in range(0, len(data), stride))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return _CHUNK.pack(len(data), kind) + data + _U32.pack(zlib.crc32(data, zlib.crc32(kind)))
