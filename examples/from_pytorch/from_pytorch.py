#!/usr/bin/env python3
"""Turns a PyTorch nn.Module into model.toml and model.safetensors, for crowdteach launch.

    python3 from_pytorch.py FILE.py:FUNCTION --input 1,28,28 -o FOLDER

FUNCTION() returns the module; --input is the shape of one example, without the batch. The folder
gets model.toml, model.safetensors and load_model.py. In Python:

    from from_pytorch import convert
    convert(module, (1, 28, 28)).write("folder")

The forward pass is traced (torch.fx), so it must not branch on the values of its input. What cannot
be expressed is named with its place in your source and what to use instead, or with --script the
module becomes TorchScript (model.pt), as it is. At the end the folder
is loaded again and its logits compared with the module's. Needs Python 3.11 and PyTorch 1.13 or
later. The module's code runs with your rights: convert only modules you trust.

Exit status: 0 done; 1 the module cannot be expressed; 2 wrong arguments.
"""

import argparse
import importlib.util
import json
import shutil
import struct
import sys
from pathlib import Path

try:
    import torch
except ImportError:
    sys.exit("from_pytorch: PyTorch is missing (Debian: python3-torch, for /usr/bin/python3)")

from graph_to_layers import ConversionError, layers_of
from script_module import Scripted

HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-5


def load_model_script():
    """load_model.py, beside this file or in the source tree."""
    for path in (HERE / "load_model.py", HERE.parents[1] / "learning/model/load_model.py"):
        if path.is_file():
            return path
    raise FileNotFoundError(f"load_model.py is not beside {__file__}")


def toml_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return json.dumps(value) if isinstance(value, str) else repr(value)


def toml_of(name, input_shape, layers):
    lines = ["[model]", f"name = {toml_value(name)}", f"input = {toml_value(list(input_shape))}",
             'loss = "cross-entropy"']
    previous = "input"
    for layer in layers:
        lines += ["", "[[layer]]", f"name = {toml_value(layer.name)}",
                  f"type = {toml_value(layer.type)}"]
        lines += [f"{key} = {toml_value(value)}" for key, value in layer.arguments.items()]
        if layer.type != "Parameter" and layer.inputs != [previous]:
            lines.append(f"inputs = {toml_value(layer.inputs)}")
        if layer.tensors and not layer.trainable:
            lines.append("trainable = false")
        previous = layer.name
    return "\n".join(lines) + "\n"


def canonical_safetensors(tensors):
    """Sorted names, no white space, no gaps; the header filled up with spaces to 8 bytes."""
    header, data = {}, bytearray()
    for name in sorted(tensors):
        tensor = tensors[name].detach().to(torch.float32).contiguous()
        values = struct.pack(f"<{tensor.numel()}f", *tensor.reshape(-1).tolist())
        header[name] = {"data_offsets": [len(data), len(data) + len(values)], "dtype": "F32",
                        "shape": list(tensor.shape)}
        data += values
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(data)


class Converted:
    """A converted module: its layers, notes for people, and the module to compare with."""

    def __init__(self, module, sample, graph, name, input_shape):
        self.layers, self.notes = graph.layers, graph.notes
        self.toml = toml_of(name, input_shape, self.layers)
        self.tensors = {key: tensor for layer in self.layers
                        for key, tensor in layer.tensors.items()}
        self._module, self._sample, self._log_softmax = module, sample, graph.log_softmax

    def write(self, folder):
        """Writes the three files, loads them again and compares. Returns the largest difference."""
        loader = write_folder(folder, self.toml, self.tensors)
        with torch.no_grad():
            mine = loader.load(folder)(self._sample.float())
            theirs = self._module(self._sample)
        if self._log_softmax:
            mine = torch.log_softmax(mine, -1)
        return difference(mine, theirs)


class ConvertedToCode:
    """A module as TorchScript, for what layers cannot express; `notes` for people."""

    def __init__(self, module, name, input_shape):
        self._scripted = Scripted(module, input_shape)
        self.tensors = {key: tensor for key, (_, tensor) in self._scripted.tensors.items()}
        self.toml = self._scripted.toml(name, input_shape, toml_value)
        self.notes = ["the model is code: launch, teach and crowdteachd serve need "
                      "--allow-model-code"]

    def write(self, folder):
        """As Converted.write, and model.pt."""
        loader = write_folder(folder, self.toml, self.tensors)
        (Path(folder) / "model.pt").write_bytes(self._scripted.code)
        with torch.no_grad():
            mine = loader.load(folder, allow_model_code=True)(self._scripted.sample.clone())
        return difference(mine, self._scripted.logits)


