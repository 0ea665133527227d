"""Which experiment the program is recording into now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._experiment import Experiment

_active: Experiment | None = None


def get_active() -> Experiment | None:
    """Returns the running experiment that was started last, or None."""
    return _active


def set_active(experiment: Experiment) -> None:
    """Makes it the active one and lets the hooks of the frameworks feed it."""
    global _active
    _active = experiment
    from ._hooks import arm

    arm(experiment.settings)


def unset_active(experiment: Experiment) -> None:
    """Takes the hooks out, if it is the active one."""
    global _active
    from ._hooks import disarm

    if _active is experiment:
        _active = None
        disarm()
