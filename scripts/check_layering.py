#!/usr/bin/python3
"""Which file may include what, and a few words that must not stand in any file.

The arrows are proto <- {ledger, learning} <- {server, client} <- {examples, tests}; ledger and
learning do not know each other, nor do server and client. Each third-party library stays in the
few files named below. ARCHITECTURE.md tells the reasons. scripts/layering_exceptions.txt holds
what is still wrong; a line there that is no longer needed, or a longer list, is an error too.

  scripts/check_layering.py             checks every tracked or new file, exit status 1 on findings
  scripts/check_layering.py --selftest  runs tests/unit/scripts/check_layering_test.py
"""

import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXCEPTIONS = "scripts/layering_exceptions.txt"
LONG_FILE_LINES = 400

# A main program ties libraries together, so it may know any of them.
MAIN = r"(server|client|ledger|learning)/([^/]+/)*([^/]*_)?main\.cc"
# A program: its main and the commands it offers. It may link any library but the opposite end's.
PROGRAM = (MAIN + r"|(server|client|ledger|learning)/([^/]+/)*"
           r"(commands?/.*|([^/]*_)?commands?\.(cc|h)|commands?_[^/]*)")
# Text for people on standard output: tables, JSON, CSV.
OUTPUT = (r"(client|server|ledger)/([^/]+/)*"
          r"(commands?/[^/]*|([^/]*_)?(main|show|report|output|print|format|command|json)[^/]*)"
          r"\.(cc|h)")

# (folder, what it may include of ours); the first folder that fits counts.
PROTO = r"proto/base/|crowdteach/v1/"
ARROWS = [
    (r"proto/base/", r"proto/base/"),
    (r"proto/wire/", PROTO + r"|proto/wire/"),
    (r"proto/cli/", r"proto/(base|cli)/"),
    # What crowdteach-audit asks a coordinator for, and whom it trusts in that.
    (r"ledger/audit/fetch_", PROTO + r"|proto/wire/(invite|certificates)\.h"
                             r"|ledger/|learning/(?!worker/)"),
    # The auditor recomputes what learning's exact half computed.
    (r"ledger/audit/", PROTO + r"|ledger/|learning/(?!worker/)"),
    (r"ledger/", PROTO + r"|ledger/(?!audit/)"),
    (r"learning/worker/", PROTO + r"|learning/"),
    (r"learning/", PROTO + r"|learning/(?!worker/)"),
    (r"server/", PROTO + r"|proto/wire/|ledger/|learning/(?!worker/)|server/"),
    # The public header stands alone; examples know what is installed, and no more.
    (r"client/teacher\.h", r"(?!)"),
    (r"client/", PROTO + r"|proto/wire/|ledger/|learning/(?!worker/)|client/"),
    (r"examples/", r"crowdteach/teacher\.h"),
]
OURS = re.compile(r"(proto|crowdteach|ledger|learning|server|client|examples|tests|scripts)/")

# (library, its headers, the files that may include them). Tests may include what they test.
THIRD_PARTY = [
    ("Torch", r"(torch|ATen|c10|caffe2)/", r"learning/worker/torch_[^/]*"),
    ("gRPC", r"(grpc|grpcpp)/|.*\.grpc\.pb\.h$",
     r"proto/wire/.*|server/rpc/.*|client/grpc_[^/]*|" + MAIN),
    ("SQLite", r"sqlite3", r"(.*/)?sqlite_[^/]*"),
    ("OpenSSL", r"openssl/",
     r"proto/base/[^/]*\.cc|ledger/([^/]+/)*[^/]*signature[^/]*\.cc|proto/wire/[^/]*\.cc"),
    ("HTTP", r"httplib", r"server/web/.*|ledger/http_[^/]*|" + MAIN),
    ("JSON", r"nlohmann/",
     r"server/web/.*|ledger/http_[^/]*|learning/model/safetensors[^/]*|" + OUTPUT),
    ("libpng", r"png\.h", r"learning/data/png\.cc"),
    ("libjpeg", r"(jpeglib|jerror)\.h", r"learning/data/jpeg\.cc"),
    ("libzip", r"zip\.h", r"learning/data/npz\.cc"),
    ("Boost", r"boost/", r"learning/score/rational\.cc"),
    ("seccomp", r"seccomp|linux/seccomp", r"learning/worker/.*"),
    ("CLI11", r"CLI/", r"proto/cli/.*|" + PROGRAM),
    ("Catch2", r"catch2/", r"tests/support/.*"),
]

