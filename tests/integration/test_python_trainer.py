"""examples/python_trainer beside the built-in trainer, in one campaign, with as much data each."""

import gzip
import os
import random
import unittest

from support import FASHION_MNIST, OK, ROOT, CrowdTest

TRAIN = ROOT / "examples/python_trainer/train.py"
SEED = int(os.environ.get("CROWDTEACH_TEST_SEED", 7))  # the result holds for any: see its README


class PythonTrainer(CrowdTest):
    teacher_uses = 2

    def share(self, name, chosen, images, labels):
        """A folder with the chosen examples of Fashion-MNIST."""
        folder = self.dir / f"{name}-data"
        folder.mkdir()
        count = len(chosen).to_bytes(4, "big")
        with gzip.open(folder / "train-images-idx3-ubyte.gz", "wb", 1) as file:
            file.write(images[:4] + count + images[8:16])
            for i in chosen:
                file.write(images[16 + 784 * i:16 + 784 * (i + 1)])
        with gzip.open(folder / "train-labels-idx1-ubyte.gz", "wb", 1) as file:
            file.write(labels[:4] + count + bytes(labels[8 + i] for i in chosen))
        return folder

    def test_it_earns_more_than_the_built_in_trainer(self):
        images = gzip.open(FASHION_MNIST / "train-images-idx3-ubyte.gz").read()
        labels = gzip.open(FASHION_MNIST / "train-labels-idx1-ubyte.gz").read()
        chosen = random.Random(SEED).sample(range(60_000), 4_000)
        self.set_up_people()
        self.launch(seed=SEED, rounds=3, teachers=2, quorum=2, local__steps=20, validation__limit=1000)
        teachers = []
        for name, mine, trainer in [
                ("built-in", chosen[:2_000], []),
                ("python", chosen[2_000:], ["--trainer", f"'{TRAIN}' {{base}} {{out}} {{data}}"])]:
            data = self.share(name, mine, images, labels)
            teachers.append(self.spawn(
                name, "crowdteach", "teach", "--home", self.dir / name, "--invite",
                self.teacher_invite, "--name", name, "--yes", "--seed", SEED, "--data", data,
                *trainer))
        self.watch()
        self.until_phase("ended", patience_s=300)
        self.close()
        for teacher in teachers:
            self.assertEqual(teacher.wait(), OK, teacher.log())
        (campaign,) = self.audited()["campaigns"]
        self.assertEqual(len(campaign["rounds"]), 3)
        scores = {teacher["name"]: teacher["score_nats"] for teacher in campaign["teachers"]}
        print(f"seed {SEED}: {scores}")
        self.assertGreater(scores["built-in"], 0)
        self.assertGreater(scores["python"], scores["built-in"])


if __name__ == "__main__":
    unittest.main()
