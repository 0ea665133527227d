"""The ranks of a job share one run (design: "Ranks"), started by small launchers of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from journal_reader import read_run

import tracelet
import tracelet._ranks
from tracelet._ranks import rank

# Starts four processes that record, two runs each, in a job whose variables are given; collects all of them.
LAUNCHER = """
import os, subprocess, sys
source = '''
import os, tracelet
for name in ("first", "second"):
    run = tracelet.start_logging(name)
    for step in range(50):
        run.log_metric("loss", float(step), step)
    run.log({"val": 1.0}, 0, {"subset": "val"})
    tracelet.stop_logging()
    print(run.id)
'''
ranks = []
for number in range(4):
    given = {key: value.replace("%", str(number)) for key, value in (a.split("=", 1) for a in sys.argv[1:])}
    ranks.append(subprocess.Popen([sys.executable, "-c", source], env={**os.environ, **given}, stdout=subprocess.PIPE))
for each in ranks:
    out, _ = each.communicate(timeout=60)
    assert each.returncode == 0
    print(out.decode().replace(chr(10), " "))
"""

LOCAL = ["WORLD_SIZE=4", "RANK=%", "LOCAL_RANK=%"]
JOBS = {
    "torchrun": [*LOCAL, "LOCAL_WORLD_SIZE=4", "MASTER_ADDR=127.0.0.1", "TORCHELASTIC_RUN_ID=none"],
    "torchrun with an id": [*LOCAL, "LOCAL_WORLD_SIZE=4", "TORCHELASTIC_RUN_ID=42"],
    "by hand": LOCAL,
    "LOCAL_RANK alone": ["WORLD_SIZE=4", "LOCAL_RANK=%"],
    "hosts with an elastic id": ["WORLD_SIZE=4", "RANK=%", "LOCAL_WORLD_SIZE=2", "TORCHELASTIC_RUN_ID=job-7"],
    "SLURM": ["SLURM_JOB_ID=9", "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=4", "SLURM_PROCID=%"],
    "an id of the user's": ["WORLD_SIZE=4", "RANK=%", "LOCAL_WORLD_SIZE=1", "TRACELET_RUN_ID=my_run-1"],
}


def launch(*variables: str) -> list[list[str]]:
    """Returns the ids of the two runs of each rank."""
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *variables], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "tracelet" not in done.stderr
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.parametrize("job", JOBS)
def test_four_ranks_share_a_run(folder: Path, job: str) -> None:
    ids = launch(*JOBS[job], "TRACELET_STOP_WAIT=never")
    assert len(ids) == 4
    assert ids == [ids[0]] * 4
    assert ids[0][0] != ids[0][1]  # the n-th run of one rank is the n-th of the others
    if job == "an id of the user's":
        assert ids[0] == ["my_run-1", "my_run-1-2"]
    assert {path.name for path in (folder / "runs").iterdir()} == set(ids[0])
    for run in (folder / "runs").iterdir():
        views = read_run(run)
        assert len(views) == 4
        assert sorted(view.payloads("runStarted")[0]["rank"] for view in views.values()) == [0, 1, 2, 3]
        for view in views.values():
            assert view.role == "primary"
            number = view.payloads("runStarted")[0]["rank"]
            assert view.points("loss") == [(step, float(step)) for step in range(50)]
            contexts = {(e["name"], tuple(sorted(e["context"].items()))) for e in view.events if e["kind"] == "point"}
            assert contexts == {
                ("loss", (("rank", number),)),
                ("val", (("rank", number), ("subset", "val"))),
            }
            assert view.payloads("runFinished")[0]["status"] == "finished"


@pytest.mark.parametrize("job", ["torchrun", "torchrun with an id", "by hand"])
def test_another_launch_is_another_run(folder: Path, job: str) -> None:
    """Also with an elastic id that somebody uses every day, where all ranks are on this host."""
    assert launch(*JOBS[job])[0] != launch(*JOBS[job])[0]


# Records, starts three ranks in the middle of it, and once more when its run is over.
RANK_0 = """
import os, subprocess, sys, tracelet
def launch():
    ranks = []
    for number in range(1, 4):
        given = {**os.environ, "WORLD_SIZE": "4", "LOCAL_RANK": str(number)}
        source = (
            "import tracelet; run = tracelet.start_logging('again'); run.log_metric('loss', 0.5, 1); print(run.id);"
            "tracelet.stop_logging(); print(tracelet.start_logging('next').id); tracelet.stop_logging()"
        )
        command = [*sys.argv[1:], sys.executable, "-c", source]
        ranks.append(subprocess.Popen(command, env=given, stdout=subprocess.PIPE))
    for each in ranks:
        print(each.communicate(timeout=60)[0].decode().replace("\\n", " "))
