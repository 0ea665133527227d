"""What a run looks like on the disk, line by line of docs/spec/journal.md."""

from __future__ import annotations

import json
import os
import re
import stat
import struct
from pathlib import Path

import journal_reader
import pytest
from journal_reader import Header, WriterView, good_record, only_run, primary

import tracelet
from tracelet._format import encode_header, encode_record
from tracelet._segment import segment_bytes


def segments(run: Path) -> list[Path]:
    return sorted((run / "journal").glob("*.tlj"), key=lambda path: int(path.name.split(".")[1]))


def records(path: Path) -> list[tuple[int, int, bytes]]:
    """File offset, kind and payload of every record of a segment."""
    data = path.read_bytes()
    header = Header(data, path.parents[1].name, path.name.split(".")[0])
    found, at = [], header.length
    while (record := good_record(data, at, header)) is not None:
        found.append((at, record[1], record[2]))
        at += (8 + record[0] + 7) // 8 * 8
    return found


def test_layout_and_modes(folder: Path) -> None:
    """J1.1, J1.4, J8.2: names, modes, the .gitignore, an empty lock file."""
    run = tracelet.start_logging("layout")
    run.log({"loss": 0.5}, step=0)
    tracelet.stop_logging()
    assert (folder / ".gitignore").read_text() == "*\n"
    (path,) = (folder / "runs").iterdir()
    assert path.name == run.id
    assert re.fullmatch("[0-9a-f]{32}", run.id)
    (segment,) = segments(path)
    assert re.fullmatch(r"[0-9a-f]{16}\.0\.tlj", segment.name)
    lock = segment.with_name(segment.name.replace(".0.tlj", ".lock"))
    assert lock.stat().st_size == 0
    assert not list(folder.rglob("*.tmp"))
    for entry in [folder, *folder.rglob("*")]:
        assert stat.S_IMODE(entry.stat().st_mode) == (0o700 if entry.is_dir() else 0o600), entry


def test_a_folder_of_the_users_own_is_not_hidden_from_git(folder: Path) -> None:
    """J1.4"""
    folder.mkdir()
    (folder / "notes.py").write_text("1")
    tracelet.start_logging("here")
    tracelet.stop_logging()
    assert (folder / "runs").exists()
    assert not (folder / ".gitignore").exists()


def test_header(folder: Path) -> None:
    """J2.1, J2.2, J2.4: the first segment of a primary writer; behind its records lies nothing but zeros."""
    run = tracelet.start_logging("header")
    run.log_metric("loss", 0.5, 0)
    (segment,) = segments(only_run(folder))
    data = segment.read_bytes()
    assert len(data) == (64 << 10) + 4096  # J2.8
    header = Header(data, run.id, segment.name.split(".")[0])
    assert (header.role, header.offset, header.number) == ("primary", 0, 0)
    assert header.identity.keys() == {"run", "writer", "host", "boot", "pid"}
    assert header.identity["host"] == os.uname().nodename
    boot = Path("/proc/sys/kernel/random/boot_id")
    assert header.identity["boot"] == (boot.read_text().strip() if boot.exists() else "")
    assert header.identity["pid"] == os.getpid()
    end = header.length + run.position
    assert data[end - 40 : end].strip(b"\0")  # the point
    assert data[end:] == bytes(len(data) - end)


def test_a_header_of_any_host_name_is_a_multiple_of_8(folder: Path) -> None:
    for length in range(1, 40):
        header = encode_header(1, 7, 0, 1.5, 0, b'{"host":"%s"}' % (b"h" * length))
        assert len(header) % 8 == 0
        assert struct.unpack_from("<I", header, 12)[0] == len(header)
    with pytest.raises(ValueError, match="does not fit"):
        encode_header(1, 7, 0, 1.5, 0, b"x" * 4033)


def test_checksum_is_seeded_with_both_halves_of_the_position() -> None:
    """J3.2, J3.3 beyond 4 GiB."""
    import zlib

    record = encode_record(1, b"payload", 0x5EED, (3 << 32) + 8)
    assert struct.unpack_from("<I", record, 4)[0] == zlib.crc32(b"\1\0\0\0payload", 0x5EED ^ 8 ^ 3)


def test_first_record_is_run_started(folder: Path) -> None:
    """J5.5, and no secret in it."""
    tracelet.start_logging(
        "first",
        project="digits",
        backend="local,wandb,mine",
        api_key="geheim-1",
        backend_url="http://u:geheim-2@host/",
        config={
            "wandb": {"token": "geheim-3", "uri": "http://me:geheim-4@h/p", "deep": {"password": "geheim-5", "n": 1}}
        },
    )
    path = segments(only_run(folder))[0]
    _, kind, payload = records(path)[0]
    started = json.loads(payload)
    assert kind == 16
    assert started["run"]["project"] == "digits"
    assert [backend["name"] for backend in started["backends"]] == ["local", "wandb", "mine"]
    assert started["backends"][1]["config"] == {"uri": "http://h/p", "deep": {"n": 1}}
    assert started["client"]["language"] == "python"
    tracelet.stop_logging()
    for file in folder.rglob("*"):
        assert not file.is_file() or b"geheim" not in file.read_bytes()


