#!/usr/bin/env python3
"""Recomputes in PyTorch what the worker computed; fails where a value differs by more than 1e-5.

usage: torch_reference.py FOLDER...

Each folder is an exported model (load_model.py and its files) with, beside it, job.json, the
examples file, the worker's logits and block gradients, and the weights it trained.
"""

import importlib.util
import json
import struct
import sys
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

TOLERANCE = 1e-5


def module_of(folder):
    spec = importlib.util.spec_from_file_location("load_model", folder / "load_model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def examples_of(folder, job):
    shape, size = job["shape"], 20 + torch.Size(job["shape"]).numel()
    data = (folder / "examples").read_bytes()
    rows, labels = [], []
    for at in range(0, len(data), size):
        labels.append(struct.unpack(">I", data[at + 16 : at + 20])[0])
        rows.append(torch.tensor(list(data[at + 20 : at + size]), dtype=torch.float64))
    x = torch.stack(rows).reshape([-1] + shape) / 255
    per_channel = [1, -1] + [1] * (len(shape) - 1)
    mean = torch.tensor(job["mean"], dtype=torch.float64).reshape(per_channel)
    deviation = torch.tensor(job["deviation"], dtype=torch.float64).reshape(per_channel)
    return ((x - mean) / deviation).float(), torch.tensor(labels)


def floats(path):
    return torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.float32)


def trainable(model):
    return [p for _, p in sorted(model.named_parameters()) if p.requires_grad]


def difference(a, b):
    return (a - b).abs().max().item()


def compare_gradients(folder, job, model, x, y):
    blocks, worst = job["blocks"], 0.0
    rows = floats(folder / "gradient").reshape(blocks, -1)
    for block in range(blocks):
        part = slice(block * len(y) // blocks, (block + 1) * len(y) // blocks)
        loss = cross_entropy(model(x[part]), y[part])
        gradient = torch.autograd.grad(loss, trainable(model))
        flat = torch.cat([g.reshape(-1) for g in gradient])
        worst = max(worst, difference(flat, rows[block]))
    return worst


def train(model, job, x, y):
    """Full batches, so that the order of examples does not matter."""
    base = [p.detach().clone() for p in trainable(model)]
    if job["optimizer"] == "adam":
        optimiser = torch.optim.Adam(
            trainable(model), lr=job["lr"], weight_decay=job["weight_decay"]
        )
    else:
        optimiser = torch.optim.SGD(
            trainable(model),
            lr=job["lr"],
            momentum=job["momentum"],
            weight_decay=job["weight_decay"],
        )
    for _ in range(job["steps"]):
        optimiser.zero_grad()
        loss = cross_entropy(model(x), y)
        for p, b in zip(trainable(model), base):
            loss = loss + job["mu"] / 2 * ((p - b) ** 2).sum()
        loss.backward()
        optimiser.step()


def main():
    failed = False
    torch.set_num_threads(1)
    for folder in map(Path, sys.argv[1:]):
        job = json.loads((folder / "job.json").read_text())
        loader = module_of(folder)
        model = loader.load(folder)
        x, y = examples_of(folder, job)
        results = {}
        with torch.no_grad():
            logits = model(x)
        results["logits"] = difference(floats(folder / "logits").reshape(logits.shape), logits)
        results["gradient"] = compare_gradients(folder, job, model, x, y)
        for case in job["cases"]:
            model = loader.load(folder)
            train(model, case, x, y)
            theirs = loader.read_safetensors(folder / case["name"])
            mine = dict(model.named_parameters())
            assert sorted(theirs) == sorted(mine)
            results[case["name"]] = max(
                difference(theirs[name], mine[name].detach()) for name in mine
            )
        for name, value in results.items():
            print(f"{folder.name} {name}: {value:.1e}")
            failed = failed or not value <= TOLERANCE
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
