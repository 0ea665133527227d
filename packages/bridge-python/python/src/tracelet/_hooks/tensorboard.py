"""`SummaryWriter` of `torch.utils.tensorboard` and of `tensorboardX`: what it is given, recorded under its tags.

The user's call goes on as ever, with its own result and its own exceptions, whatever happens here.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Mapping
from types import ModuleType
from typing import Callable

from .._active import get_active
from .._refusals import describe, describe_error
from .._values import to_float, to_step
from . import Undo, lightning, replace

# What is no scalar: recorded by `tensorboard_media.py`, which is loaded when the first of it is given.
_MEDIA = (
    "add_image",
    "add_images",
    "add_image_with_boxes",
    "add_figure",
    "add_histogram",
    "add_histogram_raw",
    "add_audio",
    "add_video",
    "add_embedding",
    "add_mesh",
    "add_pr_curve",
    "add_pr_curve_raw",
    "add_text",
    "add_hparams",
)
# How deep this thread is in such calls: `add_figure` gives its picture to `add_image`.
_inside = threading.local()

MODULES = ("torch.utils.tensorboard.writer", "tensorboardX.writer")


def patch(module: ModuleType) -> Undo | None:
    """Changes the module's `SummaryWriter`; returns what changes it back."""
    owner = getattr(module, "SummaryWriter", None)
    if owner is None:
        return None
    undos = [
        _hook(owner, name, record)
        for name, record in (("add_scalar", _record), ("add_scalars", _record_several))
        if hasattr(owner, name)
    ]
    undos.extend(_hook_media(owner, name) for name in _MEDIA if hasattr(owner, name))

    def undo() -> None:
        for each in undos:
            each()

    return undo


def _hook(owner: type, name: str, record: Callable[..., None]) -> Undo:
    original: Callable[..., object] = getattr(owner, name)

    @functools.wraps(original)
    def add(self: object, *args: object, **kwargs: object) -> object:
        # Lightning's own logger hands on what our logger was given already.
        if not lightning.is_recording(sys._getframe(1)):
            record(*args, **kwargs)
        return original(self, *args, **kwargs)

    return replace(owner, name, add)


def _hook_media(owner: type, name: str) -> Undo:
    original: Callable[..., object] = getattr(owner, name)

    @functools.wraps(original)
    def add(self: object, *args: object, **kwargs: object) -> object:
        depth: int = getattr(_inside, "depth", 0)
        if depth == 0 and not lightning.is_recording(sys._getframe(1)):
            _record_medium(name, args, kwargs)
        _inside.depth = depth + 1
        try:
            return original(self, *args, **kwargs)
        finally:
            _inside.depth = depth

    return replace(owner, name, add)


def _record_medium(name: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
    run = get_active()
    if run is None:
        return
    try:
        from .tensorboard_media import RECORDERS

        RECORDERS[name](run, *args, **kwargs)
    except Exception as error:
        run.refuse("media", f"{name}: {describe_error(error)}")


def _record(
    tag: object = None,
    scalar_value: object = None,
    global_step: object = None,
    walltime: object = None,
    *others: object,
    **more: object,
) -> None:
    """Takes the arguments of `add_scalar`; those that only TensorBoard knows are passed over."""
    _record_one(tag, scalar_value, global_step, walltime, None)


def _record_several(
    main_tag: object = None,
    tag_scalar_dict: object = None,
    global_step: object = None,
    walltime: object = None,
    *others: object,
    **more: object,
) -> None:
    """Takes the arguments of `add_scalars`: a series for each key, named `main_tag`, told apart by its context.

    A context, not `main_tag/key`: TensorBoard draws these as the curves of one chart, each from a run of its own, and
    series of one name are what one chart shows here; `add_scalar("loss/train")` stays another series than these.
    """
    if not isinstance(tag_scalar_dict, Mapping):
        _record_one(main_tag, tag_scalar_dict, global_step, walltime, None)  # it refuses what does not fit
        return
    for key, value in tag_scalar_dict.items():
        _record_one(main_tag, value, global_step, walltime, {"tag": key if isinstance(key, str) else str(key)})


def _record_one(
    tag: object, scalar: object, global_step: object, walltime: object, context: Mapping[str, object] | None
) -> None:
    run = get_active()
    if run is None:
        return
    try:
        if walltime is not None:
            value, moment = to_float(scalar), to_float(walltime)
            step = None if global_step is None else to_step(global_step)
            is_plain = isinstance(tag, str) and value is not None and (global_step is None or step is not None)
            if is_plain and moment is not None and moment - moment == 0:  # a finite time
                run.log_point_at(tag, value, step, moment, context)  # type: ignore[arg-type]
                return
            if is_plain:
                run.refuse("time", describe(walltime))
        if context is None:
            run.log_metric(tag, scalar, global_step)  # type: ignore[arg-type]  # it refuses what does not fit
        else:
            run.log({tag: scalar}, global_step, context)  # type: ignore[dict-item, arg-type]
    except Exception as error:
        run.refuse("internal", describe_error(error))
