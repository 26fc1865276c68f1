#include <cstdio>
#include <memory>

#include "ledger/audit/commands.h"
#include "ledger/audit/replay.h"
#include "ledger/file_io.h"
#include "ledger/http_fetch.h"

namespace crowdteach::audit {
namespace {

struct FetchCommandOptions {
  std::string address;
  std::string output;
  std::string key;
  std::string timeout = "10m";
  uint64_t max_bytes = uint64_t{1} << 34;
};

StatusOr<int> RunFetch(const FetchCommandOptions& options) {
  const bool verifies = !options.key.empty();
  ledger::VerifierKey key;
  if (verifies) {
    CT_ASSIGN_OR_RETURN(key, PinnedKey(options.key));
  }
  CT_ASSIGN_OR_RETURN(const ledger::Address address, ledger::ParseAddress(options.address));
  ledger::FetchOptions fetch;
  fetch.host = address.host;
  fetch.port = address.port;
  fetch.path = "/bundle";
  fetch.output = options.output + ".tmp";
  fetch.max_bytes = options.max_bytes;
  CT_ASSIGN_OR_RETURN(fetch.timeout_ms, cli::ParseDuration(options.timeout));
  CT_ASSIGN_OR_RETURN(const uint64_t bytes, ledger::FetchToFile(fetch));
  std::string verdict = "not verified: run crowdteach-audit verify with --key before you trust it";
  if (verifies) {
    CT_ASSIGN_OR_RETURN(const ledger::ByteSource source, ledger::FileSource(fetch.output));
    CT_ASSIGN_OR_RETURN(const Replay replay, ReplayBundle(source, key));
    if (const auto& fault = replay.verdict.fault) {
      return DataLoss("what {} sent does not verify (kept as {}): {}{}{}: {}", options.address,
                      fetch.output, fault->region, fault->part.empty() ? "" : " ", fault->part,
                      fault->reason);
    }
    verdict = fmt::format("verified: {} entries", replay.verdict.entries);
  }
  if (std::rename(fetch.output.c_str(), options.output.c_str()) != 0) {
    return ErrnoStatus(errno, options.output);
  }
  CT_RETURN_IF_ERROR(ledger::SyncParentOf(options.output));
  fmt::print("{}: {} bytes, {}\n", options.output, bytes, verdict);
  return kExitOk;
}

}  // namespace

void AddFetch(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<FetchCommandOptions>();
  CLI::App* command =
      app.add_subcommand("fetch", "Gets the bundle of a running coordinator from its HTTPS port");
  command->add_option("address", options->address, "The HTTPS port")
      ->required()
      ->type_name("HOST:PORT");
  command->add_option("-o,--output", options->output, "File to write")
      ->required()
      ->type_name("FILE");
  AddKeyOption(command, options->key);
  command->add_option("--timeout", options->timeout, "For all of it: 30s, 10m")
      ->capture_default_str()
      ->check(cli::CheckDuration);
  command->add_option("--max-bytes", options->max_bytes, "Longer answers are refused")
      ->capture_default_str();
  cli::SetExamples(
      command,
      "  crowdteach-audit fetch teach.example.org:7701 -o log.bundle --key "
      "log.vkey\n"
      "The server's certificate is not checked, and need not be: the log key proves the "
      "bundle,\nwherever it came from.\n");
  command->callback([options, &action] { action = [options] { return RunFetch(*options); }; });
}

}  // namespace crowdteach::audit
