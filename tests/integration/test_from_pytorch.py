"""examples/from_pytorch: modules in the forms people write, what is refused and how, and its README."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import BIN, ROOT

sys.path.insert(0, str(ROOT / "examples/from_pytorch"))
sys.dont_write_bytecode = True

try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    if sys.executable != "/usr/bin/python3":  # Debian's, which may have what another lacks
        os.execv("/usr/bin/python3", ["/usr/bin/python3", "-B", *sys.argv])
    print("not tested: Debian's python3-torch is not installed")
    sys.exit(0)

from from_pytorch import convert  # noqa: E402
from graph_to_layers import ConversionError  # noqa: E402


class Forms(nn.Module):
    """Functional forms, a ReLU used twice, pools, concatenation, a mean."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.norm = nn.GroupNorm(2, 8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        a = self.relu(self.conv1(x))
        b = self.relu(self.conv2(a)) + a
        c = torch.cat([F.max_pool2d(a, 2), F.avg_pool2d(b, kernel_size=2)], dim=1)
        c = F.leaky_relu(F.gelu(self.norm(c), approximate="tanh"), 0.1)
        return self.fc(F.silu(c.mean(dim=(2, 3)).tanh().sigmoid()))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(50, 6, padding_idx=0)
        self.lstm = nn.LSTM(6, 5, num_layers=2, batch_first=True, dropout=0.3)
        self.fc = nn.Linear(10, 3)

    def forward(self, x):
        out, (h, _) = self.lstm(self.token(x.long()))
        return self.fc(torch.cat((h[-1], out[:, 0]), -1))


class Gru(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 3)
        self.gru = nn.GRU(4, 5, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(10, 2)

    def forward(self, x):
        x = self.conv(x.unsqueeze(1)).transpose(1, 2)
        out, _ = self.gru(x)
        return F.log_softmax(self.fc(out[:, -1, :]), dim=-1)


class Vit(nn.Module):
    """Patches, a class token, learnt and fixed positions, a stack of encoder layers."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(1, 8, 4, stride=4)
        self.cls = nn.Parameter(torch.randn(1, 1, 8))
        self.pos = nn.Parameter(torch.randn(1, 20, 8))
        self.register_buffer("wave", torch.sin(torch.arange(17.0)).reshape(17, 1).repeat(1, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.patch(x).flatten(2).permute(0, 2, 1)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1)
        x = x + self.pos[:, :x.shape[1]] + self.wave
        x = self.encoder(x)
        y, _ = self.attention(x, x, x, need_weights=False)
        return self.fc((x + y)[:, 0])


class Positions(nn.Module):
    """Positions by an Embedding of a range."""

    def __init__(self):
        super().__init__()
        self.token, self.place = nn.Embedding(30, 4), nn.Embedding(7, 4)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(28, 2))

    def forward(self, x):
        return self.head(self.token(x) + self.place(torch.arange(x.size(1))))


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Identity(), nn.Tanh())
        self.features.requires_grad_(False)
        self.training_head = nn.Linear(8, 3)

    def forward(self, x):
        return self.training_head(self.features(x))


class Masked(nn.Module):
    """An argument that is left out, and shapes taken apart."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(2, 3, 3, padding="same"), nn.Linear(3, 2)

    def forward(self, x, mask=None, scale: float = 1.0):
        b, c, h, w = x.shape
        x = self.conv(x).reshape(b, 3, h * w).transpose(1, 2)
        if mask is not None:
            x = x * mask
        return self.fc(x.mean(1) if scale == 1.0 else x[:, 0])


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x, y):
        return self.fc(x + y)


def wrap(function, **modules):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            for name, module in modules.items():
                setattr(self, name, module)

        def forward(self, x):
            return function(self, x)
    return Wrapped()


def tied():
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    module[1].weight = module[0].weight
    return module


def broken():
    module = nn.Sequential(nn.Linear(4, 2))
    module[0].bias.data[1] = float("nan")
    return module


