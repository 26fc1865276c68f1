#!/usr/bin/env python3
"""Builds this folder's model in PyTorch from model.toml, with the weights of model.safetensors.

    from load_model import load
    model = load("path/to/this/folder")      # a torch.nn.Module in eval mode
    logits = model(images)                   # images: float32, one leading batch dimension

`python3 load_model.py [FOLDER]` prints the module and its number of parameters. Needs Python 3.11
and PyTorch 1.13 or later; nothing else.
"""

import json
import math
import struct
import sys
import tomllib
from pathlib import Path

import torch
from torch import nn


class Add(nn.Module):
    """The sum of its inputs."""

    def forward(self, *inputs):
        total = inputs[0]
        for value in inputs[1:]:
            total = total + value
        return total


class Concat(nn.Module):
    """Its inputs, joined along one dimension."""

    def __init__(self, dim=1):
        super().__init__()
        self.dim = dim

    def forward(self, *inputs):
        return torch.cat(inputs, dim=self.dim)


LAYERS = {
    "Linear": nn.Linear,
    "Conv2d": nn.Conv2d,
    "GroupNorm": nn.GroupNorm,
    "ReLU": nn.ReLU,
    "GELU": nn.GELU,
    "Tanh": nn.Tanh,
    "MaxPool2d": nn.MaxPool2d,
    "AvgPool2d": nn.AvgPool2d,
    "Flatten": nn.Flatten,
    "Dropout": nn.Dropout,
    "Add": Add,
    "Concat": Concat,
}


class Model(nn.Module):
    """The layers of a parsed model.toml, evaluated in the order in which they stand there."""

    def __init__(self, spec):
        super().__init__()
        self.input_shape = tuple(spec["model"]["input"])
        self.steps = []  # (layer name, names of its inputs)
        previous = "input"
        for table in spec["layer"]:
            arguments = dict(table)
            name = arguments.pop("name")
            kind = LAYERS[arguments.pop("type")]
            self.steps.append((name, arguments.pop("inputs", [previous])))
            trainable = arguments.pop("trainable", True)
            pairs = {key: tuple(v) for key, v in arguments.items() if isinstance(v, list)}
            layer = kind(**(arguments | pairs))
            layer.requires_grad_(trainable)
            self._place(name, layer)
            previous = name

    def _place(self, name, layer):
        # A dotted name is a path of modules, as in a state_dict. Filling _modules lets a layer bear
        # any name, "forward" included, which add_module would refuse.
        *path, last = name.split(".")
        owner = self
        for part in path:
            owner = owner._modules.setdefault(part, nn.Module())
        owner._modules[last] = layer

    def _layer(self, name):
        layer = self
        for part in name.split("."):
            layer = layer._modules[part]
        return layer

    def forward(self, batch):
        values = {"input": batch}
        for name, inputs in self.steps:
            values[name] = self._layer(name)(*(values[i] for i in inputs))
        return values[self.steps[-1][0]]


def read_safetensors(path):
    """The float32 tensors of a safetensors file, by name."""
    if sys.byteorder != "little":
        raise RuntimeError("this reader needs a little-endian machine")
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: tensor {name} is {entry['dtype']}, not F32")
        begin, end = entry["data_offsets"]
        count = math.prod(entry["shape"])
        if begin + 4 * count != end or end > len(data):
            raise ValueError(f"{path}: tensor {name} does not fit its shape")
        flat = torch.frombuffer(data, dtype=torch.float32, count=count, offset=begin)
        tensors[name] = flat.reshape(entry["shape"]).clone()
    return tensors


def load(folder="."):
    """The model with its weights, in eval mode."""
    folder = Path(folder)
    with open(folder / "model.toml", "rb") as file:
        model = Model(tomllib.load(file))
    model.load_state_dict(read_safetensors(folder / "model.safetensors"))
    return model.eval()


def main():
    model = load(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent)
    print(model)
    print(f"parameters: {sum(p.numel() for p in model.parameters())}")


if __name__ == "__main__":
    main()
