"""Artifacts: files, objects and references under one name, put together and then logged by `run.log_artifact`.

    from tracelet.core.artifacts import ArtifactType, TraceletArtifact

    best = TraceletArtifact("best", ArtifactType.MODEL).add_file("model.pt").add_object({"n": 12}, "config", "json")
    run.log_artifact(best)

Nothing is read before it is logged, and nothing here raises.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple, Union

Path = Union[str, "os.PathLike[str]"]


class ArtifactType(Enum):
    """What an artifact is."""

    MODEL = "model"
    CHECKPOINT = "checkpoint"
    WEIGHTS = "weights"
    DATASET = "dataset"
    SAMPLE = "sample"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    VISUALIZATION = "viz"
    REPORT = "report"
    CONFIG = "config"
    CODE = "code"
    CUSTOM = "custom"


class ArtifactFile(NamedTuple):
    """A file or folder, and where it goes in the artifact."""

    local_path: str
    artifact_path: str | None = None
    description: str | None = None


class ArtifactReference(NamedTuple):
    """What lies elsewhere."""

    uri: str
    size_bytes: int | None = None
    description: str | None = None
    metadata: Mapping[str, object] | None = None


class ArtifactObject(NamedTuple):
    """An object that becomes the file `<name>.<serializer>`."""

    obj: object
    name: str
    serializer: str = "pickle"
    description: str | None = None


class ModelInfo(NamedTuple):
    """A model that becomes a file: PyTorch's weights `model.pt`, others `model.pkl`."""

    model: object
    framework: str
    input_example: object = None
    signature: object = None
    description: str | None = None


class ArtifactResult(NamedTuple):
    """What was recorded for a backend, which is delivered later."""

    version: str
    uri: str
    size_bytes: int
    backend: str


class TraceletArtifact:
    """An artifact under way; every `add_…` returns it.

    Args:
        name: where its files lie among the run's artifacts.
        artifact_type: an `ArtifactType`, or the text of one.
        metadata: anything that JSON has a form for.
    """

    def __init__(
        self,
        name: str,
        artifact_type: ArtifactType | str = ArtifactType.CUSTOM,
        description: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        self.name = name
        self.type = artifact_type
        self.description = description
        self.metadata: dict[str, object] = dict(metadata) if isinstance(metadata, Mapping) else {}
        self.version: str | None = None
        self.size_bytes = 0
        self.created_at = time.time()
        self.files: list[ArtifactFile] = []
        self.references: list[ArtifactReference] = []
        self.objects: list[ArtifactObject] = []
        self.models: list[ModelInfo] = []

    def add_file(
        self, local_path: Path, artifact_path: str | None = None, description: str | None = None
    ) -> TraceletArtifact:
        """Adds a file, or a folder with all below it; `artifact_path`: where it goes, default its own name."""
        self.files.append(ArtifactFile(_text(local_path), artifact_path, description))
        return self

    def add_reference(
        self,
        uri: str,
        size_bytes: int | None = None,
        description: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> TraceletArtifact:
        """Adds what lies elsewhere; nothing of it is read."""
        self.references.append(ArtifactReference(uri, size_bytes, description, metadata))
        return self

    def add_object(
        self, obj: object, name: str, serializer: str = "pickle", description: str | None = None
    ) -> TraceletArtifact:
        """Adds an object as `json`, `yaml` (which needs PyYAML) or `pickle`."""
        self.objects.append(ArtifactObject(obj, name, serializer, description))
        return self

    def add_model(
        self,
        model: object,
        framework: str | None = None,
        input_example: object = None,
        signature: object = None,
        description: str | None = None,
    ) -> TraceletArtifact:
        """Adds a model: its weights where it is one of PyTorch, else the object as a pickle."""
        self.models.append(ModelInfo(model, framework or _framework_of(model), input_example, signature, description))
        return self


_FRAMEWORKS = (
    ("lightning", "pytorch_lightning"),
    ("torch", "pytorch"),
    ("sklearn", "sklearn"),
    ("tensorflow", "tensorflow"),
    ("keras", "tensorflow"),
    ("xgboost", "xgboost"),
)


def _framework_of(model: object) -> str:
    # A model's class is the user's own; what it derives from is the framework's.
    modules = [base.__module__ for base in type(model).__mro__]
    return next((name for part, name in _FRAMEWORKS if any(part in module for module in modules)), "unknown")


def _text(path: object) -> str:
    try:
        return os.fsdecode(path)  # type: ignore[arg-type]  # what is no path is refused when it is logged
    except TypeError:
        return str(path)