def write_folder(folder, toml, tensors):
    """model.toml, model.safetensors and load_model.py; returns the last as a module."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.toml").write_text(toml)
    (folder / "model.safetensors").write_bytes(canonical_safetensors(tensors))
    shutil.copyfile(load_model_script(), folder / "load_model.py")
    spec = importlib.util.spec_from_file_location("load_model", folder / "load_model.py")
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    return loader


def difference(mine, theirs):
    """The largest one between the logits. Raises ConversionError if there should be none."""
    if mine.shape != theirs.shape:
        raise ConversionError(f"the written model gives {list(mine.shape)}, the module "
                              f"{list(theirs.shape)}; please report this")
    worst = (mine - theirs).abs().max().item()
    if not worst <= TOLERANCE * max(1.0, theirs.abs().max().item()):
        raise ConversionError(
            f"the written model's logits differ from the module's by {worst:.1e}: something works "
            "beside the layers that were traced. It may be an operation in place "
            "(ReLU(inplace=True) before a skip connection), a hook, random numbers, or something "
            "kept between two calls; if it is none of these, please report it")
    return worst


def convert(module, input_shape, name=None):
    """A Converted of `module`, which is left as it is. Raises ConversionError."""
    module, sample, graph = layers_of(module, tuple(input_shape))
    return Converted(module, sample, graph, name or type(module).__name__, input_shape)


def convert_to_code(module, input_shape, name=None):
    """A ConvertedToCode of `module`, which is left as it is. Raises ConversionError."""
    name = name or getattr(module, "original_name", type(module).__name__)
    return ConvertedToCode(module, name, tuple(input_shape))


def module_of(target):
    path, _, function = target.rpartition(":")
    if not path or not function:
        raise ValueError(f"'{target}' must be FILE.py:FUNCTION")
    path = Path(path)
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or not path.is_file():
        raise ValueError(f"{path} is no Python file")
    source = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = source
    spec.loader.exec_module(source)
    if not hasattr(source, function):
        raise ValueError(f"{path} has no '{function}'")
    return getattr(source, function)()


def main():
    summary, _, rest = __doc__.partition("\n")
    parser = argparse.ArgumentParser(description=summary, epilog=rest,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", metavar="FILE.py:FUNCTION")
    parser.add_argument("--input", required=True, help="one example's shape: 1,28,28")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER")
    parser.add_argument("--name", help="the model's name (default: the module's class)")
    parser.add_argument("--script", action="store_true",
                        help="as TorchScript, where layers cannot express the module; everybody "
                        "who runs the model must allow its code")
    arguments = parser.parse_args()
    try:
        shape = tuple(int(size) for size in arguments.input.split(","))
        if not 1 <= len(shape) <= 4 or min(shape) < 1:
            raise ValueError
    except ValueError:
        parser.error(f"--input is '{arguments.input}', but must be 1 to 4 sizes: 1,28,28")
    try:
        module = module_of(arguments.target)
        if not isinstance(module, torch.nn.Module):
            parser.error(f"{arguments.target} returned a {type(module).__name__}, no nn.Module")
    except (ValueError, OSError) as error:
        parser.error(str(error))
    try:
        to_model = convert_to_code if arguments.script else convert
        converted = to_model(module, shape, arguments.name)
        worst = converted.write(arguments.output)
    except ConversionError as error:
        print(f"from_pytorch: {error}", file=sys.stderr)
        return 1
    except Exception as error:  # of PyTorch, about a module it cannot copy, trace or load again
        why = (str(error).strip() or "no reason given").splitlines()[-1]
        print(f"from_pytorch: this module cannot be converted: {type(error).__name__}: {why}",
              file=sys.stderr)
        return 1
    rows = ([(key, "", tensor.numel()) for key, tensor in sorted(converted.tensors.items())]
            if arguments.script else
            [(layer.name, layer.type, sum(tensor.numel() for tensor in layer.tensors.values()))
             for layer in converted.layers])
    width = max(len(name) for name, _, _ in rows)
    for name, kind, count in rows:
        print(f"{name:{width}}  {kind:24} {count:>10,}".rstrip())
    for note in converted.notes:
        print(f"note: {note}")
    total = sum(tensor.numel() for tensor in converted.tensors.values())
    print(f"{arguments.output}: {total:,} values; logits differ by {worst:.1e} from the module's")
    return 0


if __name__ == "__main__":
    sys.exit(main())
