"""The auditor's path: from nothing but an invite to evidence, figures and a report; every fetch is on
the coordinator's record."""

import json
import re
import shutil
import unittest

from support import DISPROVED, FORKED, OK, REFUSED, USAGE, CrowdTest

INCOMPLETE = 7


class Auditor(CrowdTest):
    teacher_uses = 2

    def audit_program(self, *arguments, **options):
        return self.run_program("crowdteach-audit", *arguments, **options)

    def fetch(self, *arguments, **options):
        return self.audit_program("fetch", *arguments, "--home", self.dir / "vera", **options)

    def accesses(self, *arguments):
        lines = self.operator("accesses", "--format", "json", *arguments).splitlines()
        return [json.loads(line) for line in lines]

    def verify(self, what, expect=OK):
        return json.loads(self.audit_program("verify", what, "--key", self.vkey, "--format", "json",
                                             expect=expect))

    def play(self):
        """A campaign of one round, up to its end."""
        self.set_up_people()
        self.launch(rounds=1, teachers=2, quorum=2)
        self.watch()
        self.teachers = [self.teach("ada", shard="1/2"), self.teach("bob", shard="2/2")]
        self.until_phase("ended")

    def test_from_an_invite_to_a_report(self):
        self.play()
        evidence = self.dir / "evidence"
        invite = self.invite("auditor", name="vera")

        # Before the close: everything but what is secret until then.
        said = self.fetch("--invite", invite, "-o", evidence, "--artifacts", "--name", "vera")
        account = int(re.search(r"opened account (\d+)", said).group(1))
        self.assertIn("secret until the owner closes the campaign", said)
        self.assertRegex(said, r"artifacts: 4 artifacts fetched")  # two models, two updates
        first = self.verify(evidence)
        self.assertEqual(first["audit"], "ok")
        self.assertEqual(first["checked"]["models"], 1)
        self.assertEqual(first["checked"]["gradient_products"], 0)

        # After it, with nothing but the home: what is new, and no second account.
        self.close()
        for teacher in self.teachers:
            self.assertEqual(teacher.wait(), OK, teacher.log())
        said = self.fetch("-o", evidence, "--artifacts")
        self.assertNotIn("opened account", said)
        self.assertRegex(said, r"2 artifacts fetched .* 4 were here")  # gradient, validation set
        second = self.verify(evidence)
        self.assertEqual(second["audit"], "ok")
        self.assertEqual(second["checked"]["gradient_products"], 2)
        self.assertEqual(second["checked"]["validation_sets"], 1)
        exported = self.export()
        self.assertEqual((evidence / "log.bundle").read_bytes(),
                         (exported / "log.bundle").read_bytes())
        self.assertEqual(sorted(p.name for p in (evidence / "artifacts").iterdir()),
                         sorted(p.name for p in (exported / "artifacts").iterdir()))

        # Each fetch is recorded, the teachers' too, each once and by who it was.
        records = self.accesses()
        kinds = sorted(r["kind"] for r in records if r["account"] == account)
        self.assertEqual(kinds, ["gradient", "update", "update", "validation", "weights", "weights"])
        others = [r for r in records if r["account"] != account]
        self.assertEqual(len({r["account"] for r in others}), 2)  # ada and bob, the first model
        self.assertEqual({r["kind"] for r in others}, {"weights"})
        update = next(r for r in records if r["kind"] == "update")
        self.assertEqual(update["bytes"], (evidence / "artifacts" / update["digest"]).stat().st_size)
        self.assertEqual(len(self.accesses("--digest", update["digest"])), 1)

        # Figures, one teacher's receipt, and a page for people.
        csv = self.audit_program("show", evidence, "--key", self.vkey, "--format", "csv")
        self.assertEqual(len(csv.splitlines()), 3)
        receipt = sorted((self.dir / "ada" / "receipts").glob("*.proof"))[-1]
        self.assertIn("proven: this entry is in the log",
                      self.audit_program("receipt", receipt, "--key", self.vkey))
        page = self.dir / "report.html"
        self.audit_program("report", evidence, "--key", self.vkey, "-o", page)
        self.assertIn("<strong>Verified</strong>", page.read_text())
        again = self.dir / "again.html"
        self.audit_program("report", evidence, "--key", self.vkey, "-o", again)
        self.assertEqual(page.read_bytes(), again.read_bytes())

    def test_no_clean_report_of_evidence_that_does_not_verify(self):
        self.play()
        self.close()
        page = self.dir / "report.html"
        evidence = self.export()
        report = ("report", evidence, "--key", self.vkey, "-o", page)
        update = next(p for p in (evidence / "artifacts").iterdir())
        whole = update.read_bytes()
        update.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        self.assertIn("no report is written", self.audit_program(*report, expect=DISPROVED))
        self.assertFalse(page.exists())
        update.unlink()
        self.audit_program(*report, expect=INCOMPLETE)
        self.assertIn("Verified in part", page.read_text())

    def test_without_an_invite_and_with_others_invites(self):
        self.play()
        web = self.ports[1]
        bundle = self.dir / "log.bundle"
        said = self.audit_program("fetch", f"https://{web}", "-o", bundle, "--key", self.vkey)
        self.assertIn("verified:", said)
        # Nobody in particular may read nothing in particular, and that is no error.
        said = self.audit_program("fetch", web, "-o", self.dir / "public", "--key", self.vkey,
                                  "--artifacts")
        self.assertIn("0 artifacts fetched", said)
        self.assertIn("by the terms for auditors and the owner", said)
        self.assertEqual([r for r in self.accesses() if r["account"] is None], [])
        # A teacher's invite tells where and whom to trust, and is not used up.
        said = self.audit_program("fetch", "--invite", self.teacher_invite, "-o", bundle)
        self.assertIn("verified:", said)
        said = self.fetch("--invite", self.teacher_invite, "-o", self.dir / "x", "--artifacts",
                          expect=REFUSED)
        self.assert_refused(said, "an invite for the role teacher is not used up here",
                            "--role auditor")
        # An account that `crowdteach join` made is good here, with what it may read.
        said = self.audit_program("fetch", "--home", self.dir / "owner", "-o", self.dir / "o",
                                  "--artifacts")
        self.assertRegex(said, r"4 artifacts fetched")
        self.audit_program("fetch", "-o", bundle, expect=USAGE)

    def test_a_log_that_does_not_continue_what_was_seen(self):
        self.set_up_people()
        invite = self.invite("auditor", name="vera", uses=2)
        self.fetch("--invite", invite, "-o", self.dir / "first", "--artifacts")
        # Another auditor, who gives no name either.
        said = self.audit_program("fetch", "--invite", invite, "--home", self.dir / "walt", "-o",
                                  self.dir / "walts", "--artifacts")
        self.assertRegex(said, r"opened account \d+ \(auditor-[0-9a-f]{4}\)")
        backup = self.dir / "backup"
        shutil.copytree(self.home, backup, ignore=shutil.ignore_patterns("*.sock", "lock"))
        self.issue("owner", 1)
        self.fetch("-o", self.dir / "first", "--artifacts")
        # The coordinator comes back from the older copy.
        self.coordinator.kill9()
        shutil.rmtree(self.home)
        shutil.copytree(backup, self.home)
        self.start_coordinator()
        said = self.fetch("-o", self.dir / "second", "--artifacts", expect=FORKED)
        self.assert_refused(said, "it was rolled back", "two heads signed by the log's key")
        self.issue("owner", 2)
        said = self.fetch("-o", self.dir / "second", "--artifacts", expect=FORKED)
        self.assert_refused(said, "changed or forked")
        said = self.audit_program("fetch", self.ports[1], "--key", self.vkey, "-o",
                                  self.dir / "first", expect=FORKED)
        self.assert_refused(said, "changed or forked")


if __name__ == "__main__":
    unittest.main()
