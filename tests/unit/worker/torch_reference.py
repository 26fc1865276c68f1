#!/usr/bin/env python3
"""Recomputes in PyTorch what the worker computed; fails where a value differs by more than 1e-5
(gradients with respect to statistics, which PyTorch has not, by more than 1e-4 from differences
of the loss in double precision).

usage: torch_reference.py FOLDER...

Each folder is an exported model (load_model.py and its files) with, beside it, job.json, the
examples file, the worker's logits and block gradients, and the weights it trained.
"""

import copy
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
    x = torch.stack(rows).reshape([-1] + shape)
    if job["raw"]:
        return x.float(), torch.tensor(labels)
    x = x / 255
    per_channel = [1, -1] + [1] * (len(shape) - 1)
    mean = torch.tensor(job["mean"], dtype=torch.float64).reshape(per_channel)
    deviation = torch.tensor(job["deviation"], dtype=torch.float64).reshape(per_channel)
    return ((x - mean) / deviation).float(), torch.tensor(labels)


def floats(path):
    return torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.float32)


def trainable(model):
    return [p for _, p in sorted(model.named_parameters()) if p.requires_grad]


def in_update(model):
    """The tensors of an update in its order: (tensor, whether it is a statistic)."""
    frozen = {id(b) for norm in model.frozen_norms for b in norm.buffers()}
    named = {n: (p, False) for n, p in model.named_parameters() if p.requires_grad}
    named |= {n: (b, True) for n, b in model.named_buffers()
              if not n.endswith("num_batches_tracked") and id(b) not in frozen}
    return [named[name] for name in sorted(named)]


def difference(a, b):
    return (a - b).abs().max().item() if a.numel() else 0.0


def slope(model, statistic, index, x, y, step=1e-7):
    """By central differences, in double."""
    flat, losses = statistic.view(-1), []
    before = flat[index].item()
    with torch.no_grad():
        for sign in (1, -1):
            flat[index] = before + sign * step
            losses.append(cross_entropy(model(x), y).item())
        flat[index] = before
    return (losses[0] - losses[1]) / (2 * step)


def compare_gradients(folder, job, model, x, y):
    """The worst differences for weights, and for statistics."""
    blocks, worst, worst_statistic = job["blocks"], 0.0, 0.0
    rows = floats(folder / "gradient").reshape(blocks, -1)
    exact = copy.deepcopy(model).double()
    for block in range(blocks):
        part = slice(block * len(y) // blocks, (block + 1) * len(y) // blocks)
        loss = cross_entropy(model(x[part]), y[part])
        gradients = iter(torch.autograd.grad(loss, trainable(model)))
        at = 0
        for (tensor, is_statistic), mirror in zip(in_update(model), in_update(exact)):
            mine = rows[block][at : at + tensor.numel()]
            at += tensor.numel()
            if not is_statistic:
                worst = max(worst, difference(next(gradients).reshape(-1), mine))
                continue
            for index in range(tensor.numel()):
                theirs = slope(exact, mirror[0], index, x[part].double(), y[part])
                worst_statistic = max(worst_statistic, abs(theirs - mine[index].item()))
        assert at == rows.shape[1]
    return worst, worst_statistic


def train(model, job, x, y):
    """In train mode; full batches, so that the order of examples does not matter."""
    model.train()
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
        results["gradient"], of_statistics = compare_gradients(folder, job, model, x, y)
        print(f"{folder.name} gradient of statistics: {of_statistics:.1e}")
        failed = failed or not of_statistics <= 1e-4
        for case in job["cases"]:
            model = loader.load(folder)
            train(model, case, x, y)
            theirs = loader.read_safetensors(folder / case["name"])
            mine = {name: tensor for name, tensor in model.state_dict().items()
                    if not name.endswith("num_batches_tracked")}
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
