"""What a run makes and keeps beside its points, and what it used: files, and the record that lists them."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ._format import ARTIFACT, BLOB_BYTES_MAX
from ._payload import Json, encode, is_name, plain_text, to_json
from ._refusals import Refusals, describe, describe_error, warn

if TYPE_CHECKING:
    from ._writer import Writer
    from .core.artifacts import ArtifactResult, ArtifactType, Path, TraceletArtifact
    from .settings import TraceletSettings

_REFERENCE_CHARACTERS_MAX = 65_536


class ArtifactLogging:
    """The part of an `Experiment` that takes artifacts; nothing of it raises."""

    id: str
    settings: TraceletSettings
    _refusals: Refusals
    _artifacts: list[TraceletArtifact]

    def log_artifact(
        self, artifact: Path | TraceletArtifact, artifact_path: str | None = None
    ) -> dict[str, ArtifactResult]:
        """Keeps a file, a folder with all below it, or an artifact that was put together.

        When it has returned, the source may go. Links in a folder are followed to files of that folder alone.

        Args:
            artifact_path: of a file or folder: where it goes. A path that ends as the file does is its place; any other
                is the folder that it is put into.

        Returns:
            What was recorded, by the names of the backends that it goes to; empty when nothing could be kept.
        """
        try:
            from .core.artifacts import TraceletArtifact

            if isinstance(artifact, TraceletArtifact):
                return self._log_artifact(artifact)
            from ._artifacts import artifact_of

            return self._log_artifact(artifact_of(os.fsdecode(artifact), artifact_path))
        except Exception as error:
            self._refusals.add("artifact", f"{describe(artifact)}: {describe_error(error)}")
            return {}

    def log_file_artifact(self, local_path: Path, artifact_path: str | None = None) -> dict[str, ArtifactResult]:
        """The same as `log_artifact` of a path."""
        return self.log_artifact(local_path, artifact_path)

    def log_input(
        self,
        name: str | TraceletArtifact,
        source: str | None = None,
        *,
        context: str | None = None,
        digest: str | None = None,
        source_type: str | None = None,
        schema: object = None,
        profile: object = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Records what the run used: a dataset, or an artifact whose files are kept.

        Args:
            source: where it came from, a URI or a path; nothing of it is read.
            context: what it was used for: `"training"`.
            digest: tells versions of the data apart.
            schema, profile, metadata: anything that JSON has a form for.
        """
        try:
            from .core.artifacts import ArtifactType, TraceletArtifact

            used = name if isinstance(name, TraceletArtifact) else TraceletArtifact(name, ArtifactType.DATASET)
            used.metadata.update(metadata or {})
            texts = {"context": context, "digest": digest, "sourceType": source_type}
            fields: dict[str, Json] = {key: str(text) for key, text in texts.items() if text is not None}
            for key, value in (("schema", schema), ("profile", profile)):
                if value is not None:
                    fields[key] = to_json(value)
            self._log_artifact(used, fields, source)
        except Exception as error:
            self._refusals.add("artifact", f"{describe(name)}: {describe_error(error)}")

    def create_artifact(
        self, name: str, artifact_type: ArtifactType | str, description: str | None = None
    ) -> TraceletArtifact:
        """Returns an artifact to be put together; `log_artifact` records it."""
        from .core.artifacts import TraceletArtifact

        return TraceletArtifact(name, artifact_type, description)

    def list_artifacts(
        self, type_filter: ArtifactType | str | None = None, backend: str | None = None
    ) -> list[TraceletArtifact]:
        """Returns the artifacts that this process logged into the run, in order; `backend` makes no difference."""
        wanted = getattr(type_filter, "value", type_filter)
        return [each for each in self._artifacts if wanted is None or getattr(each.type, "value", each.type) == wanted]

    def get_artifact(self, name: str, version: str = "latest", backend: str | None = None) -> TraceletArtifact | None:
        """Returns the artifact of that name that this process logged last, or the one of that version; else None."""
        for each in reversed(self._artifacts):
            if each.name == name and version in ("latest", each.version):
                return each
        return None

    def _log_artifact(
        self, artifact: TraceletArtifact, used: Mapping[str, Json] | None = None, source: str | None = None
    ) -> dict[str, ArtifactResult]:
        from ._artifacts import Keeping, type_of
        from ._files import sync_folder
        from .core.artifacts import ArtifactResult

        now = time.time()
        writer = self._open_writer(describe(artifact.name))
        if writer is None:
            return {}
        if not is_name(artifact.name):
            self._refusals.add("name", describe(artifact.name))
            return {}
        kind = type_of(artifact.type)
        if kind is None:
            self._refusals.add(
                "artifact", f"{describe(artifact.name)}: no type of artifacts is {describe(artifact.type)}"
            )
            return {}
        keeping = Keeping(writer.blobs, self._refusals, self.settings.artifact_file_bytes)
        keeping.take(artifact)
        uris = [*([source] if source is not None else []), *(each.uri for each in artifact.references)]
        references: list[Json] = []
        for uri in uris:
            if isinstance(uri, str) and len(uri) <= _REFERENCE_CHARACTERS_MAX:
                references.append(plain_text(uri))
            else:
                self._refusals.add("artifact", f"a reference that is no text: {describe(uri)}")
        if keeping.has_refused and not keeping.files and not references:
            return {}
        if keeping.files:
            sync_folder(writer.blobs)
        files: list[Json] = [
            {"path": path, "digest": f"sha256:{kept.sha256}", "bytes": kept.bytes}
            for path, kept in sorted(keeping.files.items())
        ]
        fields: dict[str, Json] = {"time": now, "name": plain_text(artifact.name), "type": kind}
        fields.update(files=files, references=references)
        if artifact.description is not None:
            fields["description"] = str(artifact.description)
        metadata = to_json({**artifact.metadata, **keeping.about_models})
        if metadata:
            fields["metadata"] = metadata
        if used is not None:
            fields["input"] = dict(used)
        payload = encode(fields)
        if len(payload) > BLOB_BYTES_MAX:
            self._refusals.add("size", f"the record of the artifact {describe(artifact.name)}, {len(payload)} bytes")
            return {}
        writer.record(ARTIFACT, payload)
        artifact.size_bytes = sum(kept.bytes for kept in keeping.files.values())
        artifact.version = keeping.version()
        self._artifacts.append(artifact)
        if keeping.changed:
            warn(f"{keeping.changed[0]} was written while it was copied; the copy is kept as it is")
        uri = f"{os.path.dirname(writer.blobs)}#{artifact.name}"
        return {
            name: ArtifactResult(artifact.version, uri, artifact.size_bytes, name)
            for name in self.settings.backend or ["local"]
        }

    def _open_writer(self, what: str) -> Writer | None:
        raise NotImplementedError
