"""A network as its owner has it: an nn.Module, in PyTorch's usual forms."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """Two convolutions with batch normalisation, and a way around them."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding="same", bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding="same", bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(y)))


class FashionNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 12, 5, stride=2, padding=2), nn.ReLU())
        self.blocks = nn.Sequential(Block(12), Block(12))
        self.head = nn.Linear(12 * 7 * 7, 10)

    def forward(self, x):
        x = F.max_pool2d(self.blocks(self.stem(x)), 2)
        x = x.view(x.size(0), -1)
        x = F.dropout(x, 0.2, training=self.training)
        return F.log_softmax(self.head(x), dim=1)


def make_model():
    torch.manual_seed(1)  # or load_state_dict(torch.load("trained.pt"))
    return FashionNet()