def test_a_run_without_names(folder: Path) -> None:
    """J5.5: default names."""
    run = tracelet.start_logging()
    assert (run.name, run.project) == (f"run-{run.id[:8]}", "default")


def test_every_segment_can_be_read_by_itself(folder: Path) -> None:
    """J2.5, J2.6, J2.8, J2.9, J3.1, J3.2, J5.1, J5.3, J5.4: points, series and continued records over segments."""
    run = tracelet.start_logging("long")
    for step in range(8000):
        run.log_metric("a", float(step), step)
        if step % 3 == 0:
            run.log({"b": float(step)}, step, {"subset": "val"})
    tracelet.stop_logging()
    files = segments(only_run(folder))
    assert len(files) >= 3
    ended = 0
    for number, path in enumerate(files):
        data = path.read_bytes()
        assert segment_bytes(number, 0) == (64 << 10) << number
        header = Header(data, run.id, path.name.split(".")[0])
        found = records(path)
        assert header.number == number
        assert header.offset == ended
        if number:
            assert found[0][1] == 4
            assert struct.unpack("<Q", found[0][2])[0] == ended
        declared = set()
        for at, kind, payload in found:
            assert at % 8 == 0  # J3.1
            if kind == 3:
                declared.add(json.loads(payload)["series"])
            if kind == 1:
                assert len(payload) == 28
                assert struct.unpack_from("<I", payload)[0] in declared
        last, _, payload = found[-1]
        end = last + (8 + 4 + len(payload) + 7) // 8 * 8
        ended = header.offset + end - header.length
        assert len(data) == (end if path is files[-1] else segment_bytes(number, 0))  # J2.9
    view = primary(only_run(folder))
    assert view.points("a") == [(step, float(step)) for step in range(8000)]
    assert [event["context"] for event in view.events if event.get("name") == "b"] == [{"subset": "val"}] * 2667
    assert (view.gap_bytes, view.unknown, view.damaged) == (0, 0, 0)


def test_segments_grow_up_to_8_mib() -> None:
    """J2.8"""
    assert [segment_bytes(n, 0) >> 10 for n in range(10)] == [64, 128, 256, 512, 1024, 2048, 4096, 8192, 8192, 8192]
    assert segment_bytes(0, 70_000) == 73_728


def test_one_large_record_makes_the_first_segment_longer(folder: Path) -> None:
    """J2.8, J3.1: a record lies in one segment."""
    run = tracelet.start_logging("large", config={"tags": {f"tag-{n}": "x" * 1000 for n in range(60)}})
    run.log_text("note", "y" * 65_000)
    tracelet.stop_logging()
    view = primary(only_run(folder))
    assert len(view.payloads("runStarted")[0]["run"]["tags"]) == 60
    assert view.payloads("text")[0]["text"] == "y" * 65_000
    assert view.gap_bytes == 0


@pytest.mark.parametrize("characters", [65_000, 65_536, 200_000])
def test_spills_what_does_not_fit_a_record(folder: Path, characters: int) -> None:
    """J6.1, J6.2"""
    run = tracelet.start_logging("spill")
    run.log_params({"long": "ä" * characters})
    tracelet.stop_logging()
    path = only_run(folder)
    (blob,) = (path / "blobs").iterdir()
    assert re.fullmatch("[0-9a-f]{64}", blob.name)
    assert primary(path).payloads("params")[0]["params"] == {"long": "ä" * characters}


def test_refuses_a_payload_of_more_than_64_mib(folder: Path) -> None:
    """J6.1"""
    run = tracelet.start_logging("huge")
    run.log_text("note", "x" * (64 << 20))
    assert run.refused == {"size": 1}
    run.log_text("note", "still here")
    tracelet.stop_logging()
    assert [text["text"] for text in primary(only_run(folder)).payloads("text")] == ["still here"]


def test_params_tags_texts_and_the_end(folder: Path) -> None:
    """J5.6, J5.8 to J5.10"""
    run = tracelet.start_logging("all", config={"tags": ["demo"]})
    run.log_params({"lr": 0.1, "net": {"layers": [64, 32]}})
    run.log_hyperparameter("lr", 0.2)
    run.set_tags({"team": "vision"})
    run.set_tags(["late"])
    run.log_text("note", "eins")
    run.log_text("note", "zwei")
    run.log_text("note", "drei", step=7, context={"subset": "val"})
    assert run.tags == {"demo": "", "team": "vision", "late": ""}
    tracelet.stop_logging()
    view = primary(only_run(folder))
    assert [p["params"] for p in view.payloads("params")] == [{"lr": 0.1, "net": {"layers": [64, 32]}}, {"lr": 0.2}]
    assert [p["tags"] for p in view.payloads("tags")] == [{"team": "vision"}, {"late": ""}]
    texts = [(p["step"], p["text"], p["context"]) for p in view.payloads("text")]
    assert texts == [(0, "eins", {}), (1, "zwei", {}), (7, "drei", {"subset": "val"})]
    assert view.events[-1]["payload"]["status"] == "finished"


