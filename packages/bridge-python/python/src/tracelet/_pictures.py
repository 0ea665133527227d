"""Images of every kind as files: arrays in any layout, PIL's, figures of matplotlib, and what is a file already."""

from __future__ import annotations

import os
from typing import NamedTuple

from ._array import NotArray, to_bytes
from ._png import SIGNATURE, encode_apng, encode_png

# J6.3
MEDIA_BYTES_MAX = 64 << 20
# As TensorBoard lays out a batch.
_GRID_COLUMNS = 8


class NotMedia(ValueError):
    """Something has no form as a medium; the message says why."""


class Pixels(NamedTuple):
    """Rows one after another, the channels of a pixel side by side, each a byte."""

    data: bytes
    height: int
    width: int
    channels: int


def image_type(content: bytes) -> str | None:
    """Returns the media type of a picture that browsers show, by how it begins."""
    if content.startswith(SIGNATURE):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def to_image(image: object, layout: str | None = None) -> tuple[str, bytes]:
    """Returns the media type and the bytes of an image.

    Args:
        image: the bytes or the path of a PNG, JPEG, GIF or WebP, an image of PIL, a figure of matplotlib, or an array.
        layout: of an array: its axes, of N, H, W and C; default HW, or HWC, or CHW where only that can be.

    Raises:
        NotMedia: it is none.
    """
    if isinstance(image, (str, os.PathLike)):
        image = read_file(image)
    if isinstance(image, (bytes, bytearray, memoryview)):
        content = bytes(image)
        media_type = image_type(content)
        if media_type is None:
            raise NotMedia("the bytes are no PNG, JPEG, GIF or WebP")
        return media_type, content
    rendered = _rendered(image)
    if rendered is not None:
        return "image/png", rendered
    return "image/png", encode_png(*to_pixels(image, layout))


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Returns a file's content.

    Raises:
        NotMedia: it cannot be read, or is no plain file of at most 64 MiB.
    """
    import stat

    try:
        # A pipe that nobody writes to is opened at once so, and is refused below.
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise NotMedia("it is no plain file")
            content = file.read(MEDIA_BYTES_MAX + 1)
    except (OSError, ValueError, TypeError) as error:
        if isinstance(error, NotMedia):
            raise
        raise NotMedia(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MEDIA_BYTES_MAX:
        raise NotMedia("it has more than 64 MiB")
    return content


def _rendered(image: object) -> bytes | None:
    """Returns what PIL or matplotlib makes of its own; None for anything else."""
    from io import BytesIO

    if callable(getattr(image, "savefig", None)):
        out = BytesIO()
        image.savefig(out, format="png")  # type: ignore[attr-defined]
        return out.getvalue()
    if callable(getattr(image, "save", None)) and isinstance(getattr(image, "mode", None), str):
        if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"):  # type: ignore[attr-defined]
            image = image.convert("RGB")  # type: ignore[attr-defined]
        out = BytesIO()
        image.save(out, format="PNG")  # type: ignore[attr-defined]
        return out.getvalue()
    return None


def to_pixels(image: object, layout: str | None = None) -> Pixels:
    """Returns an array as pixels; a batch of images (N) becomes one, in rows of eight.

    Raises:
        NotMedia: it is no array of numbers, or of no such shape.
    """
    try:
        data, shape = to_bytes(image)
    except NotArray as error:
        raise NotMedia(str(error)) from None
    axes = _axes(shape, layout)
    if "N" not in axes:
        return _one(data, shape, axes)
    if axes[0] != "N":
        raise NotMedia(f"a batch is laid out N first, not {axes}")
    size = len(data) // shape[0] if shape[0] else 0
    if size == 0:
        raise NotMedia("an image without pixels")
    return _grid([_one(data[at : at + size], shape[1:], axes[1:]) for at in range(0, len(data), size)])


def _axes(shape: tuple[int, ...], layout: str | None) -> str:
    if layout is not None:
        axes = str(layout).upper()
        if len(axes) != len(shape) or not set("HW") <= set(axes) <= set("NCHW") or len(set(axes)) != len(axes):
            raise NotMedia(f"an array of shape {shape} is not laid out as {axes[:8]}")
        return axes
    if len(shape) == 2:
        return "HW"
    if len(shape) == 3 and shape[2] in (1, 3, 4):
        return "HWC"
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "CHW"
    raise NotMedia(f"an array of shape {shape} is no image: HW, HWC or CHW with 1, 3 or 4 channels")


def _one(data: bytes, shape: tuple[int, ...], axes: str) -> Pixels:
    size = dict(zip(axes, shape))
    height, width, channels = size["H"], size["W"], size.get("C", 1)
    if channels not in (1, 2, 3, 4):
        raise NotMedia(f"an image has 1 to 4 channels, not {channels}")
    if height * width == 0:
        raise NotMedia("an image without pixels")
    if axes in ("HW", "HWC"):
        return Pixels(data, height, width, channels)
    if axes == "CHW":
        mixed = bytearray(len(data))
        plane = height * width
        for channel in range(channels):
            mixed[channel::channels] = data[channel * plane : (channel + 1) * plane]
        return Pixels(bytes(mixed), height, width, channels)
    raise NotMedia(f"images are laid out HW, HWC or CHW, not {axes}")


def _grid(images: list[Pixels]) -> Pixels:
    _, height, width, channels = images[0]
    columns = min(_GRID_COLUMNS, len(images))
    stride = width * channels
    rows: list[bytes] = []
    for first in range(0, len(images), columns):
        row = images[first : first + columns]
        padding = b"\0" * (stride * (columns - len(row)))
        for at in range(0, stride * height, stride):
            rows.extend(image.data[at : at + stride] for image in row)
            rows.append(padding)
    return Pixels(b"".join(rows), height * -(-len(images) // columns), width * columns, channels)


def to_video(frames: object, fps: float) -> tuple[str, bytes]:
    """Returns an animated PNG of an array T, C, H, W.

    Raises:
        NotMedia: it is no such array.
    """
    try:
        data, shape = to_bytes(frames)
    except NotArray as error:
        raise NotMedia(str(error)) from None
    if len(shape) != 4 or shape[0] == 0 or not data:
        raise NotMedia(f"an array of shape {shape} is no video: T, C, H, W")
    size = len(data) // shape[0]
    pixels = [_one(data[at : at + size], shape[1:], "CHW") for at in range(0, len(data), size)]
    _, height, width, channels = pixels[0]
    return "image/apng", encode_apng([each.data for each in pixels], height, width, channels, fps)
