"""What earlier versions exported is still verified and shown as they did: tests/recorded/v*. Fields
may be added to the JSON, none may go or change. test_recorded (C++) replays homes and sessions."""

import json
import shutil
import subprocess
import sys
import tempfile
import unittest

from support import BIN, ROOT

RECORDED = sorted(path for path in (ROOT / "tests/recorded").glob("v[0-9]*") if path.is_dir())


class Recorded(unittest.TestCase):
    def run_audit(self, version, command, path):
        done = subprocess.run(
            [BIN / "crowdteach-audit", command, path, "--key", version / "log.vkey", "--format",
             "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        return done.returncode, json.loads(done.stdout)

    def still_there(self, recorded, now, where=""):
        """Each field of `recorded` is in `now` with its value."""
        if isinstance(recorded, dict):
            for key, value in recorded.items():
                self.assertIn(key, now, where)
                self.still_there(value, now[key], f"{where}.{key}")
        elif isinstance(recorded, list):
            self.assertEqual(len(recorded), len(now), where)
            for i, value in enumerate(recorded):
                self.still_there(value, now[i], f"{where}[{i}]")
        elif where.rpartition(".")[2] not in ("reason", "why"):  # words for people may get better
            self.assertEqual(recorded, now, where)

    def test_versions(self):
        self.assertTrue(RECORDED)
        for version in RECORDED:
            for command in ("verify", "show"):
                with self.subTest(version=version.name, command=command):
                    code, now = self.run_audit(version, command, version / "export")
                    self.assertEqual(code, 0)
                    self.still_there(json.loads((version / f"{command}.json").read_text()), now)

    def test_second_verifier(self):
        for version in RECORDED:
            with self.subTest(version=version.name):
                subprocess.run([sys.executable, ROOT / "scripts/verify_bundle.py",
                                version / "export/log.bundle", "--key", version / "log.vkey"],
                               check=True, timeout=60, stdout=subprocess.DEVNULL)

    def test_every_changed_artifact_is_found(self):
        version = RECORDED[-1]
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copytree(version / "export", f"{folder}/export")
            artifacts = sorted((version / "export/artifacts").iterdir())
            self.assertTrue(artifacts)
            for artifact in artifacts:
                path = f"{copy}/artifacts/{artifact.name}"
                with open(path, "wb") as changed:
                    changed.write(b"x" + artifact.read_bytes()[1:])
                code, _ = self.run_audit(version, "verify", copy)
                self.assertNotEqual(code, 0, artifact.name)
                shutil.copy(artifact, path)


if __name__ == "__main__":
    unittest.main()