def test_default_steps(folder: Path) -> None:
    """J5.20: one more than the greatest of the series, from 0; the run's iteration comes first."""
    run = tracelet.start_logging("steps")
    assert run.iteration == 0
    for step in (None, None, 10, 3, None, -5, None):
        run.log_metric("loss", 1.0, step)
    run.log_metric("negative", 1.0, -5)
    run.log_metric("negative", 1.0)
    run.set_iteration(100)
    assert run.iteration == 100
    run.log_metric("loss", 1.0)
    run.log({"acc": 1.0})
    run.log_metric("acc", 1.0, 0)
    tracelet.stop_logging()
    view = primary(only_run(folder))
    assert [step for step, _ in view.points("loss")] == [0, 1, 10, 3, 11, -5, 12, 100]
    assert [step for step, _ in view.points("negative")] == [-5, -4]
    assert [step for step, _ in view.points("acc")] == [100, 0]


def test_rank_is_in_every_context(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """J5.5: only when there are several."""
    monkeypatch.setenv("RANK", "3")
    with tracelet.start_logging("alone") as run:
        run.log_metric("loss", 1.0, 0)
    assert primary(folder / "runs" / run.id).events[1]["context"] == {}
    monkeypatch.setenv("WORLD_SIZE", "4")
    with tracelet.start_logging("several") as run:
        run.log_metric("loss", 1.0, 0)
        run.log({"loss": 1.0}, 0, {"subset": "val"})
    view = primary(folder / "runs" / run.id)
    assert view.payloads("runStarted")[0]["rank"] == 3
    assert [e["context"] for e in view.events if e["kind"] == "point"] == [{"rank": 3}, {"rank": 3, "subset": "val"}]


def test_contexts_are_one_when_their_sorted_json_is(folder: Path) -> None:
    """J5.23"""
    run = tracelet.start_logging("contexts")
    run.log({"a": 1.0}, context={"x": 1, "y": True})
    run.log({"a": 2.0}, context={"y": True, "x": 1.0})
    tracelet.stop_logging()
    kinds = [kind for _, kind, _ in records(segments(only_run(folder))[0])]
    assert kinds.count(3) == 1
    assert [step for step, _ in primary(only_run(folder)).points("a")] == [0, 1]


def test_the_appending_writer_writes_the_same_records(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """J9.2, J2.8: one write a record, into a file that is as long as what is in it."""
    monkeypatch.setenv("TRACELET_WRITER", "write")
    run = tracelet.start_logging("append")
    for step in range(500):
        run.log_metric("loss", float(step), step)
    (segment,) = segments(only_run(folder))
    header = Header(segment.read_bytes(), run.id, segment.name.split(".")[0])
    assert segment.stat().st_size == header.length + run.position
    assert run.flush()
    tracelet.stop_logging()
    view: WriterView = primary(only_run(folder))
    assert view.points() == [(step, float(step)) for step in range(500)]
    assert view.gap_bytes == 0


def test_an_appended_segment_stays_within_8_mib(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """J2.8"""
    monkeypatch.setenv("TRACELET_WRITER", "write")
    run = tracelet.start_logging("append")
    for _ in range(140):
        run.log_text("note", "x" * 65_000)
    tracelet.stop_logging()
    files = segments(only_run(folder))
    assert len(files) == 2
    assert files[0].stat().st_size <= 8 << 20
    assert len(primary(only_run(folder)).payloads("text")) == 140


def test_flush_before_and_after(folder: Path) -> None:
    """J9.1: flush syncs and says so."""
    run = tracelet.start_logging("flush")
    for step in range(3000):
        run.log_metric("loss", 0.5, step)
    assert run.flush()
    assert run.flush()
    tracelet.stop_logging()


def test_a_second_run_stops_the_first(folder: Path) -> None:
    first = tracelet.start_logging("one")
    second = tracelet.start_logging("two")
    assert not first.is_running
    assert tracelet.get_active_experiment() is second
    first.log_metric("late", 1.0)
    assert first.refused == {"inactive": 1}
    tracelet.stop_logging()
    assert tracelet.get_active_experiment() is None
    tracelet.stop_logging()
    views = [primary(path) for path in (folder / "runs").iterdir()]
    assert [view.payloads("runFinished")[0]["status"] for view in views] == ["finished", "finished"]


def test_reader_of_the_tests_knows_nothing_of_tracelet() -> None:
    assert "tracelet" not in vars(journal_reader)
