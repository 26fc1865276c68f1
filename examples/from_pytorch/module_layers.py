"""One torch.nn module as layers of model.toml; see from_pytorch.py."""

import dataclasses

from torch import nn


class ConversionError(Exception):
    """What cannot be expressed, where it stands, and what to use instead."""


@dataclasses.dataclass
class Layer:
    name: str
    type: str
    arguments: dict
    inputs: list
    tensors: dict = dataclasses.field(default_factory=dict)  # by ".weight", …
    trainable: bool = True


CONTAINERS = (nn.TransformerEncoder,)

# By the name of a function, a method or a module's class.
USE_INSTEAD = {name: "; use " + instead for name, instead in {
    "softmax": "the logits: the loss, cross-entropy, has its own softmax",
    "Softmax": "the logits: the loss, cross-entropy, has its own softmax",
    "matmul": "nn.Linear or nn.MultiheadAttention",
    "scaled_dot_product_attention": "nn.MultiheadAttention",
    "mul": "nn.Linear, or a layer's own scale",
    "sub": "the sum, with the sign in a layer before it",
    "max": "nn.MaxPool1d or nn.MaxPool2d",
    "sum": "a mean, x.mean(dim)",
    "chunk": "two layers",
    "split": "two layers",
    "linear": "nn.Linear",
    "conv1d": "nn.Conv1d",
    "conv2d": "nn.Conv2d",
    "layer_norm": "nn.LayerNorm",
    "batch_norm": "nn.BatchNorm1d or nn.BatchNorm2d",
    "embedding": "nn.Embedding",
    "RNN": "nn.GRU or nn.LSTM",
    "BatchNorm3d": "BatchNorm2d over flattened dimensions, or GroupNorm",
    "InstanceNorm2d": "GroupNorm with num_groups = num_channels",
    "ReLU6": "nn.ReLU",
    "ELU": "nn.SiLU or nn.LeakyReLU",
    "Hardswish": "nn.SiLU",
    "Softplus": "nn.SiLU",
    "PReLU": "nn.LeakyReLU",
    "Dropout1d": "nn.Dropout",
    "Dropout2d": "nn.Dropout",
    "AdaptiveMaxPool2d": "nn.AdaptiveAvgPool2d",
    "TransformerDecoderLayer": "nn.TransformerEncoderLayer",
    "ConvTranspose2d": "nn.Conv2d and nn.Unflatten",
}.items()}

CONV = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups",
        "bias")
MAX_POOL = ("kernel_size", "stride", "padding", "dilation")
AVG_POOL = ("kernel_size", "stride", "padding", "count_include_pad")
BATCH_NORM = ("num_features", "eps", "momentum", "affine")
RECURRENT = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout",
             "bidirectional")
# Class -> (arguments that are written, attributes that must have this value).
PLAIN = {
    nn.Linear: (("in_features", "out_features", "bias"), {}),
    nn.Conv1d: (CONV, {"padding_mode": "zeros"}),
    nn.Conv2d: (CONV, {"padding_mode": "zeros"}),
    nn.MaxPool1d: (MAX_POOL, {"ceil_mode": False, "return_indices": False}),
    nn.MaxPool2d: (MAX_POOL, {"ceil_mode": False, "return_indices": False}),
    nn.AvgPool1d: (AVG_POOL, {"ceil_mode": False}),
    nn.AvgPool2d: (AVG_POOL, {"ceil_mode": False, "divisor_override": None}),
    nn.AdaptiveAvgPool1d: (("output_size",), {}),
    nn.AdaptiveAvgPool2d: (("output_size",), {}),
    nn.GroupNorm: (("num_groups", "num_channels", "eps", "affine"), {}),
    nn.LayerNorm: (("normalized_shape", "eps", "elementwise_affine"), {}),
    nn.BatchNorm1d: (BATCH_NORM, {"track_running_stats": True}),
    nn.BatchNorm2d: (BATCH_NORM, {"track_running_stats": True}),
    nn.ReLU: ((), {}),
    nn.LeakyReLU: (("negative_slope",), {}),
    nn.GELU: (("approximate",), {}),
    nn.SiLU: ((), {}),
    nn.Sigmoid: ((), {}),
    nn.Tanh: ((), {}),
    nn.Dropout: (("p",), {}),
    nn.Flatten: (("start_dim", "end_dim"), {}),
    nn.Unflatten: (("dim", "unflattened_size"), {}),
    nn.Embedding: (("num_embeddings", "embedding_dim", "padding_idx"),
                   {"max_norm": None, "scale_grad_by_freq": False, "sparse": False}),
    nn.LSTM: (RECURRENT, {"proj_size": 0, "batch_first": True}),
    nn.GRU: (RECURRENT, {"batch_first": True}),
    nn.MultiheadAttention: (("embed_dim", "num_heads", "dropout", "bias", "batch_first"),
                            {"batch_first": True, "bias_k": None, "bias_v": None,
                             "add_zero_attn": False, "_qkv_same_embed_dim": True}),
}