class FromPytorch(unittest.TestCase):
    def converted(self, module, shape):
        with torch.no_grad():  # nothing that is 0 or 1 by default hides a mistake
            for name, tensor in module.state_dict().items():
                if tensor.is_floating_point():
                    tensor.copy_(torch.rand_like(tensor) + 0.1 if name.endswith("running_var")
                                 else torch.randn_like(tensor) / 2)
        result = convert(module, shape)
        with tempfile.TemporaryDirectory() as folder:
            result.write(folder)
            self.assertEqual(sorted(path.name for path in Path(folder).iterdir()
                                    if path.is_file()),
                             ["load_model.py", "model.safetensors", "model.toml"])
            # Ours takes them, too, and the weights are canonical: exporting changes no byte.
            weights, again = f"{folder}/model.safetensors", f"{folder}/again"
            done = subprocess.run([BIN / "crowdteach", "model", "--model", f"{folder}/model.toml",
                                   "--weights", weights, "-o", again],
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(Path(weights).read_bytes(),
                             Path(f"{again}/model.safetensors").read_bytes())
        return result

    def test_forms(self):
        for module, shape in ((Forms(), (3, 8, 8)), (Lstm(), (9,)), (Gru(), (12,)),
                              (Vit(), (1, 16, 16)), (Positions(), (7,)), (Frozen(), (6,)),
                              (Masked(), (2, 5, 5)), (nn.Linear(4, 2), (4,)),
                              (nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), (3, 4))):
            with self.subTest(type(module).__name__):
                self.converted(module, shape)

    def test_state_dict_names_stay(self):
        for module, shape in ((Forms(), (3, 8, 8)), (Lstm(), (9,)), (Frozen(), (6,))):
            names = {name for name in module.state_dict() if not name.endswith("batches_tracked")}
            self.assertEqual(set(self.converted(module, shape).tensors), names)
        vit = self.converted(Vit(), (1, 16, 16)).tensors
        self.assertLessEqual({"cls", "pos", "wave", "encoder.layers.1.norm2.bias",
                              "attention.out_proj.weight"}, set(vit))
        self.assertEqual(list(vit["pos"].shape), [1, 17, 8])

    def test_frozen_stays_frozen(self):
        toml = self.converted(Frozen(), (6,)).toml
        self.assertEqual(toml.count("trainable = false"), 2)
        self.assertIn("trainable = false", self.converted(Vit(), (1, 16, 16)).toml)  # the wave

    def test_refusals_say_where_and_what_instead(self):
        flat, shared = nn.Flatten(), nn.Linear(4, 4)
        cases = [
            (nn.Sequential(nn.Linear(4, 4), nn.Softplus(), nn.Linear(4, 2)),
             "module '1'", "Softplus is not supported; use nn.SiLU"),
            (wrap(lambda m, x: m.fc(x * 2), fc=nn.Linear(4, 2)),
             "test_from_pytorch.py:", "mul is not supported; use nn.Linear"),
            (wrap(lambda m, x: torch.softmax(m.fc(x), -1), fc=nn.Linear(4, 2)),
             "softmax is not supported; use the logits"),
            (wrap(lambda m, x: m.fc(x) if x.sum() > 0 else x, fc=nn.Linear(4, 2)),
             "cannot be traced", "branch"),
            (wrap(lambda m, x: m.fc(m.a(m.a(x))), a=shared, fc=nn.Linear(4, 2)),
             "module 'a'", "is used twice"),
            (wrap(lambda m, x: m.fc(m.r(x.unsqueeze(1))[0][:, -1]), r=nn.GRU(4, 3),
                  fc=nn.Linear(3, 2)), "module 'r'", "batch_first"),
            (wrap(lambda m, x: m.fc(m.r(x.unsqueeze(1))[1][-1]),
                  r=nn.GRU(4, 3, batch_first=True, bidirectional=True), fc=nn.Linear(3, 2)),
             "only h[-1], without bidirectional"),
            (wrap(lambda m, x: m.fc(x.mean(0).unsqueeze(0)), fc=nn.Linear(4, 2)),
             "a mean over the batch"),
            (wrap(lambda m, x: (m.fc(x), x), fc=nn.Linear(4, 2)), "return the logits alone"),
            (TwoInputs(), "forward takes a second argument, 'y'"),
            (wrap(lambda m, x: (x.relu_(), m.fc(x))[1], fc=nn.Linear(4, 2)),
             "changes its input in place; write x = x.relu("),
            (nn.Sequential(nn.Linear(4, 1)), "one logit a class"),
            (nn.Sequential(nn.Linear(5, 2)), "module '0'", "fails on a random batch"),
            (wrap(lambda m, x: m.fc(x) + m.fc.bias.unsqueeze(0)[:, :1], fc=nn.Linear(4, 2)),
             "spreads the parameter 'fc.bias'"),
            (tied(), "'0.weight' and '1.weight' are one parameter"),
            (wrap(lambda m, x: m.fc(x + 1) if m.training else m.fc(x), fc=nn.Linear(4, 2)),
             "something else in training"),
            (wrap(lambda m, x: m.fc(F.dropout(x, 0.5)), fc=nn.Linear(4, 2)),
             "drops values in eval mode, too"),
            (nn.Sequential(nn.Linear(4, 2)).requires_grad_(False), "no parameter can be trained"),
        ]
        for module, *parts in cases:
            with self.assertRaises(ConversionError) as caught:
                self.converted(module, (4,))
            for part in parts:
                self.assertIn(part, str(caught.exception))
        with self.assertRaises(ConversionError) as caught:
            self.converted(nn.Sequential(nn.Conv2d(1, 1, 3, padding_mode="reflect"), flat,
                                         nn.Linear(4, 2)), (1, 4, 4))
        self.assertIn("padding_mode = reflect is not supported; it must be zeros",
                      str(caught.exception))

    def test_weights_that_are_no_numbers(self):
        with self.assertRaisesRegex(ConversionError, "'0.bias' holds a value that is not finite"):
            convert(broken(), (4,))

    def test_dropout_rates_of_a_transformer(self):
        layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        layer.dropout1.p = 0.7
        module = nn.Sequential(layer, nn.Flatten(), nn.Linear(8, 2))
        with self.assertRaisesRegex(ConversionError, "its dropout rates are .*; they must be one"):
            self.converted(module, (2, 4))

    def test_dropout_by_function_and_what_is_not_used(self):
        module = wrap(lambda m, x: m.fc(F.dropout(x, 0.5, training=m.training)),
                      fc=nn.Linear(4, 2), aux=nn.Linear(4, 3))
        converted = self.converted(module, (4,))
        self.assertIn('type = "Dropout"', converted.toml)
        self.assertTrue(any("left out: aux.weight, aux.bias" in note for note in converted.notes))

    def test_readme(self):
        """Its commands, word for word, in one shell."""
        text = (ROOT / "examples/from_pytorch/README.md").read_text()
        commands = "\n".join(part.split("```")[0] for part in text.split("```sh\n")[1:])
        self.assertIn("--dry-run", commands)
        with tempfile.TemporaryDirectory() as folder:
            for name in ("examples", "learning"):
                (Path(folder) / name).symlink_to(ROOT / name)
            environment = dict(os.environ, PATH=f"{BIN}:/usr/bin:/bin",
                               PYTHONDONTWRITEBYTECODE="1")
            done = subprocess.run(["bash", "-euc", commands], cwd=folder, env=environment,
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("logits differ by", done.stdout)
            self.assertIn("note: log_softmax at the end is left out", done.stdout)

    def test_refusals_name_the_users_line(self):
        script = ROOT / "examples/from_pytorch/from_pytorch.py"
        with tempfile.TemporaryDirectory() as folder:
            net = Path(folder) / "mine.py"
            net.write_text("import torch\n"
                           "class Inner(torch.nn.Module):\n"
                           "    def forward(self, x):\n"
                           "        return torch.sort(x)[0]\n"
                           "class Net(torch.nn.Module):\n"
                           "    def __init__(self):\n"
                           "        super().__init__()\n"
                           "        self.inner, self.fc = Inner(), torch.nn.Linear(4, 2)\n"
                           "    def forward(self, x):\n"
                           "        return self.fc(self.inner(x))\n"
                           "def normed():\n"
                           "    return torch.nn.utils.weight_norm(torch.nn.Linear(4, 2))\n")
            done = subprocess.run([sys.executable, "-B", script, f"{net}:Net", "--input", "4", "-o",
                                   folder], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(f"{net}:4: `return torch.sort(x)[0]`", done.stderr)
            done = subprocess.run([sys.executable, "-B", script, f"{net}:normed", "--input", "4",
                                   "-o", folder], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertNotIn("Traceback", done.stderr)
            self.assertIn("from_pytorch: ", done.stderr)

    def test_command_line_errors(self):
        script = ROOT / "examples/from_pytorch/from_pytorch.py"
        net = ROOT / "examples/from_pytorch/fashion_net.py"
        with tempfile.TemporaryDirectory() as folder:
            for arguments, code, part in (
                    ([f"{net}:make_model", "--input", "1,x"], 2, "must be 1 to 4 sizes"),
                    ([f"{net}:other", "--input", "1,28,28"], 2, "has no 'other'"),
                    ([f"{net}", "--input", "1,28,28"], 2, "must be FILE.py:FUNCTION"),
                    (["none.py:f", "--input", "1,28,28"], 2, "no Python file"),
                    ([f"{net}:make_model", "--input", "1,20,20"], 1, "fails on a random batch")):
                done = subprocess.run([sys.executable, "-B", script, *arguments, "-o", folder],
                                      capture_output=True, text=True)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(part, done.stderr)
                self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