run = tracelet.start_logging("launcher")
run.log_metric("loss", 0.5, 0)
print(run.id)
launch()
tracelet.stop_logging()
launch()
"""


def test_ranks_join_the_run_of_the_process_that_starts_them(folder: Path, script: Any) -> None:
    """As Lightning's `ddp` does it: rank 0 records before anybody knows that there are ranks."""
    done = script.run(RANK_0, TRACELET_STOP_WAIT="never")
    assert done.returncode == 0, done.stderr
    first, *ranks = (line.split() for line in done.stdout.splitlines())
    while_it_ran, after = ranks[:3], ranks[3:]
    assert [ids[0] for ids in while_it_ran] == first * 3
    assert len({ids[0] for ids in after}) == 1
    assert after[0][0] != first[0]
    for three in (while_it_ran, after):  # what they record next is theirs, and one run as well
        assert len({ids[1] for ids in three}) == 1
        assert three[0][1] != first[0]
    views = read_run(folder / "runs" / first[0])
    starts = [view.payloads("runStarted")[0] for view in views.values()]
    assert sorted(start.get("rank", 0) for start in starts) == [0, 1, 2, 3]
    assert all(len(view.points("loss")) == 1 for view in views.values())


def test_a_process_between_does_not_let_ranks_join(folder: Path, script: Any) -> None:
    """A job that a recorded program starts by a launcher of its own is another one."""
    # `sh` waits for what it starts where something follows it.
    done = script.run(
        RANK_0.replace("[*sys.argv[1:], ", "['sh', '-c', '\"$@\"; exit', 'sh', "), TRACELET_STOP_WAIT="never"
    )
    assert done.returncode == 0, done.stderr
    first, *ranks = (line.split() for line in done.stdout.splitlines())
    assert first[0] not in {run for ids in ranks for run in ids}


DDP = """
import tracelet, torch, warnings, lightning.pytorch as L
warnings.simplefilter("ignore")
class Model(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
    def training_step(self, batch, index):
        loss = self.layer(batch[0]).square().mean()
        self.log("loss", loss)
        tracelet.get_active_experiment().log_metric("seen", float(self.global_rank), index)
        return loss
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)
run = tracelet.start_logging("ddp")
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(32, 4)), batch_size=4)
L.Trainer(
    max_epochs=1, log_every_n_steps=1, enable_progress_bar=False, enable_model_summary=False, logger=False,
    enable_checkpointing=False, accelerator="cpu", devices=2, strategy="ddp",
).fit(Model(), data)
tracelet.stop_logging()
"""


@pytest.mark.torch
def test_lightning_ddp_is_one_run(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("lightning.pytorch", reason="lightning is not installed")
    path = tmp_path / "train.py"  # a file, since rank 0 starts the other ranks by its own command line
    path.write_text(DDP)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    (run,) = (folder / "runs").iterdir()
    views = list(read_run(run).values())
    assert len(views) == 2
    by_rank = {view.payloads("runStarted")[0].get("rank", 0): view for view in views}
    for number, view in by_rank.items():
        assert view.points("seen") == [(step, float(number)) for step in range(4)]
        assert view.payloads("runFinished")[0]["status"] == "finished"
    # Lightning reduces it, and logs it on rank 0.
    assert len(by_rank[0].points("loss")) == 4
    assert by_rank[1].points("loss") == []


def test_several_hosts_without_a_name_are_warned(script: Any) -> None:
    source = "import tracelet\nfor n in range(2): tracelet.start_logging('x')"
    hosts = {"WORLD_SIZE": "8", "RANK": "3", "LOCAL_WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "none"}
    done = script.run(source, **hosts)
    assert done.stderr.count("set TRACELET_RUN_ID to one text for all of its ranks") == 1
    assert script.run(source, **{**hosts, "LOCAL_WORLD_SIZE": "", "MASTER_ADDR": "10.0.0.1"}).stderr != ""
    assert script.run(source, **{**hosts, "TRACELET_RUN_ID": "x"}).stderr == ""


@pytest.mark.parametrize("name", ["a b", "-a", "x" * 65, "../up"])
def test_an_id_that_cannot_be_a_name_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    monkeypatch.setattr(tracelet._ranks, "_is_warned", False)
    monkeypatch.setattr(tracelet._ranks, "_ordinal", 0)
    monkeypatch.setenv("TRACELET_RUN_ID", name)
    run = tracelet.Experiment("x")
    assert len(run.id) == 32
    assert "was passed over" in caplog.records[0].getMessage()


ENVIRONMENTS: list[tuple[dict[str, str], int | None]] = [
    ({}, None),
    ({"WORLD_SIZE": "1", "RANK": "0"}, None),
    ({"WORLD_SIZE": "2", "RANK": "1"}, 1),
    ({"WORLD_SIZE": "2"}, None),
    ({"WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost"}, 1),
    ({"WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "10.0.0.1"}, None),
    ({"WORLD_SIZE": "x", "RANK": "1"}, None),
    ({"WORLD_SIZE": "2", "RANK": "-1"}, None),
    # A batch script is one process, however many tasks its steps will have.
    ({"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, None),
    ({"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2"}, 2),
    ({"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, None),
]


@pytest.mark.parametrize(("environment", "expected"), ENVIRONMENTS)
def test_rank(environment: dict[str, str], expected: int | None) -> None:
    assert rank(environment) == expected


def test_one_process_has_a_run_of_its_own(folder: Path) -> None:
    one, other = tracelet.Experiment("a"), tracelet.Experiment("a")
    assert one.id != other.id
    assert os.environ.get("TRACELET_RUN_ID") is None
