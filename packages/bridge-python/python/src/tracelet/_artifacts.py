"""How what an artifact names becomes files in the run's blobs."""

from __future__ import annotations

import os
from typing import Callable

from ._files import FILES_MAX, Kept, NotKept, find, keep_bytes, keep_file, path_problem
from ._payload import encode, to_json
from ._refusals import Refusals, describe, describe_error
from .core.artifacts import ArtifactObject, ArtifactType, ModelInfo, TraceletArtifact

_TYPES_BY_SUFFIX = {
    ArtifactType.CHECKPOINT: (".ckpt",),
    ArtifactType.MODEL: (".pt", ".pth", ".safetensors", ".onnx", ".pkl", ".pickle", ".joblib", ".h5", ".keras"),
    ArtifactType.IMAGE: (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"),
    ArtifactType.AUDIO: (".wav", ".mp3", ".flac", ".ogg", ".m4a"),
    ArtifactType.VIDEO: (".mp4", ".avi", ".mov", ".mkv", ".webm"),
    ArtifactType.VISUALIZATION: (".svg",),
    ArtifactType.DATASET: (".csv", ".tsv", ".parquet", ".arrow", ".npy", ".npz", ".jsonl"),
    ArtifactType.CONFIG: (".yaml", ".yml", ".json", ".toml", ".ini", ".cfg"),
    ArtifactType.REPORT: (".html", ".pdf", ".md", ".ipynb"),
    ArtifactType.CODE: (".py", ".sh", ".ts", ".js", ".cpp", ".cu"),
}


def type_of(given: object) -> str | None:
    """Returns the text of a type, or None when there is no such type."""
    text = getattr(given, "value", given)
    return text if any(text == each.value for each in ArtifactType) else None  # type: ignore[return-value]


def artifact_of(path: str, artifact_path: str | None) -> TraceletArtifact:
    """Returns the artifact for a path; its type is guessed by the file's suffix."""
    base = os.path.basename(os.path.abspath(path))
    suffix = os.path.splitext(base)[1].lower()
    name = base
    if artifact_path is not None:
        place = str(artifact_path).replace(os.sep, "/").strip("/")
        # `log_artifact("a.txt", "texts/b.txt")`, and `log_artifact("a.txt", "texts")`.
        is_place = bool(suffix) and place.lower().endswith(suffix) and not str(artifact_path).endswith("/")
        name = place if is_place else f"{place}/{base}" if place else base
    kind = next((each for each, suffixes in _TYPES_BY_SUFFIX.items() if suffix in suffixes), ArtifactType.CUSTOM)
    artifact = TraceletArtifact(name, kind)
    return artifact.add_file(path, "" if os.path.isdir(path) else name.rsplit("/", 1)[-1])


class Keeping:
    """Copies what an artifact names; what cannot be kept is counted, and the rest is kept.

    Args:
        blobs: the folder of the run's blobs.
        bytes_max: the longest file that is kept.
    """

    def __init__(self, blobs: str, refusals: Refusals, bytes_max: int) -> None:
        self.files: dict[str, Kept] = {}
        self.changed: list[str] = []
        self.has_refused = False
        self.about_models: dict[str, object] = {}
        self._blobs = blobs
        self._refusals = refusals
        self._bytes_max = bytes_max

    def take(self, artifact: TraceletArtifact) -> None:
        """Copies all of it."""
        for file in artifact.files:
            self._files_of(file.local_path, file.artifact_path)
        for each in artifact.objects:
            self._object(each)
        for at, model in enumerate(artifact.models):
            self._model(model, "model" if at == 0 else f"model-{at + 1}")

    def version(self) -> str:
        """Returns what tells one state of the files from another: 16 hexadecimal digits."""
        import hashlib

        lines = "".join(f"{path}\0{kept.sha256}\n" for path, kept in sorted(self.files.items()))
        return hashlib.sha256(lines.encode("utf-8")).hexdigest()[:16]

    def _files_of(self, source: str, place: str | None) -> None:
        try:
            found, left = find(source)
        except (OSError, ValueError) as error:
            self._refuse(source, error)
            return
        for path, reason in left:
            self._refuse(path, NotKept(reason))
        is_folder = not (len(found) == 1 and found[0].source == os.path.realpath(source))
        if place is None:
            place = os.path.basename(os.path.abspath(source)) if is_folder else ""
        for path, file in found:
            where = path if not place else f"{place}/{path}" if is_folder else place
            if not self._is_free(where):
                continue
            try:
                kept = keep_file(file, self._blobs, self._bytes_max)
            except (OSError, ValueError) as error:
                self._refuse(file, error)
                continue
            self.files[where] = kept
            if kept.is_changed:
                self.changed.append(file)

    def _object(self, each: ArtifactObject) -> None:
        suffix = f".{each.serializer}"
        name = str(each.name)
        self._bytes(name if name.endswith(suffix) else name + suffix, lambda: _serialize(each.obj, each.serializer))

    def _model(self, info: ModelInfo, name: str) -> None:
        self.about_models["framework"] = info.framework
        for key in ("input_example", "signature", "description"):
            value = getattr(info, key)
            if value is not None:
                self.about_models[key] = value
        weights = getattr(info.model, "state_dict", None)
        if callable(weights):
            self._bytes(f"{name}.pt", lambda: _torch_weights(weights()))
        else:
            self._bytes(f"{name}.pkl", lambda: _serialize(info.model, "pickle"))

    def _bytes(self, path: str, make: Callable[[], bytes]) -> None:
        if not self._is_free(path):
            return
        try:
            content = make()
            if len(content) > self._bytes_max:
                raise NotKept(f"it has more than {self._bytes_max} bytes")
            self.files[path] = keep_bytes(content, self._blobs)
        except Exception as error:  # It is the user's object that was asked.
            self._refuse(path, error)

    def _is_free(self, path: str) -> bool:
        problem = path_problem(path)
        if problem is None and path in self.files:
            problem = "two files have one path"
        if problem is None and len(self.files) >= FILES_MAX:
            problem = f"an artifact has at most {FILES_MAX} files"
        if problem is not None:
            self._refuse(path, NotKept(problem))
        return problem is None

    def _refuse(self, what: str, error: Exception) -> None:
        self.has_refused = True
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        else:
            reason = str(error) if isinstance(error, NotKept) else describe_error(error)
        self._refusals.add("artifact", f"{describe(what)}: {reason}")


def _serialize(value: object, serializer: str) -> bytes:
    if serializer == "json":
        return encode(to_json(value))
    if serializer == "pickle":
        import pickle

        return pickle.dumps(value)
    if serializer == "yaml":
        from importlib import import_module

        text: str = import_module("yaml").safe_dump(to_json(value), allow_unicode=True, sort_keys=False)
        return text.encode("utf-8")
    raise NotKept(f"no serializer is {describe(serializer)}: json, yaml or pickle")


def _torch_weights(weights: object) -> bytes:
    import sys
    from io import BytesIO

    out = BytesIO()
    sys.modules["torch"].save(weights, out)  # what has a state_dict of tensors has imported it
    return out.getvalue()
