"""Campaigns of models unlike the shipped ones: with BatchNorm, whose statistics are averaged; and as
code (TorchScript), which runs only where it is allowed."""

import json
import subprocess
import unittest

from support import FASHION_MNIST, IO, OK, REFUSED, ROOT, USAGE, CrowdTest

FROM_PYTORCH = ROOT / "examples/from_pytorch"
PYTHON = "/usr/bin/python3"  # Debian's, which has python3-torch
ALLOW = "--allow-model-code"


class BatchNorm(CrowdTest):
    teacher_uses = 2

    def test_statistics_are_averaged(self):
        self.set_up_people()
        self.launch(model=json.dumps(str(ROOT / "examples/models/cnn-batchnorm/model.toml")),
                    rounds=3, teachers=2, quorum=2, norm_cap=20, local__steps=20)
        self.watch()
        hands = [self.teach(name, shard=f"{i}/2") for i, name in enumerate(("ada", "bob"), 1)]
        ended = self.until_phase("ended")
        self.close()
        for hand in hands:
            self.assertEqual(hand.wait(), OK, hand.log())
        self.assertLess(ended["history"][-1]["loss_nats"], ended["history"][0]["loss_nats"] - 0.3)
        self.assertEqual(self.audited()["campaigns"][0]["settled_rounds"], 3)
        self.crowdteach("model", "owner", "--campaign", ended["campaign"], "-o", self.dir / "model")
        values = (self.dir / "model/model.safetensors").read_bytes()
        self.assertIn(b"running_mean", values[:4096])


@unittest.skipIf(subprocess.run([PYTHON, "-c", "import torch"], capture_output=True).returncode,
                 "Debian's python3-torch is not installed")
class Code(CrowdTest):
    teacher_uses = 3

    def setUp(self):
        super().setUp()
        self.model = self.dir / "looped-net"
        self.python(FROM_PYTORCH / "from_pytorch.py", f"{FROM_PYTORCH}/looped_net.py:make_model",
                    "--input", "1,28,28", "-o", self.model, "--script")
        self.terms = {"model": json.dumps(str(self.model / "model.toml")),
                      "weights": json.dumps(str(self.model / "model.safetensors"))}

    def python(self, *arguments, expect=0):
        done = subprocess.run([PYTHON, "-B", *map(str, arguments)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, expect, done.stdout)
        return done.stdout

    def start(self, *options):
        launch = [part for key, value in {**self.terms, "validation.limit": 200, "rounds": 3,
                                          "teachers": 2, "quorum": 2, "local.steps": 10,
                                          "norm-cap": 20, "dispute": '"100ms"'}.items()
                  for part in ("--set", f"{key}={value}")]
        return lambda expect=OK, *more: self.crowdteach(
            "launch", "owner", ROOT / "examples/fashion-mnist/campaign.toml", *launch, *options,
            *more, expect=expect)

    def test_a_campaign(self):
        self.set_up_people()
        said = self.start()(USAGE)
        self.assert_refused(said, "TorchScript", "sandbox", ALLOW)
        launch = self.start(ALLOW)
        said = launch(REFUSED)  # by a coordinator that was not told to
        self.assert_refused(said, "TorchScript", ALLOW)
        self.coordinator.signal(15)
        self.assertEqual(self.coordinator.wait(), OK)
        self.start_coordinator(ALLOW)
        self.assertIn("a program by the owner", launch(OK, "--dry-run"))
        launch(OK)
        self.watch()

        check = ("check-data", "ada", "--invite", self.teacher_invite, "--data",
                 f"{FASHION_MNIST}:t10k", "--limit", 300)
        self.assert_refused(self.crowdteach(*check, expect=USAGE), "TorchScript", ALLOW)
        ready = self.crowdteach(*check, ALLOW)
        self.assertIn("ready: join with", ready)
        self.assertIn(ALLOW, ready.rsplit("ready: join with")[1])

        careful = self.teach("eve")
        self.assertEqual(careful.wait(), USAGE, careful.log())
        self.assert_refused(careful.log(), "TorchScript", ALLOW)
        self.assertNotIn("enrolled", careful.log())
        hands = [self.teach(name, ALLOW, shard=f"{i}/2")
                 for i, name in enumerate(("ada", "bob"), 1)]
        ended = self.until_phase("ended")
        self.close()
        for hand in hands:
            self.assertEqual(hand.wait(), OK, hand.log())
        self.assertIn("a program by the owner", hands[0].log())
        self.assertEqual(ended["settled_rounds"], 3)
        self.assertLess(ended["history"][-1]["loss_nats"], ended["history"][0]["loss_nats"] - 0.2)
        self.assertTrue(all(teacher["score_nats"] > 0 for teacher in ended["teachers"]), ended)
        self.assertEqual(self.audited()["campaigns"][0]["settled_rounds"], 3)

        code = (self.model / "model.pt").read_bytes()
        self.assertIn(code, [path.read_bytes() for path in
                             (self.dir / "export/artifacts").rglob("*") if path.is_file()])
        out = self.dir / "trained"
        self.crowdteach("model", "owner", "--campaign", ended["campaign"], "-o", out)
        self.assertEqual((out / "model.pt").read_bytes(), code)
        self.assert_refused(self.python(out / "load_model.py", expect=1), "model.pt", ALLOW)
        self.assertIn("LoopedNet", self.python(out / "load_model.py", ALLOW))

    def dry_run(self, forward):
        """What launch says of a linear layer whose forward ends with these lines."""
        net = self.dir / "net.py"
        net.write_text("import torch\n"
                       "class Net(torch.nn.Module):\n"
                       "    def __init__(self):\n"
                       "        super().__init__()\n"
                       "        self.fc = torch.nn.Linear(784, 10)\n"
                       "    def forward(self, x):\n"
                       "        y = self.fc(x.flatten(1))\n"
                       f"        return {forward}\n")
        self.python(FROM_PYTORCH / "from_pytorch.py", f"{net}:Net", "--input", "1,28,28", "-o",
                    self.model, "--script")
        return self.start(ALLOW, "--dry-run")(USAGE)

    def test_code_that_cannot_be_trained(self):
        """The owner is told, before teachers enrol."""
        self.assert_refused(self.dry_run("y.detach()"), "a step of training",
                            "does not require grad")
        self.assert_refused(self.dry_run("y * float('nan') if self.training else y"),
                            "a step of training is not finite", "in training?")

    def test_what_does_not_fit(self):
        self.start_coordinator(ALLOW)
        self.join("owner", self.invite("owner"))
        launch = self.start(ALLOW, "--dry-run")
        code = self.model / "model.pt"
        whole = code.read_bytes()
        code.write_bytes(whole[:-1] + b"?")
        said = launch(USAGE)
        self.assert_refused(said, str(code), "its digest", "model.toml")
        code.write_bytes(whole + b"?")
        said = launch(USAGE)
        self.assert_refused(said, str(code), f"{len(whole) + 1} bytes", "model.toml")
        code.unlink()
        said = launch(IO)
        self.assert_refused(said, str(code), "No such file")
        code.write_bytes(whole)
        said = launch(USAGE, "--no-sandbox")
        self.assert_refused(said, "--no-sandbox", ALLOW)
        self.terms.pop("weights")
        said = self.start(ALLOW, "--dry-run")(USAGE)
        self.assert_refused(said, "first weights", 'weights = "model.safetensors"')


if __name__ == "__main__":
    unittest.main()
