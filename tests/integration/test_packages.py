"""The Debian packages' contents and control data; manual pages and completion of the real programs.

scripts/package-test installs the packages and runs a campaign with them.
"""

import gzip
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CROWDTEACH_BUILD") or ROOT / "build/release")
PROGRAMS = {"crowdteach": 1, "crowdteach-audit": 1, "crowdteachd": 8}


def output(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, text=True,
                          stdout=subprocess.PIPE, **options).stdout


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="packages-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        epoch = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        output("cpack", "-G", "DEB", "--config", BUILD / "CPackConfig.cmake", "-B", cls.dir, env=epoch)
        cls.files, cls.fields, cls.scripts = {}, {}, {}
        for deb in cls.dir.glob("*.deb"):
            fields = dict(re.findall(r"^(\S+): (.*)$", output("dpkg-deb", "-f", deb), re.M))
            listing = [line.split(None, 5) for line in output("dpkg-deb", "-c", deb).splitlines()]
            cls.files[fields["Package"]] = {
                row[5].removeprefix(".").split(" -> ")[0]: row[:2] for row in listing}
            cls.fields[fields["Package"]] = fields
            cls.scripts[fields["Package"]] = output("dpkg-deb", "-I", deb)

    def depends(self, package):
        return {part.split()[0] for part in self.fields[package]["Depends"].split(", ")}

    def test_which_packages(self):
        self.assertEqual(set(self.files), {"crowdteach", "crowdteachd", "crowdteach-worker",
                                           "crowdteach-audit", "libcrowdteach0", "libcrowdteach-dev"})
        release = re.search(r'VERSION_ID="(\d+)"', pathlib.Path("/etc/os-release").read_text())[1]
        version = output(BUILD / "bin/crowdteachd", "--version").split()[1]
        for package, fields in self.fields.items():
            with self.subTest(package):
                self.assertEqual(fields["Version"], f"{version}-1~deb{release}")
                self.assertEqual(fields["Architecture"], output("dpkg", "--print-architecture").strip())
                self.assertTrue({"Maintainer", "Section", "Priority", "Description"} <= set(fields))
                self.assertIn(f"/usr/share/doc/{package}/copyright", self.files[package])

    def test_what_they_need(self):
        for package in ("crowdteach", "crowdteachd", "libcrowdteach0"):
            self.assertEqual("crowdteach-worker" in self.depends(package), package[0] == "c")
            self.assertTrue(any(name.startswith("libgrpc++") for name in self.depends(package)))
            self.assertFalse(any("torch" in name for name in self.depends(package)))
        worker = self.depends("crowdteach-worker")
        self.assertTrue(any(name.startswith("libtorch") for name in worker), worker)
        self.assertIn("libopenblas0-openmp", worker)
        for name in self.depends("crowdteach-audit"):
            self.assertNotRegex(name, "grpc|torch|crowdteach")
        self.assertTrue({"libcrowdteach0", "libabsl-dev"} <= self.depends("libcrowdteach-dev"))
        self.assertIn("adduser", self.depends("crowdteachd"))
        for package in self.fields:
            for name in self.depends(package) - {"libabsl-dev"}:
                self.assertNotRegex(name, r"^(gcc|g\+\+|clang|.*-dev)(-\d+)?$")

    def test_what_they_hold(self):
        for program, section in PROGRAMS.items():
            held = self.files[program]
            self.assertIn(f"/usr/share/man/man{section}/{program}.{section}.gz", held)
            self.assertIn(f"/usr/share/bash-completion/completions/{program}", held)
            self.assertIn(f"/usr/share/zsh/vendor-completions/_{program.replace('-', '_')}", held)
            self.assertIn(f"/usr/share/fish/vendor_completions.d/{program}.fish", held)
        for program in (*PROGRAMS, "crowdteach-worker"):
            self.assertEqual(self.files[program][f"/usr/bin/{program}"], ["-rwxr-xr-x", "root/root"])
        self.assertIn("/usr/lib/systemd/system/crowdteachd.service", {
            path.replace("/lib/systemd", "/usr/lib/systemd", 1) if path.startswith("/lib") else path
            for path in self.files["crowdteachd"]})
        for script in ("postinst", "prerm", "postrm"):
            self.assertRegex(self.scripts["crowdteachd"], rf"\b{script}\b")
        libraries = {path.rsplit("/", 1)[1]: path for path in self.files["libcrowdteach0"]
                     if ".so" in path}
        self.assertIn("libcrowdteach.so.0", libraries)
        self.assertRegex(libraries["libcrowdteach.so.0"], r"^/usr/lib/[^/]+-linux-gnu/")
        self.assertIn("shlibs", self.scripts["libcrowdteach0"])
        self.assertTrue(any(path.endswith("/libcrowdteach.so") for path in self.files["libcrowdteach-dev"]))
        self.assertIn("/usr/include/crowdteach/teacher.h", self.files["libcrowdteach-dev"])

    def test_no_file_is_in_two_packages(self):
        owners = {}
        for package, files in self.files.items():
            for path, (mode, owner) in files.items():
                self.assertEqual(owner, "root/root")
                if mode.startswith("d"):
                    self.assertEqual(mode, "drwxr-xr-x", path)
                else:
                    self.assertNotIn(path, owners)
                    owners[path] = package
                    self.assertRegex(mode, "^(-rwxr-xr-x|-rw-r--r--|lrwxrwxrwx)$", path)