# (what it is, pattern, advice); looked for in every text file.
WORDS = [
    ("unowned note", re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))"),
     "do it, or write TODO(#N) with the number of an issue"),
    ("path of one machine", re.compile(r"(?<![\w.$}/-])/(work|home/\w+|root)/"),
     "take the path from an argument or from the checkout"),
]
WORDS_EXEMPT = {"scripts/check_layering.py", "tests/unit/scripts/check_layering_test.py"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def check_include(path, header):
    """Returns why the file at `path` may not include `header`, or None. Both root-relative."""
    if path.startswith("tests/"):
        return None if not re.match(r"catch2/", header) or path.startswith("tests/support/") else (
            'Catch2 is included through "tests/support/catch.h"')
    for library, headers, allowed in THIRD_PARTY:
        if re.match(headers, header) and not re.fullmatch(allowed, path):
            return f"{library} is not allowed in this file"
    if not OURS.match(header):
        return None
    if re.match(r"learning/worker/torch_", header) and not path.startswith("learning/worker/"):
        return "only learning/worker/ may include its torch_* headers"
    if re.fullmatch(PROGRAM, path):
        opposite = {"server": "client/", "client": "server/"}.get(path.split("/")[0])
        if opposite and header.startswith(opposite):
            return f"{path.split('/')[0]} never includes {opposite}"
        return None
    for folder, allowed in ARROWS:
        if re.match(folder, path):
            return None if re.match(allowed, header) else f"{folder} may not know {header}"
    return f"no rule for a source file here: add its folder to scripts/check_layering.py"


def check_source(path, text):
    """Returns the findings in one C++ file as (exception key or None, message)."""
    findings = []
    if path.endswith(".h") and "#pragma once" not in text:
        findings.append((None, f"{path}:1: a header starts with #pragma once"))
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start(2)) + 1
        quote, header = match.groups()
        why = check_include(path, header)
        if why is None and quote == '"' and "/" not in header:
            why = "our includes are relative to the root"
        if why:
            findings.append((f"{path} -> {header}", f"{path}:{line}: {header}: {why}"))
    return findings


def check_words(path, text):
    """Returns the forbidden words in one text file as messages."""
    if path in WORDS_EXEMPT:
        return []
    findings = []
    for number, line in enumerate(text.split("\n"), 1):
        for what, pattern, advice in WORDS:
            if pattern.search(line):
                findings.append(f"{path}:{number}: {what}: {advice}")
    return findings


def read_exceptions(text):
    """`path -> header` lines; what follows '#' says why and until when."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return {line for line in lines if line}


def git(*arguments):
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)


def earlier_exceptions():
    """The list before this change: where the branch left origin/main, or one commit ago."""
    base = git("merge-base", "origin/main", "HEAD").stdout.strip()
    if not base or base == git("rev-parse", "HEAD").stdout.strip():
        base = "HEAD" if git("diff", "--quiet", "HEAD", "--", EXCEPTIONS).returncode else "HEAD~1"
    shown = git("show", f"{base}:{EXCEPTIONS}")
    return read_exceptions(shown.stdout) if shown.returncode == 0 else None


def main():
    listed = git("ls-files", "--cached", "--others", "--exclude-standard", "-z").stdout.split("\0")
    paths = sorted(path for path in set(listed) if path and (ROOT / path).is_file())
    exceptions = read_exceptions((ROOT / EXCEPTIONS).read_text())
    problems, used, long_files, sources = [], set(), [], 0
    for path in paths:
        try:
            text = (ROOT / path).read_text()
        except UnicodeDecodeError:
            continue  # data, not text
        problems += check_words(path, text)
        if not path.endswith((".h", ".cc")):
            continue
        sources += 1
        if (lines := text.count("\n")) > LONG_FILE_LINES:
            long_files.append(f"{path} ({lines})")
        for key, message in check_source(path, text):
            if key in exceptions:
                used.add(key)
            else:
                problems.append(message)
    problems += [f"{EXCEPTIONS}: no longer needed, remove: {key}"
                 for key in sorted(exceptions - used)]
    earlier = earlier_exceptions()
    if earlier is not None and exceptions - earlier:
        problems += [f"{EXCEPTIONS}: the list may only shrink, new: {key}"
                     for key in sorted(exceptions - earlier)]
    for problem in problems:
        print(problem)
    if long_files:
        print(f"layering: longer than {LONG_FILE_LINES} lines, consider a split: "
              + ", ".join(long_files))
    print(f"layering: {sources} source files, {len(exceptions)} exceptions, "
          f"{len(problems)} findings")
    return 1 if problems else 0


def selftest():
    sys.path.insert(0, str(ROOT / "scripts"))
    sys.dont_write_bytecode = True
    suite = unittest.defaultTestLoader.discover(str(ROOT / "tests/unit/scripts"), "*_test.py")
    result = unittest.TextTestRunner(verbosity=0).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(selftest() if sys.argv[1:] == ["--selftest"] else main())
