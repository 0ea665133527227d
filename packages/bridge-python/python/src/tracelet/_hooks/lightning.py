"""Lightning, under both of its names: a logger of ours among `trainer.loggers`.

It is given what the trainer logs, at the trainer's step, after the trainer's own reduction, as plain numbers: nothing
is read from a device a second time. It comes last in the list, so `trainer.logger` stays the user's; where it is the
only one (`logger=False`), its empty name and version leave the folder of the checkpoints where it was.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from types import FrameType, ModuleType
from typing import Callable

from .._active import get_active
from .._refusals import describe_error
from . import Undo, replace

MODULES = ("lightning.pytorch.trainer.trainer", "pytorch_lightning.trainer.trainer")
_LOGGER_MODULES = ("lightning.", "lightning_fabric.", "pytorch_lightning.")

_classes: dict[str, type] = {}
_is_attached = False


def is_recording(frame: FrameType) -> bool:
    """Whether `frame` is code of Lightning, while a trainer has our logger: then that is given the same values."""
    return _is_attached and str(frame.f_globals.get("__name__", "")).startswith(_LOGGER_MODULES)


def patch(module: ModuleType) -> Undo | None:
    """Changes the module's `Trainer` so that it gets our logger; returns what changes it back."""
    owner = getattr(module, "Trainer", None)
    if owner is None:
        return None
    package = module.__name__.rsplit(".trainer.trainer", 1)[0]
    # A trainer that was made before the run started gets its logger when it starts to work.
    undos: list[Undo] = [
        _attach_after(owner, package),
        *(_attach_before(owner, name, package) for name in ("fit", "validate", "test")),
    ]

    def undo() -> None:
        global _is_attached
        _is_attached = False
        for each in undos:
            each()

    return undo


def _attach_after(owner: type, package: str) -> Undo:
    original: Callable[..., None] = owner.__init__  # type: ignore[misc]

    @functools.wraps(original)
    def init(self: object, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)
        _attach(self, package)

    return replace(owner, "__init__", init)


def _attach_before(owner: type, name: str, package: str) -> Undo:
    original: Callable[..., object] = getattr(owner, name)

    @functools.wraps(original)
    def run(self: object, *args: object, **kwargs: object) -> object:
        _attach(self, package)
        return original(self, *args, **kwargs)

    return replace(owner, name, run)


def _attach(trainer: object, package: str) -> None:
    global _is_attached
    experiment = get_active()
    if experiment is None:
        return
    try:
        loggers = list(getattr(trainer, "loggers", None) or [])
        ours = _logger_class(package)
        if not any(isinstance(logger, ours) for logger in loggers):
            root = str(getattr(trainer, "default_root_dir", "") or "")
            trainer.loggers = [*loggers, ours(root)]  # type: ignore[attr-defined]
        _is_attached = True
    except Exception as error:
        experiment.refuse("internal", f"Lightning's trainer takes no logger: {describe_error(error)}")


class NoExperiment:
    """What `logger.experiment` is: any method of it may be called, and does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: None


def make_logger(package: str, root: str) -> object:
    """Returns a logger of ours: how a pickled one comes back in a spawned process."""
    return _logger_class(package)(root)


def _logger_class(package: str) -> type:
    """Returns our logger's class, derived from that of `package` (`lightning.pytorch`, `pytorch_lightning`)."""
    known = _classes.get(package)
    if known is not None:
        return known
    from importlib import import_module

    base: type = import_module(f"{package}.loggers.logger").Logger

    class TraceletLogger(base):  # type: ignore[misc]
        def __init__(self, root: str) -> None:
            super().__init__()
            self._root = root

        @property
        def name(self) -> str:
            return ""

        @property
        def version(self) -> str:
            return ""

        @property
        def save_dir(self) -> str:
            return self._root

        @property
        def experiment(self) -> NoExperiment:
            return NoExperiment()

        def log_metrics(self, metrics: Mapping[str, object], step: int | None = None) -> None:
            run = get_active()
            if run is not None and _is_rank_zero(package):
                run.log(metrics, step)

        def log_hyperparams(self, params: Mapping[str, object], *args: object, **kwargs: object) -> None:
            run = get_active()
            if run is not None and params and _is_rank_zero(package):
                run.log_params(params)

        def log_image(self, key: str, images: object, step: int | None = None, **kwargs: object) -> None:
            """As Lightning's loggers that have one take it: a list of images under one key."""
            run = get_active()
            if run is None or not _is_rank_zero(package):
                return
            several = images if isinstance(images, (list, tuple)) else [images]
            for at, image in enumerate(several):
                run.log_image(key, image, step, {"index": at} if len(several) > 1 else None)

        def __reduce__(self) -> tuple[Callable[[str, str], object], tuple[str, str]]:
            return make_logger, (package, self._root)

    _classes[package] = TraceletLogger
    return TraceletLogger


def _is_rank_zero(package: str) -> bool:
    """Loggers of Lightning write on rank 0 alone; the other ranks are given the same reduced values."""
    utilities = sys.modules.get(f"{package}.utilities.rank_zero") or sys.modules.get(f"{package}.utilities")
    return not getattr(getattr(utilities, "rank_zero_only", None), "rank", 0)
