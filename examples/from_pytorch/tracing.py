"""The graph of a module's forward pass (torch.fx), and where its nodes stand; see from_pytorch.py."""

import dis
import inspect
import re
import sys
from pathlib import Path
from unittest import mock

import torch
from torch import fx, nn

from module_layers import CONTAINERS, ConversionError

SAME = ("contiguous", "clone", "float", "long", "int", "to", "type", "detach", torch.clone)
DROPOUTS = (nn.functional.dropout, torch.dropout)
ARANGE = torch.arange
OURS = {Path(__file__).with_name(f"{name}.py")
        for name in ("from_pytorch", "graph_to_layers", "module_checks", "module_layers", "tracing")}


class Tracer(fx.Tracer):
    record_stack_traces = True

    def is_leaf_module(self, module, path):
        return isinstance(module, CONTAINERS) or super().is_leaf_module(module, path)


def unpacked(proxy):
    """`a, b = proxy`: PyTorch 1.13's own does not read Python 3.11's byte code."""
    frame = sys._getframe(1)
    for instruction in dis.get_instructions(frame.f_code):
        if instruction.offset == frame.f_lasti and instruction.opname == "UNPACK_SEQUENCE":
            return iter([proxy[i] for i in range(instruction.argval)])
    return proxy.tracer.iter(proxy)  # refuses


def traced_arange(*args, **kwargs):
    """torch.arange over a traced size, which fx does not follow."""
    for argument in (*args, *kwargs.values()):
        if isinstance(argument, fx.Proxy):
            return argument.tracer.create_proxy("call_function", ARANGE, args, kwargs)
    return ARANGE(*args, **kwargs)


def trace(module):
    """Of its first argument; the others keep their defaults. Raises ConversionError."""
    others = list(inspect.signature(module.forward).parameters.values())[1:]
    fixed = {other.name: other.default for other in others if other.default is not other.empty}
    try:
        with (mock.patch.object(fx.Proxy, "__iter__", unpacked),
              mock.patch.object(torch, "arange", traced_arange)):
            return Tracer().trace(module, fixed)
    except Exception as error:
        raise ConversionError(f"the forward pass cannot be traced: {error}. It must not branch on, "
                              "or loop over, its input's values; see torch.fx")


def place_of(node):
    """'module 'x' at file.py:12: code' as far as the trace tells."""
    what = f"module '{node.target}'" if node.op == "call_module" else f"'{node.name}'"
    frames = re.findall(r'File "([^"]*)", line (\d+), in [^\n]*\n\s*([^\n]*)',
                        getattr(node, "stack_trace", None) or "")
    # Some versions list the innermost call first, others last; our own are the outermost.
    if frames and Path(frames[-1][0]) in OURS:
        frames.reverse()
    frames = [frame for frame in frames if "/torch/" not in frame[0] and Path(frame[0]) not in OURS]
    return what + (f" at {frames[-1][0]}:{frames[-1][1]}: `{frames[-1][2]}`" if frames else "")


def sample_of(module, graph, input_shape, count):
    """Random numbers, or indices where an Embedding reads the input."""
    generator = torch.Generator().manual_seed(count)
    readers, seen = [n for n in graph.nodes if n.op == "placeholder"][:1], []
    while readers:
        node = readers.pop()
        for user in node.users:
            target = user.op == "call_module" and module.get_submodule(user.target)
            if isinstance(target, nn.Embedding):
                seen.append(target.num_embeddings)
            elif user.op == "call_method" and user.target in SAME:
                readers.append(user)
    if seen:
        return torch.randint(min(seen), (count, *input_shape), generator=generator)
    return torch.randn(count, *input_shape, generator=generator)
