"""The rules of scripts/check_layering.py, each on an include that it must allow and forbid."""

import unittest

import check_layering as layering


class IncludeTest(unittest.TestCase):
    def allowed(self, path, header):
        self.assertIsNone(layering.check_include(path, header), f"{path} -> {header}")

    def forbidden(self, path, header):
        self.assertIsNotNone(layering.check_include(path, header), f"{path} -> {header}")

    def test_arrows_point_one_way(self):
        self.allowed("ledger/state.cc", "proto/base/status.h")
        self.allowed("learning/layout.cc", "crowdteach/v1/worker.pb.h")
        self.allowed("server/coordinator.cc", "ledger/state.h")
        self.allowed("client/session.cc", "learning/layout.h")
        self.forbidden("proto/base/bytes.cc", "ledger/state.h")
        self.forbidden("proto/base/bytes.cc", "crowdteach/v1/ledger.pb.h")
        self.forbidden("ledger/state.cc", "server/coordinator.h")
        self.forbidden("learning/layout.cc", "tests/support/catch.h")

    def test_siblings_do_not_know_each_other(self):
        self.forbidden("ledger/state.cc", "learning/layout.h")
        self.forbidden("learning/layout.cc", "ledger/state.h")
        self.forbidden("server/coordinator.cc", "client/session.h")
        self.forbidden("client/session.cc", "server/coordinator.h")
        self.forbidden("client/crowdteach_main.cc", "server/coordinator.h")

    def test_a_main_may_know_any_library(self):
        self.allowed("ledger/audit_main.cc", "learning/aggregate/fedavg.h")
        self.allowed("ledger/main.cc", "learning/aggregate/fedavg.h")
        self.allowed("ledger/commands/verify.cc", "learning/aggregate/fedavg.h")
        self.allowed("ledger/verify_command.cc", "proto/cli/cli.h")
        self.allowed("ledger/audit/replay.cc", "learning/score/rational.h")
        self.forbidden("ledger/audit/replay.cc", "learning/worker/sandbox.h")
        self.forbidden("ledger/state.cc", "ledger/audit/history.h")
        self.forbidden("ledger/domain.cc", "learning/aggregate/fedavg.h")
        self.forbidden("ledger/state.cc", "proto/cli/cli.h")

    def test_the_worker_is_reached_by_its_protocol_only(self):
        self.allowed("server/scoring.cc", "learning/worker_channel.h")
        self.forbidden("server/scoring.cc", "learning/worker/sandbox.h")
        self.forbidden("learning/layout.cc", "learning/worker/sandbox.h")
        self.forbidden("server/crowdteachd_main.cc", "learning/worker/torch_model.h")

    def test_third_party_stays_where_it_belongs(self):
        self.allowed("learning/worker/torch_model.cc", "torch/script.h")
        self.forbidden("learning/worker/loop.cc", "ATen/ATen.h")
        self.forbidden("server/scoring.cc", "torch/torch.h")
        self.allowed("server/rpc/service.cc", "grpcpp/grpcpp.h")
        self.allowed("client/grpc_session.cc", "crowdteach/v1/coordinator.grpc.pb.h")
        self.forbidden("client/session.h", "crowdteach/v1/coordinator.grpc.pb.h")
        self.forbidden("ledger/log.cc", "grpcpp/grpcpp.h")
        self.allowed("ledger/sqlite_log_store.cc", "sqlite3.h")
        self.forbidden("ledger/log_store.cc", "sqlite3.h")
        self.allowed("proto/base/digest.cc", "openssl/evp.h")
        self.forbidden("proto/base/digest.h", "openssl/evp.h")
        self.forbidden("ledger/log.cc", "openssl/evp.h")
        self.allowed("learning/model/safetensors.cc", "nlohmann/json.hpp")
        self.forbidden("learning/model/model_spec.cc", "nlohmann/json.hpp")
        self.allowed("ledger/http_fetch.cc", "httplib.h")
        self.forbidden("server/rpc/service.cc", "httplib.h")
        self.allowed("learning/score/rational.cc", "boost/multiprecision/cpp_int.hpp")
        self.forbidden("learning/score/shapley.cc", "boost/multiprecision/cpp_int.hpp")

    def test_tests_reach_catch2_through_one_header(self):
        self.allowed("tests/unit/ledger/log_test.cc", "tests/support/catch.h")
        self.allowed("tests/unit/ledger/log_test.cc", "sqlite3.h")
        self.forbidden("tests/unit/ledger/log_test.cc", "catch2/catch.hpp")

    def test_a_source_in_an_unknown_folder_is_a_finding(self):
        self.forbidden("stray/file.cc", "ledger/state.h")


class FileTest(unittest.TestCase):
    def test_findings_name_line_and_exception_key(self):
        text = '#pragma once\n// #include "server/no.h"\n#  include "server/coordinator.h"\n'
        self.assertEqual(
            [key for key, _ in layering.check_source("ledger/x.h", text)],
            ["ledger/x.h -> server/coordinator.h"])
        self.assertIn("ledger/x.h:3:", layering.check_source("ledger/x.h", text)[0][1])

    def test_header_guard_and_relative_include(self):
        self.assertEqual(len(layering.check_source("ledger/x.h", "int x;\n")), 1)
        self.assertEqual(len(layering.check_source("ledger/x.cc", '#include "x.h"\n')), 1)

    def test_words(self):
        for bad in ("// TODO: later", "// FIXME(me)", "open('/work/main/x')", "cd /root/x",
                    "see /home/ann/x"):
            self.assertEqual(len(layering.check_words("a.md", bad)), 1, bad)
        for good in ("// TODO(#12): later", "https://example.org/work/x", "$HOME/work/x",
                     "a/root/b", "/var/lib/x"):
            self.assertEqual(layering.check_words("a.md", good), [], good)

    def test_exceptions_hold_a_reason(self):
        self.assertEqual(layering.read_exceptions("# head\na.cc -> b.h  # why, #3\n\n"),
                         {"a.cc -> b.h"})


if __name__ == "__main__":
    unittest.main()
