"""Hooks into frameworks: with stand-ins for what they change, and with the real ones where they are installed."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journal_reader import only_run, primary

import tracelet

STAND_IN = """
class SummaryWriter:
    calls = []
    def add_scalar(self, tag, scalar_value, global_step=None, walltime=None, new_style=False):
        '''The original.'''
        self.calls.append((tag, scalar_value, global_step, walltime))
        if scalar_value == "raise":
            raise RuntimeError("the user's")
        return "result"
    def add_scalars(self, main_tag, tag_scalar_dict, global_step=None, walltime=None):
        self.calls.append((main_tag, tag_scalar_dict, global_step, walltime))
        return "results"
"""


@pytest.fixture
def tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `tensorboardX` that can be imported."""
    package = tmp_path / "site" / "tensorboardX"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from .writer import SummaryWriter\n")
    (package / "writer.py").write_text(STAND_IN)
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboardX"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(package.parent))
    yield package
    tracelet.stop_logging(wait=False)
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboardX"]:
        del sys.modules[name]


@pytest.mark.parametrize("imported", ["before", "after"])
def test_add_scalar_is_recorded(folder: Path, tensorboard: Path, imported: str) -> None:
    from importlib import import_module

    if imported == "before":
        import_module("tensorboardX")
    run = tracelet.start_logging("tb")
    writer_class: Any = import_module("tensorboardX").SummaryWriter
    assert writer_class.add_scalar.__doc__ == "The original."
    writer = writer_class()
    assert writer.add_scalar("loss", 0.5, 0) == "result"
    assert writer.add_scalar(tag="loss", scalar_value=0.25, global_step=7) == "result"
    writer.add_scalar("loss", 1)
    writer.add_scalar("timed", 1.0, 1, 1234.5)
    writer.add_scalar("timed", 1.0, walltime="yesterday")
    writer.add_scalar("bad", "text", 0)
    writer.add_scalar("", 1.0, 0)
    with pytest.raises(RuntimeError, match="the user's"):
        writer.add_scalar("bad", "raise", 0)
    with pytest.raises(TypeError):
        writer.add_scalar()
    tracelet.stop_logging()
    assert "wrap" not in repr(writer_class.add_scalar)
    writer.add_scalar("late", 1.0, 0)
    assert len(writer.calls) == 9
    view = primary(only_run(folder))
    assert view.points("loss") == [(0, 0.5), (7, 0.25), (8, 1.0)]
    assert view.points("timed") == [(1, 1.0), (2, 1.0)]
    assert next(e["time"] for e in view.events if e.get("name") == "timed") == 1234.5
    assert len(view.points()) == 5
    assert run.refused == {"value": 2, "name": 2, "time": 1}


def test_add_scalars_are_series_of_one_name(folder: Path, tensorboard: Path) -> None:
    """A series for each key, told apart by the context; whatever is given reaches the user's writer as it is."""
    from importlib import import_module

    run = tracelet.start_logging("tb")
    writer: Any = import_module("tensorboardX").SummaryWriter()
    assert writer.add_scalars("loss", {"train": 0.5, "val": 1}, 0) == "results"
    writer.add_scalars(main_tag="loss", tag_scalar_dict={"train": 0.25}, global_step=7)
    writer.add_scalars("loss", {"train": 0.125, 3: 2.0, "bad": "text"})
    writer.add_scalars("loss", {"train": 0.0}, 9, 1234.5)
    writer.add_scalars("loss", {"train": -1.0}, 10, "yesterday")
    writer.add_scalars("loss", "no dictionary", 0)
    writer.add_scalars("", {"a": 1.0}, 0)
    writer.add_scalars("loss", {"x" * 5000: 1.0}, 0, 1.0)
    tracelet.stop_logging()
    writer.add_scalars("late", {"a": 1.0}, 0)
    assert len(writer.calls) == 9
    events = [e for e in primary(only_run(folder)).events if e["kind"] == "point"]
    assert [(e["name"], e["context"], e["step"], e["value"]) for e in events] == [
        ("loss", {"tag": "train"}, 0, 0.5),
        ("loss", {"tag": "val"}, 0, 1.0),
        ("loss", {"tag": "train"}, 7, 0.25),
        ("loss", {"tag": "train"}, 8, 0.125),
        ("loss", {"tag": "3"}, 0, 2.0),
        ("loss", {"tag": "train"}, 9, 0.0),
        ("loss", {"tag": "train"}, 10, -1.0),
    ]
    assert events[5]["time"] == 1234.5
    assert run.refused == {"value": 2, "name": 1, "time": 1, "context": 1}


