"""A module as TorchScript with a model.toml that lists its tensors: the way in for modules that
model.toml's layers cannot express; see from_pytorch.py."""

import copy
import hashlib
import io

import torch

from module_layers import ConversionError

CHUNK = 1 << 20


def blob_digest(kind, data):
    """crowdteach's digest of a blob: RFC 6962's tree over chunks of 1 MiB, under a name."""
    def root(hashes):
        if len(hashes) == 1:
            return hashes[0]
        left = 1 << ((len(hashes) - 1).bit_length() - 1)
        return hashlib.sha256(b"\1" + root(hashes[:left]) + root(hashes[left:])).digest()

    leaves = [hashlib.sha256(b"\0" + data[begin:begin + CHUNK]).digest()
              for begin in range(0, len(data), CHUNK)]
    head = f"crowdteach/v1/blob/{kind}\n".encode() + len(data).to_bytes(8, "big")
    return hashlib.sha256(head + root(leaves)).hexdigest()


class Scripted:
    """A module's TorchScript: `tensors` by name, `frozen` and `statistics` among their names,
    `code` the bytes of model.pt, in which the tensors' values are 0."""

    def __init__(self, module, input_shape):
        module = copy.deepcopy(module).cpu()
        if not isinstance(module, torch.jit.ScriptModule):
            try:
                module = torch.jit.script(module)
            except Exception as error:
                raise ConversionError(f"TorchScript does not take the module: {error}\nWhere it "
                                      "only branches on shapes, torch.jit.trace may; let FUNCTION "
                                      "return that") from error
        self.sample, logits = self._try(module.eval(), input_shape)
        if logits.dim() != 2 or len(logits) != 2 or logits.shape[1] < 2 or \
                logits.dtype != torch.float32:
            raise ConversionError(f"a batch of two gives {logits.dtype} {list(logits.shape)}; "
                                  "float32 logits are needed, one a class, [2, classes]")
        self.classes, self.logits = logits.shape[1], logits
        self.tensors, self.frozen = {}, set()
        self._check_shared(module)
        for name, parameter in module.named_parameters():
            self._take(name, parameter)
            if not parameter.requires_grad:
                self.frozen.add(name)
        buffers = {name: buffer for name, buffer in module.named_buffers()
                   if buffer.dtype == torch.float32}
        for name, buffer in buffers.items():
            self._take(name, buffer)
        self.statistics = self._moved_in_training(module, set(buffers))
        self.frozen |= set(buffers) - self.statistics
        if not set(self.tensors) - self.frozen - self.statistics:
            raise ConversionError("no parameter can be trained: requires_grad is False for all")
        with torch.no_grad():
            for name, tensor in (*module.named_parameters(), *buffers.items()):
                tensor.zero_()
        file = io.BytesIO()
        torch.jit.save(module.eval(), file)
        self.code = file.getvalue()

    @staticmethod
    def _check_shared(module):
        """named_parameters() leaves a second name out; the program would miss it later."""
        places = {}
        for name, tensor in module.state_dict(keep_vars=True).items():
            if tensor.numel() == 0:
                continue
            other = places.setdefault((tensor.data_ptr(), tensor.shape), name)
            if other != name:
                raise ConversionError(f"'{other}' and '{name}' share their values; a campaign "
                                      "averages each tensor by itself, so keep one")

    def _take(self, name, tensor):
        if tensor.dtype != torch.float32 or tensor.dim() == 0:
            raise ConversionError(f"'{name}' is {tensor.dtype} {list(tensor.shape)}; parameters "
                                  "must be float32, with one dimension at least")
        storage = tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else \
            tensor.storage()
        for other, (pointer, _) in self.tensors.items():
            if pointer == storage.data_ptr():
                raise ConversionError(f"'{other}' and '{name}' share their values; a campaign "
                                      "averages each tensor by itself, so keep one")
        self.tensors[name] = (storage.data_ptr(), tensor.detach().clone())

    @staticmethod
    def _try(module, input_shape):
        numbers = torch.randn(2, *input_shape, generator=torch.Generator().manual_seed(1))
        for sample in (numbers, torch.zeros_like(numbers)):  # where the input is indices
            try:
                with torch.no_grad():
                    return sample, module(sample.clone())
            except Exception as error:
                why = str(error).strip().splitlines()[-1]
        raise ConversionError(f"the module fails on a float32 batch [2, "
                              f"{', '.join(map(str, input_shape))}]: {why}")

    def _moved_in_training(self, module, names):
        trial = copy.deepcopy(module).train()
        with torch.no_grad():
            trial(self.sample.clone())
        return {name for name, buffer in trial.named_buffers()
                if name in names and not torch.equal(buffer, self.tensors[name][1])}

    def toml(self, name, input_shape, quote):
        """The text of model.toml; `quote` turns a value into TOML."""
        lines = ["# TorchScript: teachers and the coordinator run it only with --allow-model-code.",
                 "[model]", f"name = {quote(name)}", f"input = {quote(list(input_shape))}",
                 'loss = "cross-entropy"', 'kind = "code"', f"classes = {self.classes}",
                 f"code = {quote(blob_digest('code', self.code))}",
                 f"code_bytes = {len(self.code)}"]
        for key in sorted(self.tensors):
            shape = list(self.tensors[key][1].shape)
            lines += ["", "[[tensor]]", f"name = {quote(key)}", f"shape = {quote(shape)}"]
            if key in self.frozen:
                lines.append("trainable = false")
            if key in self.statistics:
                lines.append("statistic = true")
        return "\n".join(lines) + "\n"
