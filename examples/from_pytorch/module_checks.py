"""What is refused of a module before its layers are looked at, because the model would silently be
another one; see from_pytorch.py. Both raise ConversionError."""

import torch

from module_layers import ConversionError
from tracing import DROPOUTS, place_of, trace


def check_weights(module):
    """Each parameter is one layer's own, a number everywhere, and one at least can be trained."""
    places, trainable = {}, False
    for path, part in module.named_modules():
        for name, parameter in part._parameters.items():
            if parameter is None:
                continue
            place = f"{path}.{name}" if path else name
            other = places.setdefault(id(parameter), place)
            if other != place:
                raise ConversionError(f"'{other}' and '{place}' are one parameter, and two layers "
                                      "cannot share weights here; a campaign would train them apart")
            if not torch.isfinite(parameter).all():
                raise ConversionError(f"'{place}' holds a value that is not finite")
            trainable |= parameter.requires_grad
    if places and not trainable:
        raise ConversionError("no parameter can be trained: requires_grad is False for all")


def check_training_is_eval(module, traced):
    """What forward does besides layers must not depend on self.training: only layers know it."""
    def steps(graph):
        for node in graph.nodes:
            args, kwargs = node.args, dict(node.kwargs)
            if node.target in DROPOUTS:
                args, kwargs = args[:2], {k: v for k, v in kwargs.items() if k != "training"}
            yield node, (node.op, node.target, str(args), str(kwargs))

    training = trace(module.train())
    module.eval()
    mine, other = list(steps(traced)), list(steps(training))
    for (node, step), (_, other_step) in zip(mine, other):
        if step != other_step:
            raise ConversionError(f"{place_of(node)}: forward does something else in training "
                                  "(self.training); only layers such as Dropout may")
    if len(mine) != len(other):
        raise ConversionError("forward does something else in training (self.training); only "
                              "layers such as Dropout may")
