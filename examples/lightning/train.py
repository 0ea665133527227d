"""A Lightning module that logs tensors. One line, marked below, records all of it with tracelet.

.venv/bin/python examples/lightning/train.py
npx tracelet show lightning-digits
"""

import argparse
import csv
import logging
import warnings
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import tracelet

DATA = Path(__file__).parent.parent / "data" / "digits.csv"


class Digits(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))

    def training_step(self, batch, _):
        pixels, digits = batch
        loss = nn.functional.cross_entropy(self.model(pixels), digits)
        self.log("train/loss", loss)  # a tensor with a gradient
        return loss

    def validation_step(self, batch, _):
        pixels, digits = batch
        scores = self.model(pixels)
        self.log("val/loss", nn.functional.cross_entropy(scores, digits))
        self.log("val/accuracy", (scores.argmax(1) == digits).float().mean(), prog_bar=True)

    def on_validation_epoch_end(self):
        if not self.trainer.sanity_checking:
            accuracy = self.trainer.callback_metrics["val/accuracy"]
            print(f"epoch {self.current_epoch + 1:2}   read right: {accuracy:.1%}", flush=True)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=3e-3)


def read_images(seed):
    with open(DATA, newline="") as file:
        rows = torch.tensor([[int(text) for text in row] for row in csv.reader(file)])
    images = TensorDataset(rows[:, :-1].float() / 16, rows[:, -1])
    return torch.utils.data.random_split(images, [1437, 360], torch.Generator().manual_seed(seed))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--name", default="lightning-digits", help="name of the run")
    options.add_argument("--epochs", type=int, default=10)
    options.add_argument("--seed", type=int, default=7)
    args = options.parse_args()

    # What Lightning would say of the machine and of data loaders is of no interest here.
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning|pytorch_lightning|torch")
    pl.seed_everything(args.seed, verbose=False)
    torch.set_num_threads(1)
    train, val = read_images(args.seed)
    model = Digits()
    trainer = pl.Trainer(
        max_epochs=args.epochs,
        accelerator="cpu",
        log_every_n_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )

    run = tracelet.start_logging(args.name, project="examples")  # <- the line

    trainer.fit(model, DataLoader(train, batch_size=32, shuffle=True), DataLoader(val, batch_size=360))
    tracelet.stop_logging()
    # A loss for each step, loss and accuracy for each epoch; Lightning adds the epoch each time.
    points = 2 * trainer.global_step + 3 * trainer.current_epoch
    print(f"run {run.id}: {points:,} points logged")


if __name__ == "__main__":
    main()
