"""What a run logs at a step and is no number. How it becomes a file is `_media.py`'s, loaded when needed."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Callable

from ._format import MEDIA
from ._payload import Json, encode, encode_context, is_name, plain_text
from ._refusals import Refusals, describe, describe_error
from ._values import to_step

if TYPE_CHECKING:
    from ._media import Medium
    from ._writer import Writer

Context = Mapping[str, object]


class MediaLogging:
    """The part of an `Experiment` that takes images and the like; nothing of it raises."""

    _refusals: Refusals
    _context: dict[str, object]

    def log_image(
        self,
        name: str,
        image: object,
        step: int | None = None,
        context: Context | None = None,
        dataformats: str | None = None,
    ) -> None:
        """Records an image.

        Args:
            image: a numpy array or a tensor (HW, HWC or CHW; 1, 3 or 4 channels; whole numbers from 0 to 255, floats
                from 0 to 1, booleans), an image of PIL, a figure of matplotlib, or a PNG, JPEG, GIF or WebP as bytes
                or path.
            step: as for `log`, of the images of this name; `context` as there too.
            dataformats: how an array is laid out where it could be either way: `"CHW"`; `"NHWC"` is a batch.
        """

        def make() -> Medium:
            from . import _media

            return _media.image(image, dataformats)

        self.log_medium("image", name, make, step, context)

    def log_histogram(
        self, name: str, values: object, step: int | None = None, context: Context | None = None, bins: int = 64
    ) -> None:
        """Records a histogram.

        Args:
            values: numbers of any array, NaN and the infinities left out; or `{"edges": …, "counts": …}`; or the pair
                that `numpy.histogram` returns.
            step: as for `log_image`; `context` as there too.
            bins: into how many equally wide bins values are put, 1 to 4,096.
        """

        def make() -> Medium:
            from . import _media

            return _media.histogram(values, bins)

        self.log_medium("histogram", name, make, step, context)

    def log_table(
        self,
        name: str,
        data: object,
        step: int | None = None,
        context: Context | None = None,
        columns: object = None,
    ) -> None:
        """Records a table.

        Args:
            data: rows as dictionaries, columns as lists by their names, `{"columns": …, "data": …}`, a data frame, or
                rows as lists, for which `columns` has the names.
            step: as for `log_image`; `context` as there too.
        """

        def make() -> Medium:
            from . import _media

            return _media.table(data, columns)

        self.log_medium("table", name, make, step, context)

    def log_figure(self, name: str, figure: object, step: int | None = None, context: Context | None = None) -> None:
        """Records a figure of matplotlib (as PNG) or Plotly, an SVG or HTML text, or a picture as for `log_image`."""

        def make() -> Medium:
            from . import _media

            return _media.figure(figure)

        self.log_medium("figure", name, make, step, context)

    def log_audio(
        self, name: str, samples: object, sample_rate: int, step: int | None = None, context: Context | None = None
    ) -> None:
        """Records a sound: samples from -1 to 1, of one or two channels, as WAV."""

        def make() -> Medium:
            from . import _media

            return _media.audio(samples, sample_rate)

        self.log_medium("audio", name, make, step, context)

    def log_medium(
        self,
        kind: str,
        name: object,
        make: Callable[[], Medium],
        step: object = None,
        context: Context | None = None,
        moment: object = None,
    ) -> None:
        """Records what `make` gives, at the time `moment` (default: now); for the methods above and the hooks."""
        try:
            now = time.time() if moment is None else moment
            writer = self._open_writer(describe(name))
            if writer is None:
                return
            if not isinstance(name, str) or not is_name(name):
                self._refusals.add("name", describe(name))
                return
            number = None if step is None else to_step(step)
            if step is not None and number is None:
                self._refusals.add("step", describe(step))
                return
            encoded = None
            if context is None or isinstance(context, Mapping):
                encoded = encode_context({**self._context, **(context or {})})
            if encoded is None:
                self._refusals.add("context", describe(context))
                return
            if not isinstance(now, (int, float)) or not math.isfinite(now):
                self._refusals.add("time", describe(now))
                now = time.time()
            self._keep_medium(writer, kind, plain_text(name), make, number, encoded, float(now))
        except Exception as error:
            self._refusals.add("internal", describe_error(error))

    def _keep_medium(
        self,
        writer: Writer,
        kind: str,
        name: str,
        make: Callable[[], Medium],
        step: int | None,
        context: str,
        moment: float,
    ) -> None:
        from ._media import checked

        # Reserved before it is made, which may fail: what comes next has its own.
        at = writer.next_step(kind, name, context, step)
        try:
            medium = checked(make())
        except Exception as error:  # It is the user's object that was asked.
            self._refusals.add("media", f"{kind} {describe(name)}: {error}"[:300])
            return
        try:
            digest = writer.keep(medium.content)
        except OSError as error:
            self._refusals.add("lost", f"{error.strerror}: {writer.blobs}")
            return
        fields: dict[str, Json] = {"time": moment, "name": name, "context": {}, "step": at, "kind": kind}
        fields.update(mediaType=medium.media_type, digest=f"sha256:{digest}", bytes=len(medium.content))
        head = encode({**fields, **medium.fields})
        # The context is JSON already: put in where its place was kept.
        writer.record(MEDIA, head.replace(b'"context":{}', b'"context":' + context.encode("utf-8"), 1))

    def _open_writer(self, what: str) -> Writer | None:
        raise NotImplementedError
