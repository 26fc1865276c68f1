"""A traced module (torch.fx) as the layers of model.toml; see from_pytorch.py.

Every node of the graph is computed for batches of two and of three examples. Its shapes tell what a
view or a flatten does, and what changes with the batch alone is the batch.
"""

import copy
import operator
import re

import torch
import torch.nn.functional as F
from torch import fx, nn

from module_checks import check_training_is_eval, check_weights
from module_layers import CONTAINERS, USE_INSTEAD, ConversionError, Layer, layers_of_module
from tracing import DROPOUTS, SAME, place_of, sample_of, trace


class Hidden:
    """The final state of a recurrent layer: h, or one of its layers."""

    def __init__(self, layer, module):
        self.layer, self.module = layer, module


RELU = (F.relu, torch.relu, "relu", "relu_", F.relu_)
ELEMENTWISE = {**{f: ("ReLU", ()) for f in RELU},
               **{f: ("Tanh", ()) for f in (torch.tanh, F.tanh, "tanh")},
               **{f: ("Sigmoid", ()) for f in (torch.sigmoid, F.sigmoid, "sigmoid")},
               F.silu: ("SiLU", ()), F.gelu: ("GELU", ("approximate",)),
               F.leaky_relu: ("LeakyReLU", ("negative_slope",))}
WINDOW = ("kernel_size", "stride", "padding")
POOLS = {F.max_pool1d: nn.MaxPool1d, torch.max_pool1d: nn.MaxPool1d,
         F.max_pool2d: nn.MaxPool2d, torch.max_pool2d: nn.MaxPool2d,
         F.avg_pool1d: nn.AvgPool1d, torch.avg_pool1d: nn.AvgPool1d, F.avg_pool2d: nn.AvgPool2d,
         F.adaptive_avg_pool1d: nn.AdaptiveAvgPool1d,
         torch.adaptive_avg_pool1d: nn.AdaptiveAvgPool1d,
         F.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d}
RESHAPES = ("view", "reshape", "flatten", "unsqueeze", "squeeze", "unflatten", torch.flatten,
            torch.reshape, torch.unsqueeze, torch.squeeze)
PERMUTES = ("permute", "transpose", "swapaxes", torch.permute, torch.transpose, torch.swapaxes)
ADDS = (operator.add, operator.iadd, torch.add, "add", "add_")
CONCATS = (torch.cat, torch.concat)
LOG_SOFTMAX = (F.log_softmax, torch.log_softmax, "log_softmax")


