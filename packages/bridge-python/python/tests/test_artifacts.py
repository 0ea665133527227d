"""Artifacts: what is copied, what is left out, and what the record says (journal.md J5.15, J5.16, J6.3, J6.4)."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from journal_reader import only_run, primary

import tracelet
from tracelet import _files
from tracelet.core.artifacts import ArtifactType, TraceletArtifact


@pytest.fixture
def made(tmp_path: Path) -> Path:
    out = tmp_path / "out"
    (out / "deep").mkdir(parents=True)
    (out / "a.txt").write_text("one")
    (out / "deep" / "b.txt").write_text("two")
    (out / "deep" / "c.txt").write_text("one")
    return out


def artifacts(folder: Path) -> list[dict[str, Any]]:
    return [event["payload"] for event in primary(only_run(folder)).events if event["kind"] == "artifact"]


def content(folder: Path, file: dict[str, Any]) -> bytes:
    data = next(folder.glob("runs/*/blobs")).joinpath(file["digest"].removeprefix("sha256:")).read_bytes()
    assert len(data) == file["bytes"]
    return data


def test_files_and_folders_are_copied_each_content_once(folder: Path, made: Path) -> None:
    run = tracelet.start_logging("a", backend="local,mlflow")
    results = run.log_artifact(made / "a.txt")
    assert [(name, result.size_bytes) for name, result in results.items()] == [("local", 3), ("mlflow", 3)]
    run.log_artifact(str(made / "a.txt"), "texts/first.txt")
    run.log_artifact(str(made / "a.txt"), "texts")
    run.log_artifact(made, "results")
    (made / "a.txt").unlink()
    assert run.flush()
    tracelet.stop_logging()
    records = artifacts(folder)
    assert [(a["name"], a["type"], [f["path"] for f in a["files"]]) for a in records] == [
        ("a.txt", "custom", ["a.txt"]),
        ("texts/first.txt", "custom", ["first.txt"]),
        ("texts/a.txt", "custom", ["a.txt"]),
        ("results/out", "custom", ["a.txt", "deep/b.txt", "deep/c.txt"]),
    ]
    assert content(folder, records[3]["files"][0]) == b"one"
    blobs = list(folder.glob("runs/*/blobs/*"))
    assert len(blobs) == 2
    assert all(blob.stat().st_mode & 0o777 == 0o600 for blob in blobs)
    assert run.refused == {}


def test_an_artifact_is_put_together_as_in_the_original(folder: Path, made: Path) -> None:
    class Torch:
        def __reduce__(self) -> Any:
            return dict, ()

    run = tracelet.start_logging("a")
    best = (
        run.create_artifact("best", ArtifactType.MODEL, "the best one")
        .add_file(made / "a.txt")
        .add_file(str(made / "deep"), "more")
        .add_reference("s3://weights/base", size_bytes=5)
        .add_object({"layers": 12}, "config", "json")
        .add_object([1, 2], "list")
        .add_model(Torch(), "mine")
    )
    run.log_artifact(best)
    assert run.list_artifacts() == [best]
    assert run.list_artifacts(ArtifactType.DATASET) == []
    assert run.get_artifact("best") is best
    assert run.get_artifact("best", str(best.version)) is best
    assert run.get_artifact("other") is None
    tracelet.stop_logging()
    (record,) = artifacts(folder)
    assert [f["path"] for f in record["files"]] == [
        "a.txt",
        "config.json",
        "list.pickle",
        "model.pkl",
        "more/b.txt",
        "more/c.txt",
    ]
    assert json.loads(content(folder, record["files"][1])) == {"layers": 12}
    assert pickle.loads(content(folder, record["files"][2])) == [1, 2]
    assert (record["type"], record["description"], record["references"]) == (
        "model",
        "the best one",
        ["s3://weights/base"],
    )
    assert record["metadata"] == {"framework": "mine"}
    assert run.refused == {}


def test_what_cannot_be_kept_is_counted_and_the_rest_is_kept(folder: Path, made: Path) -> None:
    run = tracelet.start_logging("a", config={"artifact_file_bytes": 3})
    (made / "large").write_text("four")
    run.log_artifact(
        TraceletArtifact("some")
        .add_file(made / "a.txt")
        .add_file(made / "deep" / "b.txt", "a.txt")
        .add_file("nowhere")
        .add_file(made / "a.txt", "../out")
        .add_file(made / "a.txt", "/etc/passwd")
        .add_file(made / "large")
        .add_object(lambda: 1, "function")
        .add_object(1, "one", "xml")
        .add_reference(5)  # type: ignore[arg-type]
    )
    assert run.refused == {"artifact": 8}
    assert run.log_artifact("nowhere") == {}
    assert run.log_artifact(None) == {}  # type: ignore[arg-type]
    run.log_artifact(TraceletArtifact("x", "modle"))
    run.log_artifact(TraceletArtifact("", "model"))
    tracelet.stop_logging()
    (record,) = artifacts(folder)
    assert [f["path"] for f in record["files"]] == ["a.txt"]
    assert content(folder, record["files"][0]) == b"one"
    assert run.refused == {"artifact": 11, "name": 1}


def test_a_folder_is_never_left_by_a_link_nor_waited_for_at_a_pipe(made: Path, tmp_path: Path) -> None:
    """J6.4"""
    (tmp_path / "secret").write_text("s")
    (made / "good").symlink_to("deep/b.txt")
    (made / "out").symlink_to("../secret")
    (made / "round").symlink_to(made)
    (made / "broken").symlink_to("nowhere")
    os.mkfifo(made / "pipe")
    found, left = _files.find(str(made))
    assert [each.path for each in found] == ["a.txt", "deep/b.txt", "deep/c.txt", "good"]
    assert [path for path, _ in left] == ["broken", "out", "pipe", "round"]
    for look in (lambda: _files.find(str(made / "pipe")), lambda: _files.keep_file(str(made / "pipe"), str(made), 9)):
        with pytest.raises(_files.NotKept, match="no plain file"):
            look()


def test_a_file_that_changes_while_it_is_copied_is_kept_as_the_copy_has_it(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J6.4"""
    copy = _files._copy

    def slowly(*args: Any) -> Any:
        result = copy(*args)
        (made / "a.txt").write_text("longer")
        return result

    monkeypatch.setattr(_files, "_copy", slowly)
    blobs = made / "blobs"
    kept = _files.keep_file(str(made / "a.txt"), str(blobs), 9)
    assert kept.is_changed
    assert [(blob.name, blob.read_text()) for blob in blobs.iterdir()] == [(kept.sha256, "one")]
    (blobs / kept.sha256).write_text("")  # what a power cut may leave (J6.3)
    (made / "a.txt").write_text("one")
    monkeypatch.undo()
    assert _files.keep_file(str(made / "a.txt"), str(blobs), 9) == (kept.sha256, 3, False)
    assert (blobs / kept.sha256).read_text() == "one"


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a\\b", "a\nb", "\ud800", "x" * 4_097])
def test_a_path_that_leads_anywhere_else_is_refused(path: str) -> None:
    """J5.15"""
    assert _files.path_problem(path) is not None


@pytest.mark.parametrize("path", ["a", "a/b.bin", "..a", "ü ü/x", "x" * 4_096])
def test_a_path_inside_is_taken(path: str) -> None:
    """J5.15"""
    assert _files.path_problem(path) is None


def test_inputs_say_what_was_used_for_what(folder: Path, made: Path) -> None:
    """J5.16"""
    run = tracelet.start_logging("a")
    run.log_input("wine", "https://example.org/wine.csv", context="training", digest="v3", schema=[{"name": "hue"}])
    run.log_input(TraceletArtifact("split", ArtifactType.DATASET).add_file(made / "a.txt"), metadata={"rows": 3})
    tracelet.stop_logging()
    wine, split = artifacts(folder)
    assert (wine["type"], wine["references"]) == ("dataset", ["https://example.org/wine.csv"])
    assert wine["input"] == {"context": "training", "digest": "v3", "schema": [{"name": "hue"}]}
    assert (split["files"][0]["path"], split["metadata"], split["input"]) == ("a.txt", {"rows": 3}, {})
