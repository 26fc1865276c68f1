"""Campaigns with a saboteur and a free rider, on a table, and with a scoring worker that dies."""

import json
import os
import random
import signal
import time
import unittest

from support import OK, CrowdTest, status_is, teacher_in, wait_for, workers_of


class LostCover(CrowdTest):
    stake_grant = 10
    teacher_uses = 2

    def test_a_round_that_cannot_be_filled_any_more(self):
        self.set_up_people()
        self.launch(rounds=2, teachers=2, quorum=2, stake=10, min_cover=10)
        self.watch("owner")
        ada, sam = self.teach("ada"), self.teach("sam", "--behaviour", "sign-flip")
        view = self.until(status_is("sam", "rejected: uncovered"), "loss of sam's cover")
        self.assertEqual(teacher_in(view, "sam")["stake_credits"], 0)
        self.assertEqual((view["ready"], view["quorum"], view["settled_rounds"]), (1, 2, 0))
        wait_for(lambda: "earnings and stake: both are lost" in sam.log(), "word of it")
        shown = self.spawn("shown", "crowdteach", "watch", "--home", self.dir / "owner")
        wait_for(lambda: "needs 2 teachers with cover and has 1" in shown.log(), "a line of watch")
        shown.signal(signal.SIGINT)
        shown.wait()
        self.assertEqual(self.wallet_of("sam")["charged"], 10)
        # Its owner ends it; nobody else is charged for it.
        self.crowdteach("close", "owner", "--yes", "--until", "refunded")
        for teacher in (ada, sam):
            self.assertEqual(teacher.wait(), OK, teacher.log())
        self.assertEqual(self.credits_of("owner"), 30000)

    def wallet_of(self, who):
        wallet = json.loads(self.crowdteach("wallet", who, "--format", "json"))
        return wallet["campaigns"][0]


class Scores(CrowdTest):
    teacher_uses = 4

    def finish(self, teachers):
        self.until_phase("ended")
        self.close()
        for teacher in teachers:
            self.assertEqual(teacher.wait(), OK, teacher.log())
        return self.audited()["campaigns"][0]

    def test_zero_and_sign_flip(self):
        self.set_up_people()
        self.launch(rounds=2, teachers=4, quorum=3, commit='"60s"')
        self.watch()
        names = {"ada": "honest", "bob": "honest", "zoe": "zero", "sam": "sign-flip"}
        teachers = [self.teach(name, "--behaviour", behaviour, shard=f"{i + 1}/4")
                    for i, (name, behaviour) in enumerate(names.items())]
        shown = self.finish(teachers)
        self.assertEqual(shown["settled_rounds"], 2)
        for one in shown["rounds"]:
            seats = {seat["name"]: seat for seat in one["teachers"]}
            self.assertEqual(seats["zoe"]["score_nats"], 0)
            self.assertEqual(seats["zoe"]["reward_credits"], 0)
            if "sam" in seats:  # its stake may no longer cover a round
                self.assertLess(seats["sam"]["score_nats"], 0)
            for name in ("ada", "bob"):
                self.assertGreater(seats[name]["score_nats"], 0)
        totals = {teacher["name"]: teacher for teacher in shown["teachers"]}
        self.assertLess(totals["sam"]["stake_credits"], self.stake_grant)
        self.assertEqual(totals["zoe"]["stake_credits"], self.stake_grant)
        for view in self.every_view():
            for teacher in view["teachers"]:
                if teacher["name"] == "zoe":
                    self.assertEqual(teacher["score_nats"], 0)

    def table(self, name, rows, seed):
        """Two classes, told apart by eight columns; their order is each file's own."""
        draw = random.Random(seed)
        columns = [f"x{i}" for i in range(8)] + ["diagnosis"]
        draw.shuffle(columns)
        lines = [",".join(columns)]
        for row in range(rows):
            label = ("benign", "malignant")[row % 2]
            centre = 1.0 if label == "malignant" else -1.0
            # Half of the columns fall where the others rise: mixed up, they would cancel out.
            values = {f"x{i}": f"{draw.gauss(centre if i < 4 else -centre, 1):.4f}"
                      for i in range(8)} | {"diagnosis": label}
            lines.append(",".join(values[column] for column in columns))
        path = self.dir / name
        path.write_text("\n".join(lines) + "\n")
        return path

    def test_a_table(self):
        model = self.dir / "model.toml"
        model.write_text('[model]\nname = "table"\ninput = [8]\nloss = "cross-entropy"\n'
                         '[[layer]]\nname = "fc1"\ntype = "Linear"\nin_features = 8\n'
                         'out_features = 16\n[[layer]]\nname = "act"\ntype = "ReLU"\n'
                         '[[layer]]\nname = "fc2"\ntype = "Linear"\nin_features = 16\n'
                         'out_features = 2\n')
        validation = self.table("validation.csv", 200, seed=1)
        campaign = self.dir / "campaign.toml"
        campaign.write_text(
            'name = "table"\nmodel = "model.toml"\nrounds = 2\nteachers = 2\nquorum = 2\n'
            'dispute = "100ms"\nnorm-cap = 10.0\nbudget = 20000\ncredits-per-nat = 10000\n'
            'stake = 1000\n[data]\ninput-shape = [8]\nfeature-type = "float32"\n'
            'classes = ["benign", "malignant"]\ncsv-label-column = "diagnosis"\n'
            '[local]\nlearning-rate = 0.1\nsteps = 30\n'
            f'[validation]\npath = {json.dumps(validation.name)}\n')
        self.set_up_people()
        self.launch(campaign)
        self.watch()
        teachers = [self.teach(name, data=self.table(f"{name}.csv", 300, seed), limit=None)
                    for seed, name in ((2, "ada"), (3, "bob"))]
        shown = self.finish(teachers)
        self.assertEqual(shown["settled_rounds"], 2)
        self.assertGreater(shown["accuracy"][-1], 0.9)

    def kill_scorers(self, until):
        """Kills every scoring worker of the coordinator until `until` holds."""
        deadline = time.monotonic() + 90
        killed = 0
        while not until():
            self.assertLess(time.monotonic(), deadline, "nothing follows from the killed workers")
            if self.views.all[-1]["round_phase"] == "score":
                for worker in workers_of(self.coordinator.pid):
                    os.kill(worker, signal.SIGKILL)
                    killed += 1
            time.sleep(0.02)
        return killed

    def test_scoring_worker_killed(self):
        self.set_up_people()
        self.launch(rounds=2, teachers=1, quorum=1, max_aborts=10)
        self.watch()
        ada = self.teach("ada")
        self.until(status_is("ada", "revealed"), "update of ada")
        killed = self.kill_scorers(lambda: "worker failed" in ada.log())
        self.assertGreaterEqual(killed, 2)  # it is tried twice
        self.until(lambda view: view["settled_rounds"] >= 1, "settled round")
        shown = self.finish([ada])
        self.assertEqual(shown["settled_rounds"], 2)
        self.assertEqual(shown["rounds"][0]["outcome"], "aborted: worker failed")


if __name__ == "__main__":
    unittest.main()
