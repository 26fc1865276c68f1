"""Whoever is late, the model is the same to the last bit; and Python alone recomputes it."""

import itertools
import subprocess
import sys
import unittest

from support import OK, ROOT, CrowdTest, status_is

sys.path.insert(0, str(ROOT / "scripts"))
from recompute_model import blob_digest  # noqa: E402


class SameModel(CrowdTest):
    teacher_uses = 2

    def campaign(self, late):
        """Two rounds; `late` stands still in round 1 until the other has committed."""
        self.dir, self.ports = self.base / late, ("127.0.0.1:0", "127.0.0.1:0")
        self.dir.mkdir()
        self.set_up_people()
        self.launch(rounds=2, teachers=2, quorum=2)
        teachers = {}
        for name in ("ada", "bob"):  # accounts in this order, whoever is late
            self.join(name, self.teacher_invite)
        self.watch()
        for name in (late, "bob" if late == "ada" else "ada"):
            shard, limit = {"ada": ("1/2", 200), "bob": ("2/2", 300)}[name]
            teachers[name] = self.teach(name, shard=shard, limit=limit)
            if name == late:
                self.until(lambda view: any(t["connected"] for t in view["teachers"]), name)
                teachers[name].stop()
            else:
                self.until(status_is(name, "committed"), f"commitment of {name}")
        teachers[late].resume()
        self.until_phase("ended")
        self.close()
        for teacher in teachers.values():
            self.assertEqual(teacher.wait(), OK, teacher.log())
        shown = self.audited()["campaigns"][0]
        self.views.end()
        self.views = None
        self.coordinator.kill9()
        return shown

    def test_delays_change_nothing(self):
        self.base = self.dir
        first, second = self.campaign("ada"), self.campaign("bob")
        self.assertEqual(first["model_digest"], second["model_digest"])
        self.assertEqual(first["loss"][0], second["loss"][0])
        self.recompute(second)

    def recompute(self, shown):
        """Finds the last round's model among what Python makes of the artifacts."""
        artifacts = [path for path in (self.dir / "export").rglob("*") if path.is_file()]
        weights, updates = [], []
        for path in artifacts:
            content = path.read_bytes()
            for kind, found in (("weights", weights), ("update", updates)):
                if blob_digest(kind, content) in path.name:
                    found.append(path)
        self.assertEqual((len(weights), len(updates)), (3, 4))
        seats = [f"{seat['weight']},{seat['clip_factor']}"
                 for seat in shown["rounds"][-1]["teachers"]]
        bases = [path for path in weights if shown["model_digest"] not in path.name]
        self.assertEqual((len(seats), len(bases)), (2, 2))
        made = set()
        for base, pair in itertools.product(bases, itertools.permutations(updates, 2)):
            arguments = [part for path, seat in zip(pair, seats)
                         for part in ("--update", f"{path},{seat}")]
            done = subprocess.run(
                [sys.executable, "-B", ROOT / "scripts/recompute_model.py", "--base", base,
                 "--scale-bits", "24", *arguments], capture_output=True, text=True, check=True)
            made.add(done.stdout.strip())
            if shown["model_digest"] in made:
                return
        self.fail(f"none of {made} is the model of the last round, {shown['model_digest']}")


if __name__ == "__main__":
    unittest.main()
