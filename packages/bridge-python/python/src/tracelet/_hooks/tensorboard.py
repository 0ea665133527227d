"""`SummaryWriter.add_scalar` of `torch.utils.tensorboard` and of `tensorboardX`: recorded under its tag.

The user's call goes on as ever, with its own result and its own exceptions, whatever happens here.
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Callable

from .._active import get_active
from .._refusals import describe
from .._values import to_float, to_step
from . import Undo, lightning, replace

MODULES = ("torch.utils.tensorboard.writer", "tensorboardX.writer")


def patch(module: ModuleType) -> Undo | None:
    """Changes the module's `SummaryWriter`; returns what changes it back."""
    owner = getattr(module, "SummaryWriter", None)
    if owner is None:
        return None
    original: Callable[..., object] = owner.add_scalar

    @functools.wraps(original)
    def add_scalar(self: object, *args: object, **kwargs: object) -> object:
        # Lightning's own logger hands on what our logger was given already.
        if not lightning.is_recording(sys._getframe(1)):
            _record(*args, **kwargs)
        return original(self, *args, **kwargs)

    return replace(owner, "add_scalar", add_scalar)


def _record(
    tag: object = None,
    scalar_value: object = None,
    global_step: object = None,
    walltime: object = None,
    *others: object,
    **more: object,
) -> None:
    """Takes the arguments of `add_scalar`; those that only TensorBoard knows are passed over."""
    run = get_active()
    if run is None:
        return
    try:
        if walltime is None:
            run.log_metric(tag, scalar_value, global_step)  # type: ignore[arg-type]  # it refuses what does not fit
            return
        value, moment = to_float(scalar_value), to_float(walltime)
        step = None if global_step is None else to_step(global_step)
        is_plain = isinstance(tag, str) and value is not None and (global_step is None or step is not None)
        if is_plain and moment is not None and moment - moment == 0:  # a finite time
            run.log_point_at(tag, value, step, moment)  # type: ignore[arg-type]
            return
        if is_plain:
            run.refuse("time", describe(walltime))
        run.log_metric(tag, scalar_value, global_step)  # type: ignore[arg-type]
    except Exception as error:
        run.refuse("internal", f"{type(error).__name__}: {error}")
