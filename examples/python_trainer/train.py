#!/usr/bin/python3
"""Trains the MLP of examples/models in PyTorch: Adam with a cosine schedule, images shifted at
random. Usage: crowdteach teach --trainer './train.py {base} {out} {data}' --data FOLDER"""

import gzip
import json
import os
import struct
import sys
from collections import OrderedDict

import torch
from torch import nn


def read_idx(path, header_bytes):
    return torch.frombuffer(bytearray(gzip.open(path).read()[header_bytes:]), dtype=torch.uint8)


def load(path):
    file = open(path, "rb")
    header, data = json.loads(file.read(struct.unpack("<Q", file.read(8))[0])), file.read()
    return {name: torch.frombuffer(bytearray(data[slice(*entry["data_offsets"])]),
                                   dtype=torch.float32).reshape(entry["shape"])
            for name, entry in header.items() if name != "__metadata__"}


def save(tensors, path):
    header, data = {}, b""
    for name, tensor in tensors.items():
        values = tensor.detach().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)


base, out, folder = sys.argv[1:]
torch.manual_seed(int(os.environ["CROWDTEACH_SEED"]) % 2**63)
images = read_idx(f"{folder}/train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28) / 255.0
labels = read_idx(f"{folder}/train-labels-idx1-ubyte.gz", 8).long()
model = nn.Sequential(OrderedDict(flatten=nn.Flatten(), fc1=nn.Linear(784, 64), relu1=nn.ReLU(),
                                  fc2=nn.Linear(64, 10)))
model.load_state_dict(load(base))
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
steps = 200
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
for step in range(1, steps + 1):
    some = torch.randint(len(labels), (64,))
    batch = torch.roll(images[some], tuple(torch.randint(-1, 2, (2,)).tolist()), (1, 2))
    loss = nn.functional.cross_entropy(model((batch - 0.2860) / 0.3530), labels[some])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    print(f"progress {step}/{steps} loss {loss.item():.4f}", file=sys.stderr)
save(model.state_dict(), out)
