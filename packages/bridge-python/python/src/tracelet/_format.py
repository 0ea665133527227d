"""The bytes of a journal: segment headers, records and their checksums (docs/spec/journal.md §2, §3, §5).

Pure functions over bytes; no file is touched here. All integers are little-endian, all positions and lengths in bytes,
all times in seconds since the Unix epoch.
"""

from __future__ import annotations

import struct
import zlib

MAGIC = b"\x89TLJ\r\n\x1a\n"
VERSION = 1

ROLE_PRIMARY = 1
ROLE_OBSERVER = 2
ROLE_CHILD = 3

POINT = 1
SERIES = 3
CONTINUED = 4
RUN_STARTED = 16
RUN_FINISHED = 17
HEARTBEAT = 18
PARAMS = 19
TAGS = 20
TEXT = 21
MEDIA = 22
ARTIFACT = 23

# J3.1: L counts the kind (4 bytes) and the payload.
RECORD_LENGTH_MAX = 65_536
PAYLOAD_BYTES_MAX = RECORD_LENGTH_MAX - 4
# J6.1: what a blob may hold in place of a payload.
BLOB_BYTES_MAX = 64 << 20
# J5.20: the whole numbers that a float64 holds exactly.
STEP_MAX = 9_007_199_254_740_991
STEP_MIN = -STEP_MAX

HEADER_BYTES_MAX = 4_096
IDENTITY_OFFSET = 64

U32 = struct.Struct("<I")
U32_PAIR = struct.Struct("<II")
U64 = struct.Struct("<Q")
# kind, series, step, value, time: the L bytes of a point (J5.1).
POINT_BODY = struct.Struct("<IIqdd")
POINT_LENGTH = POINT_BODY.size
# checksum, and those bytes: all of the record but L.
POINT_CHECKED = struct.Struct(f"<I{POINT_LENGTH}s")
POINT_RECORD_BYTES = 8 + POINT_LENGTH

_HEAD = struct.Struct("<8sHHII")
_BODY = struct.Struct("<QdQI12x")


def encode_header(role: int, salt: int, stream_offset: int, created: float, number: int, identity: bytes) -> bytes:
    """Returns the header of a segment, H bytes long; `identity` is the JSON object of J2's last field.

    Raises:
        ValueError: `identity` does not fit a header of 4,096 bytes.
    """
    length = (IDENTITY_OFFSET + len(identity) + 7) & ~7
    if length > HEADER_BYTES_MAX:
        raise ValueError(f"an identity of {len(identity)} bytes does not fit a segment header")
    head = _HEAD.pack(MAGIC, VERSION, role, length, salt)
    rest = (_BODY.pack(stream_offset, created, number, len(identity)) + identity).ljust(length - 24, b"\0")
    return head + U32.pack(zlib.crc32(rest, zlib.crc32(head))) + rest


def record_bytes(payload_bytes: int) -> int:
    """Returns how many bytes of a segment a record with such a payload takes, its padding included."""
    return (8 + 4 + payload_bytes + 7) & ~7


def checksum(body: bytes, salt: int, position: int) -> int:
    """Returns the checksum of a record's kind and payload at `position` of its stream (J3.3)."""
    return zlib.crc32(body, (salt ^ position ^ (position >> 32)) & 0xFFFFFFFF)


def encode_record(kind: int, payload: bytes, salt: int, position: int) -> bytes:
    """Returns a whole record, padded to a multiple of 8 bytes (J3)."""
    body = U32.pack(kind) + payload
    record = U32_PAIR.pack(len(body), checksum(body, salt, position)) + body
    return record.ljust(record_bytes(len(payload)), b"\0")
