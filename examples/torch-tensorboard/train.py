"""A PyTorch loop that logs to TensorBoard. One line, marked below, records all of it with tracelet.

.venv/bin/python examples/torch-tensorboard/train.py
npx tracelet show torch-digits
"""

import argparse
import csv
import tempfile
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.tensorboard import SummaryWriter

import tracelet

DATA = Path(__file__).parent.parent / "data" / "digits.csv"


def read_images(seed):
    with open(DATA, newline="") as file:
        rows = torch.tensor([[int(text) for text in row] for row in csv.reader(file)])
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
    images = TensorDataset(rows[:, :-1].float().view(-1, 1, 8, 8) / 16, rows[:, -1])
    return torch.utils.data.random_split(images, [1437, 360], torch.Generator().manual_seed(seed))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--name", default="torch-digits", help="name of the run")
    options.add_argument("--epochs", type=int, default=10)
    options.add_argument("--seed", type=int, default=7)
    args = options.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    train, val = read_images(args.seed)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(256, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)

    run = tracelet.start_logging(args.name, project="examples")  # <- the line

    # Where TensorBoard keeps its own files is of no interest here.
    with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:
        step = points = 0
        for epoch in range(args.epochs):
            model.train()
            for pixels, digits in DataLoader(train, batch_size=32, shuffle=True):
                loss = nn.functional.cross_entropy(model(pixels), digits)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                writer.add_scalar("train/loss", loss, step)
                step, points = step + 1, points + 1
            schedule.step()

            model.eval()
            with torch.no_grad():
                pixels, digits = val.dataset[val.indices]
                scores = model(pixels)
                loss, accuracy = (
                    nn.functional.cross_entropy(scores, digits),
                    (scores.argmax(1) == digits).float().mean(),
                )
            writer.add_scalar("val/loss", loss, epoch)
            writer.add_scalar("val/accuracy", accuracy, epoch)
            writer.add_scalar("lr", schedule.get_last_lr()[0], epoch)
            points += 3
            print(f"epoch {epoch + 1:2} of {args.epochs}   loss {loss:.3f}   read right: {accuracy:.1%}", flush=True)

    tracelet.stop_logging()
    print(f"run {run.id}: {points:,} points logged")


if __name__ == "__main__":
    main()