def argument(module, key):
    if key == "bias":  # a tensor, or a flag
        name = "in_proj_bias" if isinstance(module, nn.MultiheadAttention) else "bias"
        return getattr(module, name) is not None and getattr(module, name) is not False
    value = getattr(module, key)
    if key == "padding" and value == "same":
        wanted = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size)]
        if any(w % 2 for w in wanted):
            raise ConversionError('padding="same" with an even kernel pads one side more; use an '
                                  "odd kernel_size, or padding in numbers")
        return [w // 2 for w in wanted]
    if key == "padding" and value == "valid":
        return 0
    if isinstance(value, (tuple, list)):
        value = [int(v) for v in value]
        return value[0] if len(set(value)) == 1 and key not in ("unflattened_size",
                                                                "normalized_shape") else value
    return value


def tensors_of(module):
    kept = {"." + name: tensor for name, tensor in module.state_dict(keep_vars=True).items()
            if not name.endswith("num_batches_tracked")}
    wanted = {p.requires_grad for p in module.parameters()}
    if len(wanted) > 1:
        raise ConversionError("has some parameters with requires_grad and some without; a layer is "
                              "trained whole or not at all")
    return kept, wanted != {False}


def transformer_arguments(module):
    attention, norm = module.self_attn, module.norm1
    activation = getattr(module.activation, "__name__", type(module.activation).__name__).lower()
    if activation not in ("relu", "gelu"):
        raise ConversionError(f"activation {activation} is not supported; use relu or gelu")
    if not attention.batch_first:
        raise ConversionError("batch_first must be True")
    if module.linear1.bias is None:
        raise ConversionError("bias must be True")
    rates = {float(module.dropout.p), float(module.dropout1.p), float(module.dropout2.p),
             float(attention.dropout)}
    if len(rates) > 1:
        raise ConversionError(f"its dropout rates are {sorted(rates)}; they must be one")
    return {"d_model": attention.embed_dim, "nhead": attention.num_heads,
            "dim_feedforward": module.linear1.out_features, "dropout": float(module.dropout.p),
            "activation": activation, "layer_norm_eps": norm.eps, "batch_first": True,
            "norm_first": module.norm_first}


def layers_of_module(module, path, inputs):
    """The layers, each to be fed by the one before. Raises ConversionError."""
    if isinstance(module, nn.TransformerEncoder):
        layers = [layer for i, part in enumerate(module.layers)
                  for layer in layers_of_module(part, f"{path}.layers.{i}", inputs)]
        if module.norm is not None:
            layers += layers_of_module(module.norm, f"{path}.norm", inputs)
        return layers
    kind = type(module)
    if kind is nn.TransformerEncoderLayer:
        tensors, trainable = tensors_of(module)
        return [Layer(path, kind.__name__, transformer_arguments(module), inputs, tensors,
                      trainable)]
    if kind not in PLAIN:
        raise ConversionError(f"{kind.__name__} is not supported"
                              f"{USE_INSTEAD.get(kind.__name__, '')}")
    keys, fixed = PLAIN[kind]
    for key, wanted in fixed.items():
        if getattr(module, key, wanted) != wanted:
            raise ConversionError(f"{kind.__name__} with {key} = {getattr(module, key)} is not "
                                  f"supported; it must be {wanted}")
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) and module.momentum is None:
        raise ConversionError(f"{kind.__name__} with momentum = None is not supported; give a number")
    if kind is nn.LayerNorm and module.elementwise_affine and module.bias is None:
        raise ConversionError("LayerNorm with bias = False is not supported")
    arguments = {key: argument(module, key) for key in keys}
    arguments = {key: value for key, value in arguments.items() if value is not None}
    tensors, trainable = tensors_of(module)
    return [Layer(path, kind.__name__, arguments, inputs, tensors, trainable)]
