"""What the programs are linked to."""

import subprocess
import unittest

from support import BIN


def libraries_of(program):
    """The names of the shared libraries; not where they were mapped, which is random."""
    done = subprocess.run(["ldd", BIN / program], capture_output=True, text=True, check=True)
    return "\n".join(line.split()[0] for line in done.stdout.splitlines())


class Programs(unittest.TestCase):
    def test_torch_only_in_the_worker(self):
        self.assertIn("libtorch", libraries_of("crowdteach-worker"))
        for program in ("crowdteach", "crowdteachd", "crowdteach-audit"):
            for word in ("torch", "libc10", "openblas", "caffe2"):
                self.assertNotIn(word, libraries_of(program).lower(), program)

    def test_no_grpc_in_the_audit(self):
        self.assertIn("libgrpc", libraries_of("crowdteachd"))
        self.assertNotIn("libgrpc", libraries_of("crowdteach-audit"))


if __name__ == "__main__":
    unittest.main()