class Graph:
    """Converts node by node; `layers`, `notes` and `log_softmax` are the result."""

    def __init__(self, module, graph, samples):
        self.module, self.samples = module, samples
        self.modules = dict(module.named_modules())
        self.layers, self.notes, self.log_softmax = [], [], False
        self.values = {}   # node -> (for two examples, for three)
        self.depends = {}  # node -> it holds something of the input's values
        self.names = {}    # node -> name of the layer that gives it, or Hidden, or a tuple of them
        self.origins = {}  # node -> name of the one parameter that it is a part of
        self.used = {}     # id of a module -> its path, once it has been converted
        self.graph = graph

    # ---- values

    def compute(self, node, index):
        """The node's value for one of the two batches."""
        pick = lambda n: self.values[n][index]
        args, kwargs = fx.map_arg((node.args, node.kwargs), pick)
        if node.op == "call_module":
            return self.modules[node.target](*args, **kwargs)
        if node.op == "get_attr":
            return operator.attrgetter(node.target)(self.module)
        if node.op == "call_method":
            return getattr(args[0], node.target)(*args[1:], **kwargs)
        if node.target in DROPOUTS:
            return args[0]  # as in eval mode, whatever its `training` is
        return node.target(*args, **kwargs)

    def needed(self):
        """The nodes that the output is made of; an unused operation in place is refused."""
        needed = set()
        for node in reversed(self.graph.nodes):
            if node.op == "output" or any(user in needed for user in node.users):
                needed.add(node)
            elif node.op == "call_method" and re.fullmatch(r".*[^_]_", node.target):
                raise ConversionError(f"{place_of(node)}: changes its input in place; write "
                                      f"x = x.{node.target[:-1]}(…)")
        return needed

    def run(self):
        output, needed = None, self.needed()
        for node in self.graph.nodes:
            if node not in needed:
                continue
            if node.op == "placeholder":
                if self.values:
                    raise ConversionError(f"forward takes a second argument, '{node.name}': a model "
                                          "here has one input")
                self.values[node], self.depends[node] = self.samples, True
                self.names[node] = "input"
                continue
            if node.op == "output":
                output = node.args[0]
                continue
            try:
                self.values[node] = tuple(self.compute(node, i) for i in range(2))
            except Exception as error:
                raise ConversionError(f"{place_of(node)}: fails on a random batch: {error}")
            sizes = node.target in (getattr, "size", "dim", len) and not isinstance(
                self.values[node][0], torch.Tensor)
            self.depends[node] = not sizes and any(
                self.depends[n] for n in node.all_input_nodes)
            if self.depends[node]:
                self.names[node] = self.convert(node)
            else:
                self.origins[node] = self.origin(node)
        if not isinstance(output, fx.Node) or not isinstance(self.names.get(output), str):
            raise ConversionError("forward must return the logits alone, one tensor")
        self.check_logits(output)

    def origin(self, node):
        if node.op == "get_attr":
            return node.target
        if node.op == "call_module" and isinstance(self.modules[node.target], nn.Embedding):
            return node.target + ".weight"
        origins = {self.origins.get(n) for n in node.all_input_nodes} - {None}
        return origins.pop() if len(origins) == 1 else None

    def note_unused(self):
        used = [*self.used.values(), *(origin for origin in self.origins.values() if origin)]
        unused = [name for name, _ in self.module.named_parameters()
                  if not any(f"{name}.".startswith(f"{path}.") for path in used)]
        if unused:
            more = f" and {len(unused) - 5} more" if len(unused) > 5 else ""
            self.notes.append(f"not part of the logits, so left out: {', '.join(unused[:5])}{more}")

    def check_logits(self, output):
        shape = list(self.values[output][0].shape)
        if len(shape) != 2 or shape[1] < 2:
            raise ConversionError(f"the output of a batch of two has shape {shape}; one logit a "
                                  "class, two classes at least, are needed (for one sigmoid "
                                  "output use two logits)")
        if self.layers[-1].name != self.names[output]:
            raise ConversionError("the last layer computed is not the output")

    # ---- layers

    def add(self, layer):
        """Gives the layer a name nobody else has, and keeps it."""
        base = re.sub(r"[^A-Za-z0-9_.]", "_", layer.name)[:56]
        base = ".".join("training_" if part == "training" else part for part in base.split("."))
        name, count = base, 1
        while name == "input" or any(
                (name + ".").startswith(other + ".") or (other + ".").startswith(name + ".")
                for other in (l.name for l in self.layers)):
            count += 1
            name = f"{base}_{count}"
        if layer.tensors and name != layer.name:
            self.notes.append(f"'{layer.name}' is called '{name}' in the model")
        layer.tensors = {name + key: tensor for key, tensor in layer.tensors.items()}
        layer.name = name
        self.layers.append(layer)
        return name

    def simple(self, node, kind, inputs=None, **arguments):
        inputs = inputs or [self.name_of(node, node.args[0])]
        return self.add(Layer(node.name, kind, arguments, inputs))

    def name_of(self, node, argument, like=None):
        """The layer whose output an argument is; constants become a Parameter."""
        name = self.names.get(argument) if isinstance(argument, fx.Node) else None
        if isinstance(name, str):
            return name
        if name is not None:
            raise ConversionError(f"{place_of(node)}: uses the state or weights that a recurrent or "
                                  "attention layer returns; only its output sequence, and the "
                                  "state h[-1] of one that is not bidirectional, can be used")
        if like is None:
            raise ConversionError(f"{place_of(node)}: is given a constant where a layer's output "
                                  "is needed")
        return self.constant(node, argument, like)

    def constant(self, node, argument, like):
        value = self.values[argument][0] if isinstance(argument, fx.Node) else argument
        value = torch.as_tensor(value, dtype=torch.float32)
        if value.dim() >= len(like):
            value = value[:1]  # the batch
        origin = self.origins.get(argument) if isinstance(argument, fx.Node) else None
        tensor = operator.attrgetter(origin)(self.module) if origin else None
        trainable = isinstance(tensor, nn.Parameter) and tensor.requires_grad
        whole = torch.broadcast_to(value, (1, *like[1:])).contiguous()
        if trainable and whole.numel() != value.numel():
            raise ConversionError(
                f"{place_of(node)}: spreads the parameter '{origin}' of shape "
                f"{list(tensor.shape)} over {list(like[1:])}; give it the full shape, or use the "
                "bias of a layer")
        return self.add(Layer(origin or node.name + "_constant", "Parameter",
                              {"shape": list(whole.shape)}, [], {"": whole}, trainable))

    def convert(self, node):
        if node.op == "call_module":
            return self.convert_module(node)
        target, args = node.target, node.args
        names = self.names.get(args[0]) if args and isinstance(args[0], fx.Node) else None
        if target is operator.getitem and isinstance(names, (tuple, Hidden)):
            return self.part_of(node, names)
        if isinstance(names, Hidden) and target in ("squeeze", torch.squeeze):
            return self.part_of(node, names, -1)
        if target in SAME:
            return self.name_of(node, args[0])
        if target in ELEMENTWISE:
            kind, keys = ELEMENTWISE[target]
            given = dict(zip(keys, args[1:])) | node.kwargs
            return self.simple(node, kind, **{k: given[k] for k in keys if k in given})
        if target in POOLS:
            return self.pool(node)
        if target in DROPOUTS:
            # The module was traced in eval mode.
            if args[2] if len(args) > 2 else node.kwargs.get("training", target is F.dropout):
                raise ConversionError(f"{place_of(node)}: drops values in eval mode, too; pass "
                                      "training=self.training, or use nn.Dropout")
            p = args[1] if len(args) > 1 else node.kwargs.get("p", 0.5)
            return self.simple(node, "Dropout", p=float(p))
        if target in ADDS and "alpha" not in node.kwargs:
            return self.sum_of(node)
        if target in CONCATS:
            rank = self.values[node][0].dim()
            dim = args[1] if len(args) > 1 else node.kwargs.get("dim", 0)
            names = [self.name_of(node, a, self.values[args[0][0]][0].shape) for a in args[0]]
            return self.simple(node, "Concat", names, dim=dim % rank)
        if target in ("mean", torch.mean):
            return self.mean(node)
        if target in PERMUTES:
            return self.permute(node)
        if target in RESHAPES:
            return self.reshape(node)
        if target in (operator.getitem, "select", torch.select):
            return self.choose(node)
        if target in LOG_SOFTMAX:
            return self.strip_log_softmax(node)
        name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
        raise ConversionError(f"{place_of(node)}: {name} is not supported"
                              f"{USE_INSTEAD.get(name, '')}")

    def convert_module(self, node):
        module = self.modules[node.target]
        arguments = [a for a in node.args] + [
            node.kwargs[k] for k in ("query", "key", "value", "input") if k in node.kwargs]
        if isinstance(module, nn.LogSoftmax):
            return self.strip_log_softmax(node)
        if any(True for _ in module.parameters()):
            if id(module) in self.used:
                raise ConversionError(f"{place_of(node)}: is used twice, and two layers cannot share "
                                      "weights here; make it two modules")
            self.used[id(module)] = node.target
        if isinstance(module, (nn.Identity,)):
            return self.name_of(node, arguments[0])
        extra = [a for a in arguments if not isinstance(a, fx.Node)] + [
            k for k, v in node.kwargs.items()
            if k not in ("query", "key", "value", "input", "need_weights", "average_attn_weights",
                         "is_causal") and v is not None]
        attention = isinstance(module, nn.MultiheadAttention)
        if extra or node.kwargs.get("is_causal") or len(arguments) != (3 if attention else 1):
            raise ConversionError(f"{place_of(node)}: is given more than its input: masks and first "
                                  "states are not supported")
        like = self.values[arguments[0]][0].shape
        inputs = [self.name_of(node, a, like if attention else None) for a in arguments]
        if len(inputs) == 3 and len(set(inputs)) == 1:
            inputs = inputs[:1]
        try:
            layers = layers_of_module(module, node.target, inputs)
        except ConversionError as error:
            raise ConversionError(f"{place_of(node)}: {error}")
        name = None
        for layer in layers:
            if name is not None:
                layer.inputs = [name]
            name = self.add(layer)
        if isinstance(module, nn.LSTM):
            return (name, (Hidden(name, module), None))
        if isinstance(module, nn.GRU):
            return (name, Hidden(name, module))
        return (name, None) if attention else name

    def part_of(self, node, names, index=None):
        index = node.args[1] if index is None else index
        if isinstance(names, tuple) and isinstance(index, int):
            part = names[index]
            return (None,) if part is None else part
        if isinstance(names, Hidden) and not names.module.bidirectional and (
                index in (-1, names.module.num_layers - 1)):
            # The last layer's final state is its output at the last step.
            return self.simple(node, "Select", [names.layer], dim=1, index=-1)
        raise ConversionError(f"{place_of(node)}: of a recurrent layer's state only h[-1], without "
                              "bidirectional, can be used; take the output sequence instead")

    def pool(self, node):
        keys = WINDOW if "adaptive" not in node.target.__name__ else ("output_size",)
        # boolean_dispatch hides the signature of F.max_pool2d.
        order = {nn.MaxPool1d: WINDOW + ("dilation", "ceil_mode"),
                 nn.MaxPool2d: WINDOW + ("dilation", "ceil_mode"),
                 nn.AvgPool1d: WINDOW + ("ceil_mode", "count_include_pad"),
                 nn.AvgPool2d: WINDOW + ("ceil_mode", "count_include_pad", "divisor_override")}
        kind = POOLS[node.target]
        given = dict(zip(order.get(kind, keys), node.args[1:])) | node.kwargs
        given.pop("return_indices", None)
        given.pop("input", None)
        inputs = [self.name_of(node, node.args[0])]
        try:
            (layer,) = layers_of_module(kind(**given), node.name, inputs)
        except ConversionError as error:
            raise ConversionError(f"{place_of(node)}: {error}")
        return self.add(layer)

    def sum_of(self, node):
        terms = node.args[:2]
        like = self.values[node][0].shape
        names = []
        for term in terms:
            if isinstance(term, fx.Node) and self.depends[term]:
                if self.values[term][0].shape != like:
                    raise ConversionError(f"{place_of(node)}: adds {list(self.values[term][0].shape)}"
                                          f" to give {list(like)}; Add needs equal shapes")
            names.append(self.name_of(node, term, like))
        return self.simple(node, "Add", names)

    def mean(self, node):
        rank = self.values[node.args[0]][0].dim()
        dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
        keepdim = node.args[2] if len(node.args) > 2 else node.kwargs.get("keepdim", False)
        dims = [d % rank for d in ([dim] if isinstance(dim, int) else dim or [])]
        if not dims or 0 in dims:
            raise ConversionError(f"{place_of(node)}: a mean over the batch; name dimensions 1 to "
                                  f"{rank - 1}")
        return self.simple(node, "Mean", dim=dims, **({"keepdim": True} if keepdim else {}))

    def permute(self, node):
        value = self.values[node.args[0]][0]
        args = fx.map_arg(node.args[1:], lambda n: self.values[n][0])
        if node.target in ("permute", torch.permute):
            dims = args[0] if args and isinstance(args[0], (tuple, list)) else args
            dims = [d % value.dim() for d in (dims or node.kwargs["dims"])]
        else:
            a, b = (args if len(args) == 2 else list(node.kwargs.values())[:2])
            dims = list(range(value.dim()))
            a, b = a % value.dim(), b % value.dim()
            dims[a], dims[b] = dims[b], dims[a]
        if dims[0] != 0:
            raise ConversionError(f"{place_of(node)}: moves the batch from the front; keep it there "
                                  "(batch_first=True in layers of sequences)")
        return self.simple(node, "Permute", dims=dims)

    def reshape(self, node):
        two, three = (tuple(v.shape) for v in self.values[node])
        source = tuple(self.values[node.args[0]][0].shape)
        if two[0] != 2 or three[0] != 3 or two[1:] != three[1:]:
            raise ConversionError(f"{place_of(node)}: gives {list(two)} for two examples and "
                                  f"{list(three)} for three; the batch must stay in front, alone")
        name = self.name_of(node, node.args[0])
        if two == source:
            return name
        if len(source) > 2:
            name = self.simple(node, "Flatten", [name])
        if len(two) > 2:
            name = self.simple(node, "Unflatten", [name], dim=1, unflattened_size=list(two[1:]))
        return name

    def choose(self, node):
        name = self.name_of(node, node.args[0])
        rank = self.values[node.args[0]][0].dim()
        if node.target is not operator.getitem:
            args = list(node.args[1:]) + [node.kwargs[k] for k in ("dim", "index")
                                          if k in node.kwargs]
            return self.simple(node, "Select", [name], dim=args[0] % rank, index=args[1])
        index = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
        if Ellipsis in index:
            at = index.index(Ellipsis)
            index = index[:at] + (slice(None),) * (rank - len(index) + 1) + index[at + 1:]
        dim = 0
        for part in index:
            if isinstance(part, int) and dim > 0:
                name = self.simple(node, "Select", [name], dim=dim, index=part)
            elif part == slice(None):
                dim += 1
            else:
                raise ConversionError(f"{place_of(node)}: only one position x[:, i] of a dimension "
                                      "after the batch can be taken")
        return name

    def strip_log_softmax(self, node):
        if any(user.op != "output" for user in node.users):
            raise ConversionError(f"{place_of(node)}: log_softmax is possible at the end only")
        self.log_softmax = True
        self.notes.append("log_softmax at the end is left out: the loss, cross-entropy, has its own")
        return self.name_of(node, node.args[0])


def layers_of(module, input_shape):
    """(a copy of the module in eval mode, a batch of eight to compare on, the Graph)."""
    check_weights(module)
    module = copy.deepcopy(module).cpu().float().eval()
    if isinstance(module, CONTAINERS) or type(module).__module__.startswith("torch.nn"):
        module = nn.Sequential(module) if not isinstance(module, nn.Sequential) else module
    traced = trace(module)
    check_training_is_eval(module, traced)
    samples = [sample_of(module, traced, input_shape, count) for count in (2, 3, 8)]
    graph = Graph(module, traced, tuple(samples[:2]))
    with torch.no_grad():
        graph.run()
    graph.note_unused()
    return module, samples[2], graph
