#!/usr/bin/env python3
"""Builds this folder's model in PyTorch from model.toml, with the weights of model.safetensors.

    from load_model import load
    model = load("path/to/this/folder")      # a torch.nn.Module in eval mode
    logits = model(images)                   # images: float32, one leading batch dimension;
                                             # whole numbers where an Embedding comes first

`python3 load_model.py [FOLDER]` prints the module and its number of parameters. Needs Python 3.11
and PyTorch 1.13 or later; nothing else.

A model as code (model.pt) is a program that its owner wrote and that runs with your rights: it is
opened only with load(folder, allow_model_code=True), or --allow-model-code on the command line.
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


class Select(nn.Module):
    """One position along a dimension."""

    def __init__(self, dim, index):
        super().__init__()
        self.dim, self.index = dim, index

    def forward(self, value):
        return value.select(self.dim, self.index)


class Mean(nn.Module):
    """The mean over one or more dimensions."""

    def __init__(self, dim, keepdim=False):
        super().__init__()
        self.dim, self.keepdim = dim, keepdim

    def forward(self, value):
        return value.mean(self.dim, keepdim=self.keepdim)


class Permute(nn.Module):
    """Its input with the dimensions in another order."""

    def __init__(self, dims):
        super().__init__()
        self.dims = dims

    def forward(self, value):
        return value.permute(*self.dims)


def parameter(shape):
    """A tensor of its own, whose first dimension stands for the batch."""
    return nn.Parameter(torch.empty(*shape))


class Embedding(nn.Embedding):
    def forward(self, indices):
        return super().forward(indices.long())


class LSTM(nn.LSTM):
    def forward(self, value):
        return super().forward(value)[0]


class GRU(nn.GRU):
    def forward(self, value):
        return super().forward(value)[0]


class MultiheadAttention(nn.MultiheadAttention):
    def forward(self, query, key=None, value=None):
        key, value = (query, query) if key is None else (key, value)
        return super().forward(query, key, value, need_weights=False)[0]


LAYERS = {
    "Parameter": parameter,
    **{layer.__name__: layer for layer in (
        Add, Concat, Select, Mean, Permute, Embedding, LSTM, GRU, MultiheadAttention,
        nn.Linear, nn.Conv1d, nn.Conv2d, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d,
        nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.GroupNorm, nn.LayerNorm, nn.BatchNorm1d,
        nn.BatchNorm2d, nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Dropout,
        nn.TransformerEncoderLayer, nn.Flatten, nn.Unflatten,
    )},
}
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


class Model(nn.Module):
    """The layers of a parsed model.toml, evaluated in the order in which they stand there."""

    def __init__(self, spec):
        super().__init__()
        self.input_shape = tuple(spec["model"]["input"])
        self.steps = []  # (layer name, names of its inputs)
        self.frozen_norms = []
        previous = "input"
        for table in spec["layer"]:
            arguments = dict(table)
            name = arguments.pop("name")
            kind = LAYERS[arguments.pop("type")]
            inputs = [] if kind is parameter else [previous]
            self.steps.append((name, arguments.pop("inputs", inputs)))
            trainable = arguments.pop("trainable", True)
            tuples = {key: tuple(v) for key, v in arguments.items() if isinstance(v, list)}
            layer = kind(**(arguments | tuples))
            layer.requires_grad_(trainable)
            if isinstance(layer, BATCH_NORMS) and not trainable:
                self.frozen_norms.append(layer)
            self._place(name, layer)
            previous = name

    def _place(self, name, layer):
        # A dotted name is a path of modules, as in a state_dict. Filling _modules lets a layer bear
        # any name, "forward" included, which add_module would refuse.
        *path, last = name.split(".")
        owner = self
        for part in path:
            owner = owner._modules.setdefault(part, nn.Module())
        parts = owner._parameters if isinstance(layer, nn.Parameter) else owner._modules
        parts[last] = layer

    def _layer(self, name):
        *path, last = name.split(".")
        owner = self
        for part in path:
            owner = owner._modules[part]
        return owner._modules.get(last, owner._parameters.get(last))

    def train(self, mode=True):
        """As nn.Module.train, but frozen norms keep using their running statistics."""
        super().train(mode)
        for norm in self.frozen_norms:
            norm.eval()
        return self

    def forward(self, batch):
        values = {"input": batch}
        for name, inputs in self.steps:
            layer = self._layer(name)
            if isinstance(layer, nn.Parameter):
                values[name] = layer.expand(len(batch), *layer.shape[1:])
            else:
                values[name] = layer(*(values[i] for i in inputs))
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


def load(folder=".", allow_model_code=False):
    """The model with its weights, in eval mode."""
    folder = Path(folder)
    with open(folder / "model.toml", "rb") as file:
        spec = tomllib.load(file)
    if spec["model"].get("kind") != "code":
        model = Model(spec)
    elif allow_model_code:
        model = torch.jit.load(folder / "model.pt", map_location="cpu")
    else:
        raise PermissionError(f"{folder / 'model.pt'} is a program by the model's owner, which would "
                              "run with your rights: allow it with --allow-model-code")
    tensors = read_safetensors(folder / "model.safetensors")
    # Buffers that are no float32 are not in the file, such as BatchNorm's count of batches.
    for name, buffer in model.named_buffers():
        if buffer.dtype != torch.float32:
            tensors[name] = buffer
    model.load_state_dict(tensors)
    return model.eval()


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--allow-model-code"]
    try:
        model = load(arguments[0] if arguments else Path(__file__).resolve().parent,
                     allow_model_code="--allow-model-code" in sys.argv)
    except PermissionError as error:
        sys.exit(f"load_model.py: {error}")
    print(model)
    print(f"parameters: {sum(p.numel() for p in model.parameters())}")


if __name__ == "__main__":
    main()