def test_nothing_is_changed_when_it_is_switched_off(tensorboard: Path) -> None:
    from importlib import import_module

    tracelet.start_logging("off", config={"track_tensorboard": False})
    original = import_module("tensorboardX").SummaryWriter.add_scalar
    assert original.__code__.co_filename == str(tensorboard / "writer.py")


def test_hooks_are_taken_out(tensorboard: Path) -> None:
    from importlib import import_module

    finders = list(sys.meta_path)
    original = import_module("tensorboardX").SummaryWriter.add_scalar
    tracelet.start_logging("one")
    tracelet.start_logging("two")
    assert import_module("tensorboardX").SummaryWriter.add_scalar is not original
    assert len(sys.meta_path) == len(finders) + 1
    tracelet.stop_logging()
    assert import_module("tensorboardX").SummaryWriter.add_scalar is original
    assert sys.meta_path == finders


def test_what_replaced_ours_stays(tensorboard: Path) -> None:
    from importlib import import_module

    tracelet.start_logging("one")
    owner = import_module("tensorboardX").SummaryWriter
    owner.add_scalar = mine = lambda *args: None
    tracelet.stop_logging()
    assert owner.add_scalar is mine


def test_media_are_recorded_once_and_the_call_goes_on(folder: Path, tensorboard: Path) -> None:
    from importlib import import_module

    with (tensorboard / "writer.py").open("a") as source:
        source.write(
            """
    def add_image(self, tag, img_tensor, global_step=None, walltime=None, dataformats="CHW"):
        self.calls.append((tag, "image"))
        return "image"
    def add_figure(self, tag, figure, global_step=None, close=True, walltime=None):
        return self.add_image(tag, figure, global_step, walltime)
    def add_hparams(self, hparam_dict, metric_dict):
        for name, value in metric_dict.items():
            self.add_scalar(name, value)
"""
        )

    class Drawn:
        def savefig(self, out: Any, format: str) -> None:
            out.write(b"\x89PNG\r\n\x1a\n")

    run = tracelet.start_logging("tb")
    writer = import_module("tensorboardX").SummaryWriter()
    assert writer.add_image("image", [[[1]], [[2]], [[3]]], 4, 1234.5) == "image"
    assert writer.add_figure("figure", Drawn(), 5) == "image"
    writer.add_image("bad", "nothing")
    writer.add_hparams({"lr": 0.1}, {"hparam/acc": 0.5})
    with pytest.raises(TypeError):
        writer.add_image()
    tracelet.stop_logging()
    view = primary(only_run(folder))
    media = [event["payload"] for event in view.events if event["kind"] == "media"]
    assert [(m["name"], m["kind"], m["step"]) for m in media] == [("image", "image", 4), ("figure", "figure", 5)]
    assert media[0]["time"] == 1234.5
    assert view.points("hparam/acc") == [(0, 0.5)]
    assert next(e["payload"]["params"] for e in view.events if e["kind"] == "params") == {"lr": 0.1}
    assert run.refused == {"media": 2}


@pytest.mark.torch
@pytest.mark.parametrize("package", ["torch.utils.tensorboard", "tensorboardX"])
def test_real_summary_writers_are_given_media(folder: Path, script: Any, package: str) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")
    done = script.run(
        f"""
import tracelet
run = tracelet.start_logging("tb")
import torch, numpy
from {package} import SummaryWriter
with SummaryWriter("tb") as writer:
    writer.add_image("image", torch.full((3, 2, 2), 0.5), 1)
    writer.add_image("image", numpy.zeros((2, 2), "uint8"), 2, dataformats="HW")
    writer.add_images("images", torch.zeros(9, 1, 2, 2), 1)
    writer.add_histogram("histogram", torch.randn(1000), 1)
    writer.add_histogram_raw("raw", 0.0, 2.0, 3, 3.0, 3.0, [1.0, 2.0], [1, 2], 1)
    try:
        writer.add_audio("audio", torch.zeros(1, 100), 1, 8000)
    except ImportError:
        pass  # tensorboardX needs a package for it; here it is recorded all the same
    writer.add_embedding(torch.eye(3), metadata=["a", "b", "c"], tag="embedding", global_step=1)
    writer.add_mesh("mesh", vertices=torch.zeros(1, 3, 3), global_step=1)
    writer.add_pr_curve("pr", torch.tensor([1, 0]), torch.tensor([0.9, 0.1]), 1)
    writer.add_text("text", "hello", 1)
    writer.add_hparams({{"lr": 0.1}}, {{"hparam/acc": 0.5}})
run.log_image("grad", torch.rand(1, 4, 4, requires_grad=True))
run.log_histogram("layer", torch.nn.Linear(4, 2).bfloat16().weight)
run.log_artifact(run.create_artifact("model", "model").add_model(torch.nn.Linear(4, 2)))
assert run.refused == {{}}, run.refused
"""
    )
    assert done.returncode == 0, done.stderr
    view = primary(only_run(folder))
    media = [event["payload"] for event in view.events if event["kind"] == "media"]
    assert [(m["name"], m["kind"]) for m in media] == [
        ("image", "image"),
        ("image", "image"),
        ("images", "image"),
        ("histogram", "histogram"),
        ("raw", "histogram"),
        ("audio", "audio"),
        ("embedding", "embedding"),
        ("mesh", "mesh"),
        ("pr", "pr_curve"),
        ("grad", "image"),
        ("layer", "histogram"),
    ]
    assert sum(media[3]["counts"]) == 1000
    assert media[4]["edges"] == [0, 1, 2]
    assert view.points("hparam/acc") == [(0, 0.5)]
    (artifact,) = (event["payload"] for event in view.events if event["kind"] == "artifact")
    assert [file["path"] for file in artifact["files"]] == ["model.pt"]
    assert artifact["metadata"] == {"framework": "pytorch"}


