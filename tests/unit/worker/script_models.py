#!/usr/bin/env python3
"""Writes folders of models as code with examples/from_pytorch: honest ones, and ones that try what
foreign code should not do.

usage: script_models.py FOLDER

Their input is [8], their classes are 4.
"""

import sys
from pathlib import Path

import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "examples/from_pytorch"))
sys.dont_write_bytecode = True

from from_pytorch import convert_to_code  # noqa: E402


class Honest(nn.Module):
    """What layers do not express: a loop that depends on values, a buffer of its own."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 6)
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout(0.25)
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.last = nn.Linear(6, 4)
        self.register_buffer("scale", torch.tensor([0.5]))

    def forward(self, x):
        x = torch.tanh(self.norm(self.first(x)))
        while bool((x.abs().max() > 0.9).item()):
            x = x * self.scale
        return self.last(self.drop(self.frozen(x)))


class Counts(nn.Module):
    """Its logits depend on how often it was trained since it was loaded."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)
        self.register_buffer("count", torch.zeros(1, dtype=torch.long))

    def forward(self, x):
        if self.training:
            self.count += 1
        return self.fc(x) * (1 + self.count)


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def bad(self, x: torch.Tensor) -> bool:
        """Only on inputs that from_pytorch, which runs the module unprotected, does not try."""
        return bool((x.max() > 50).item())


class ReadsFile(Base):
    def forward(self, x):
        if self.bad(x):
            x = x + torch.from_file("/etc/hostname", False, 8, dtype=torch.uint8)
        return self.fc(x)


class WritesFile(Base):
    def forward(self, x):
        if self.bad(x):
            torch.save(x, "/tmp/crowdteach-written-by-a-model")
        return self.fc(x)


class MapsFile(Base):
    """from_file with shared=True makes the file."""

    def forward(self, x):
        if self.bad(x):
            x = x + torch.from_file("/tmp/crowdteach-written-by-a-model", True, 8)
        return self.fc(x)


class Loops(Base):
    def forward(self, x):
        while self.bad(x):
            x = x * 1.0
        return self.fc(x)


class Allocates(Base):
    def forward(self, x):
        kept = [x]
        while self.bad(x):
            kept.append(torch.ones(1 << 22) + float(len(kept)))
        return self.fc(kept[0])


class AllocatesAtOnce(Base):
    def forward(self, x):
        if self.bad(x):
            x = x + torch.ones(1 << 40).sum()
        return self.fc(x)


def spin(x: torch.Tensor) -> torch.Tensor:
    while bool((x.sum() < 1e30).item()):
        x = x * 1.0
    return x


class Forks(Base):
    """TorchScript's fork: threads that never end, more and more of them."""

    def forward(self, x):
        if self.bad(x):
            for _ in range(100000):
                torch.jit.fork(spin, x)
        return self.fc(x)


class ForksAndWaits(Base):
    def forward(self, x):
        if self.bad(x):
            return self.fc(torch.jit.wait(torch.jit.fork(spin, x)))
        return self.fc(x)


class Prints(Base):
    def forward(self, x):
        if self.bad(x):
            for _ in range(20000):
                print("much ado about nothing, and more of it")
        return self.fc(x)


class Raises(Base):
    def forward(self, x):
        if self.bad(x):
            raise ValueError("no thanks \x1b[2J")
        return self.fc(x)


class OtherShape(Base):
    def forward(self, x):
        y = self.fc(x)
        if self.bad(x):
            y = y[:, :3]
        return y


class OtherType(Base):
    def forward(self, x):
        y = self.fc(x)
        if self.bad(x):
            y = y.to(torch.float64)
        return y


class NoGradient(Base):
    def forward(self, x):
        y = self.fc(x)
        if self.bad(x):
            y = torch.ones(len(x), 4)
        return y


class NotANumber(Base):
    def forward(self, x):
        y = self.fc(x)
        if self.bad(x):
            y = y / 0.0 * 0.0
        return y


class FreesWeights(Base):
    """Shrinks and swaps its own tensors under our feet."""

    def forward(self, x):
        y = self.fc(x)
        if self.bad(x):
            w = self.fc.weight.detach()
            w.resize_(1 << 20)
            w.fill_(1.0)
            w.resize_(0)
        return y


class SetsWeights(Base):
    def forward(self, x):
        y = self.fc(x)
        if self.bad(x):
            self.fc.weight.detach().set_(torch.ones(1))
        return y


HOSTILE = (ReadsFile, WritesFile, MapsFile, Loops, Allocates, AllocatesAtOnce, Forks, ForksAndWaits,
         Prints, Raises, OtherShape, OtherType, NoGradient, NotANumber, FreesWeights, SetsWeights)


def write(root, name, module):
    convert_to_code(module, (8,), name).write(root / name)


def main():
    root = Path(sys.argv[1])
    torch.manual_seed(3)
    write(root, "Honest", Honest())
    write(root, "Counts", Counts())
    for kind in HOSTILE:
        write(root, kind.__name__, kind())
    return 0


if __name__ == "__main__":
    sys.exit(main())
