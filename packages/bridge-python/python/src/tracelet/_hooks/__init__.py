"""Hooks into training libraries: put in when a run starts, taken out when it stops, and never importing a library.

Each hook names the modules whose classes it changes. A module that is loaded is changed at once; for the others a
finder at the head of `sys.meta_path` waits until the program imports them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Callable, Optional

from .._refusals import describe_error, inform

if TYPE_CHECKING:
    from ..settings import TraceletSettings

Undo = Callable[[], None]
Patch = Callable[[ModuleType], Optional[Undo]]

_FRAMEWORKS = {
    "tensorboard": ("torch.utils.tensorboard", "tensorboardX"),
    "lightning": ("lightning.pytorch", "pytorch_lightning"),
}


class _Finder:
    """Patches a module right after it was executed. It finds nothing itself: the finders behind it do."""

    def __init__(self, patches: dict[str, Patch]) -> None:
        self.patches = patches

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self.patches:
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None:
                self._hook_loader(spec, name)
                return spec
        return None

    def _hook_loader(self, spec: ModuleSpec, name: str) -> None:
        loader = spec.loader
        execute = getattr(loader, "exec_module", None)
        if loader is None or execute is None:
            return

        def execute_and_patch(module: ModuleType) -> None:
            execute(module)
            if _finder is self:
                _apply(name, module, self.patches[name])

        try:
            loader.exec_module = execute_and_patch  # type: ignore[method-assign]
        except AttributeError:
            pass  # A loader that cannot be changed: this module goes unrecorded, and imports as ever.


_finder: _Finder | None = None
_undo: list[Undo] = []


def arm(settings: TraceletSettings) -> None:
    """Puts the hooks in that the settings ask for."""
    global _finder
    disarm()
    patches: dict[str, Patch] = {}
    if settings.track_tensorboard:
        from . import tensorboard

        patches.update((name, tensorboard.patch) for name in tensorboard.MODULES)
    if settings.track_lightning:
        from . import lightning

        patches.update((name, lightning.patch) for name in lightning.MODULES)
    if not patches:
        return
    _finder = _Finder(patches)
    sys.meta_path.insert(0, _finder)
    for name, patch in patches.items():
        module = sys.modules.get(name)
        if module is not None:
            _apply(name, module, patch)


def disarm() -> None:
    """Takes out whatever is in."""
    global _finder
    finder, _finder = _finder, None
    if finder in sys.meta_path:
        sys.meta_path.remove(finder)
    while _undo:
        _undo.pop()()


def _apply(name: str, module: ModuleType, patch: Patch) -> None:
    try:
        undo = patch(module)
    except Exception as error:
        inform(f"{name} cannot be recorded: {describe_error(error)}")
        return
    if undo is not None:
        _undo.append(undo)


def replace(owner: object, name: str, wrapper: object) -> Undo:
    """Sets an attribute of a class; the undo puts the old one back, unless somebody replaced ours meanwhile."""
    before = getattr(owner, name)
    setattr(owner, name, wrapper)

    def undo() -> None:
        if getattr(owner, name, None) is wrapper:
            setattr(owner, name, before)

    return undo


def installed_frameworks() -> list[str]:
    """Returns the frameworks with a hook here that are installed; none is imported."""
    from importlib.util import find_spec

    found: list[str] = []
    for framework, modules in _FRAMEWORKS.items():
        for module in modules:
            try:
                # The parent package would be imported to look for a submodule: ask for the top alone.
                if find_spec(module.split(".")[0]) is not None:
                    found.append(framework)
                    break
            except (ImportError, ValueError):
                pass  # A broken installation is none.
    return found