@pytest.mark.torch
@pytest.mark.parametrize("package", ["torch.utils.tensorboard", "tensorboardX"])
def test_real_summary_writers(folder: Path, script: Any, package: str) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")
    done = script.run(
        f"""
import tracelet
run = tracelet.start_logging("tb")
import torch
from {package} import SummaryWriter
with SummaryWriter("tb") as writer:
    for step in range(100):
        writer.add_scalar("loss", torch.tensor(1.0 / (step + 1)), step)
        writer.add_scalar("acc", step / 100, step, walltime=1000.0 + step)
        writer.add_scalars("both", {{"train": step / 8, "val": torch.tensor(step / 4)}}, step)
assert run.refused == {{}}, run.refused
"""
    )
    assert done.returncode == 0, done.stderr
    view = primary(only_run(folder))
    assert [step for step, _ in view.points("loss")] == list(range(100))
    assert view.points("acc") == [(step, step / 100) for step in range(100)]
    for tag, divisor in (("train", 8), ("val", 4)):
        points = [e for e in view.events if e.get("name") == "both" and e["context"] == {"tag": tag}]
        assert [(e["step"], e["value"]) for e in points] == [(step, step / divisor) for step in range(100)]
    assert len(view.points()) == 400
    assert [e["time"] for e in view.events if e.get("name") == "acc"] == [1000.0 + step for step in range(100)]


LIGHTNING = """
import logging, sys, tracelet, torch, warnings
warnings.simplefilter("ignore")
ORDER
class Model(L.LightningModule):
    def __init__(self, lr=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(4, 1)
    def training_step(self, batch, index):
        loss = self.layer(batch[0]).square().mean()
        self.log("train_loss", loss)
        self.log("index", float(self.global_step))
        return loss
    def validation_step(self, batch, index):
        self.log("val_loss", self.layer(batch[0]).square().mean())
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.hparams.lr)
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(32, 4)), batch_size=4)
trainer.fit(Model(), data, data)
for logger in trainer.loggers:
    print(type(logger).__name__)
for callback in trainer.checkpoint_callbacks:
    print(callback.dirpath)
assert run.refused == {}, run.refused
tracelet.stop_logging()
"""
OPTIONS = "max_epochs=2, log_every_n_steps=1, enable_progress_bar=False, enable_model_summary=False, accelerator='cpu'"


@pytest.mark.torch
@pytest.mark.parametrize("package", ["lightning.pytorch", "pytorch_lightning"])
@pytest.mark.parametrize("loggers", ["False", "None", "tb"])
@pytest.mark.parametrize("order", ["run first", "trainer first"])
def test_lightning(folder: Path, script: Any, package: str, loggers: str, order: str) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")
    given = f"{package.split('.')[0]}_loggers" if loggers == "tb" else loggers
    make = f"import {package} as L\n"
    if loggers == "tb":
        make += f"from {package}.loggers import TensorBoardLogger\n{given} = TensorBoardLogger('tb')\n"
    make += f"trainer = L.Trainer(logger={given}, default_root_dir='root', {OPTIONS})\n"
    start = "run = tracelet.start_logging('lightning')\n"
    done = script.run(LIGHTNING.replace("ORDER", start + make if order == "run first" else make + start))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split()
    view = primary(only_run(folder))
    assert view.points("index") == [(step, float(step)) for step in range(16)]
    losses = view.points("train_loss")
    assert [step for step, _ in losses] == list(range(16))
    assert all(math.isfinite(value) for _, value in losses)
    assert [step for step, _ in view.points("val_loss")] == [7, 15]
    assert {"lr": 0.1} in [p["params"] for p in view.payloads("params")]
    assert lines.count("TraceletLogger") == 1
    if loggers == "False":
        assert lines[-1] == "root/checkpoints"  # where it is without any logger
