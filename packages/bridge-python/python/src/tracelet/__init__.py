"""tracelet records machine-learning runs: into a journal of its own, from which an agent delivers.

    import tracelet

    run = tracelet.start_logging(exp_name="baseline", project="digits")
    run.log({"loss": 0.5}, step=0)
    tracelet.stop_logging()

Importing this module loads next to nothing: what is behind a name is imported when the name is first used.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._api import (
        available_backends,
        available_frameworks,
        get_active_experiment,
        start_logging,
        stop_logging,
    )
    from ._experiment import Experiment, ExperimentConfig
    from .settings import TraceletSettings

_HOMES = {
    "Experiment": "_experiment",
    "ExperimentConfig": "_experiment",
    "TraceletSettings": "settings",
    "available_backends": "_api",
    "available_frameworks": "_api",
    "get_active_experiment": "_api",
    "start_logging": "_api",
    "stop_logging": "_api",
}

__all__ = [
    "Experiment",
    "ExperimentConfig",
    "TraceletSettings",
    "__version__",
    "available_backends",
    "available_frameworks",
    "get_active_experiment",
    "start_logging",
    "stop_logging",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    return sorted({*globals(), *_HOMES})