class Documentation(unittest.TestCase):
    """Against --help, which people see."""

    def commands(self, program):
        text = output(BUILD / "bin" / program, "--help")
        return re.findall(r"^  ([a-z][a-z-]+) ", text.split("Subcommands:\n")[1].split("\n\n")[0], re.M)

    def test_pages_and_completion_name_every_command_and_option(self):
        for program, section in PROGRAMS.items():
            page = gzip.decompress(
                (BUILD / f"documentation/{program}.{section}.gz").read_bytes()).decode()
            page = page.replace("\\-", "-")
            shells = {shell: (BUILD / f"documentation/{program}.{shell}").read_text()
                      for shell in ("bash", "zsh", "fish")}
            self.assertGreater(len(self.commands(program)), 5)
            for command in self.commands(program):
                text = output(BUILD / "bin" / program, command, "--help").split("Examples:")[0]
                self.assertIn(f".SS {command}\n", page)
                for option in re.findall(r"^  (?:-\w,)?--([a-z][a-z-]+)", text, re.M):
                    with self.subTest(program=program, command=command, option=option):
                        own = page.split(f".SS {command}\n")[1].split(".SS ")[0]
                        self.assertIn(f"\\fB--{option}\\fR", own)
                        for shell in ("bash", "zsh"):
                            self.assertRegex(shells[shell], rf'" {command}"\) choices="[^"]*--{option}\b')
                        self.assertIn(f"__fish_seen_subcommand_from {command}' -l {option}\n",
                                      shells["fish"])

    def test_defaults_are_the_readers(self):
        page = gzip.decompress((BUILD / "documentation/crowdteach.1.gz").read_bytes()).decode()
        self.assertIn("[~/.crowdteach]", page)
        self.assertIn("(default: your user name)", page)

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_pages_are_clean(self):
        for program, section in PROGRAMS.items():
            page = gzip.decompress((BUILD / f"documentation/{program}.{section}.gz").read_bytes())
            done = subprocess.run(["groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-z"], input=page,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
            self.assertEqual(done.stdout.decode(), "", program)

    def test_shells_take_the_scripts(self):
        for program in PROGRAMS:
            for shell in ("bash", "zsh", "fish"):
                if shutil.which(shell):
                    output(shell, "-n", BUILD / f"documentation/{program}.{shell}")
        script = BUILD / "documentation/crowdteachd.bash"
        words = output("bash", "-c", f"source {script}; COMP_WORDS=(crowdteachd serve --web-l) "
                       'COMP_CWORD=2; _crowdteachd; echo "${COMPREPLY[@]}"')
        self.assertEqual(words, "--web-listen\n")

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd is not installed")
    def test_the_service_is_confined(self):
        unit = ROOT / "scripts/debian/crowdteachd.service"
        output("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit)


if __name__ == "__main__":
    unittest.main()
