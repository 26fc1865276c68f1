// Durable entries a second and replay: prints one line a figure.
//
//   bench_ledger FOLDER [SECONDS]     FOLDER is made, filled and left for the caller to remove
//
// "store" is SQLite alone with 300-byte entries; "log" is the coordinator's whole path: the
// signature check, rules, postings, tree, commit, and one signed head a commit.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <thread>

#include "ledger/bundle.h"
#include "ledger/checkpoint.h"
#include "ledger/log.h"
#include "ledger/merkle.h"
#include "ledger/signatures_ahead.h"
#include "ledger/sqlite_log_store.h"
#include "proto/base/assert.h"

namespace crowdteach::ledger {
namespace {

constexpr uint64_t kStartMs = 1'700'000'000'000;
constexpr size_t kBatch = 256;

template <typename T>
T Must(StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "bench_ledger: %s\n", Message(value.status()).c_str());
    std::exit(1);
  }
  return *std::move(value);
}
void Must(const Status& status) { Must<int>(status.ok() ? StatusOr<int>(0) : status); }

double SecondsOf(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Repeats `step`, which appends `count` entries, for `seconds`; entries a second.
double Rate(double seconds, size_t count, const std::function<void()>& step) {
  size_t steps = 0;
  double passed = 0;
  while (passed < seconds) {
    passed += SecondsOf(step);
    ++steps;
  }
  return static_cast<double>(steps * count) / passed;
}

void Print(const std::string& what, double rate) {
  std::printf("%-34s %9.0f entries/s\n", what.c_str(), rate);
}

void BenchStore(const std::string& folder, double seconds) {
  const auto store = Must(SqliteLogStore::Open({.path = folder + "/store.db"}));
  AppendRequest request;
  request.epoch = Must(store->Claim());
  const auto append = [&] {
    Must(store->Append(request));
    request.size += request.entries.size();
  };
  request.entries.assign(1, std::string(300, 'e'));
  Print("store, one a commit", Rate(seconds, 1, append));
  request.entries.assign(kBatch, std::string(300, 'e'));
  Print("store, 256 a commit", Rate(seconds, kBatch, append));
}

struct Keys {
  SigningKey log = SigningKey::Generate();
  SigningKey op = SigningKey::Generate();
  SigningKey issuer = SigningKey::Generate();
  std::string origin = DefaultOrigin(log.public_key());
  VerifierKey vkey = MakeVerifierKey(origin, log.public_key());
};

void DraftFirstEntries(Log& log, const Keys& keys) {
  v1::Intent genesis;
  genesis.set_sequence(1);
  genesis.set_not_after_ms(kStartMs);
  v1::Genesis& body = *genesis.mutable_genesis_body();
  body.set_origin(keys.origin);
  body.set_log_vkey(FormatVkey(keys.vkey));
  body.set_operator_key(keys.op.public_key());
  body.set_issuer_key(keys.issuer.public_key());
  body.set_asset("credits");
  Must(log.Draft(SignIntent(genesis, keys.op), kStartMs));
  v1::Intent open;
  open.set_genesis(base::Bytes(log.state().genesis_hash()));
  open.set_not_after_ms(kStartMs);
  open.mutable_account_open()->set_key(keys.issuer.public_key());
  open.mutable_account_open()->set_name("issuer");
  Must(log.Draft(SignIntent(open, keys.issuer), kStartMs));
}

void BenchLog(const std::string& folder, double seconds) {
  const Keys keys;
  const auto store = Must(SqliteLogStore::Open({.path = folder + "/log.db"}));
  const Log::Options options{.head_path = folder + "/head"};
  auto log = Must(Log::Open(store.get(), keys.log, keys.origin, options));
  DraftFirstEntries(*log, keys);
  const std::string genesis = base::Bytes(log->state().genesis_hash());
  uint64_t sequence = 0;
  std::vector<v1::SignedIntent> intents;  // signed beforehand: that is the clients' work
  const auto sign = [&](size_t count) {
    while (intents.size() < count) {
      v1::Intent intent;
      intent.set_genesis(genesis);
      intent.set_account(1);
      intent.set_sequence(++sequence);
      intent.set_not_after_ms(kStartMs);
      intent.mutable_issue()->set_to(1);
      intent.mutable_issue()->set_amount(1);
      intents.push_back(SignIntent(intent, keys.issuer));
    }
  };
  const auto append = [&](size_t count) {
    for (size_t i = 0; i < count; ++i) Must(log->Draft(intents[i], kStartMs));
    intents.erase(intents.begin(), intents.begin() + static_cast<ptrdiff_t>(count));
    Must(log->Commit({}));
  };
  const auto rate = [&](size_t count) {
    double passed = 0;
    size_t entries = 0;
    while (passed < seconds) {
      sign(count);
      passed += SecondsOf([&] { append(count); });
      entries += count;
    }
    return static_cast<double>(entries) / passed;
  };
  Print("log, one a commit", rate(1));
  Print("log, 256 a commit", rate(kBatch));

  const auto entries = static_cast<double>(log->size());
  const std::string checkpoint = log->checkpoint();
  log.reset();
  Print("replay, signatures checked",
        entries /
            SecondsOf([&] { log = Must(Log::Open(store.get(), keys.log, keys.origin, options)); }));
  // The same bytes as an auditor's bundle: with all signatures, and without Ed25519 (decoding,
  // canonical form, chain, tree).
  std::string bundle;
  Must(WriteBundle(*store, log->size(), checkpoint, [&](std::string_view bytes) {
    bundle += bytes;
    return OkStatus();
  }));
  const auto verify = [&](const EntryVisitor& visit, const RunVisitor& ahead) {
    return entries / SecondsOf([&] {
             const BundleVerdict verdict =
                 Must(VerifyBundle(StringSource(bundle), keys.vkey, visit, ahead));
             CT_ASSERT(!verdict.fault.has_value());
           });
  };
  for (const unsigned threads : {1U, std::max(2U, std::thread::hardware_concurrency())}) {
    State state;
    SignaturesAhead signatures(threads);
    const auto visit = [&](const LoggedEntry& entry) {
      const auto checked = signatures.Take(entry);
      return state.Apply(entry, checked ? &*checked : nullptr);
    };
    const auto ahead = [&](std::span<const LoggedEntry* const> run) { signatures.Check(run); };
    Print(fmt::format("audit of a bundle, {} threads", threads), verify(visit, ahead));
  }
  Print("audit, hashes and chain only",
        verify([](const LoggedEntry&) { return OkStatus(); }, nullptr));
}

}  // namespace
}  // namespace crowdteach::ledger

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: bench_ledger FOLDER [SECONDS]\n");
    return 2;
  }
  const std::string folder = argv[1];
  const double seconds = argc > 2 ? std::atof(argv[2]) : 2.0;
  std::error_code error;
  if (!std::filesystem::create_directory(folder, error)) {
    std::fprintf(stderr, "bench_ledger: %s: cannot be made, or is there already\n", argv[1]);
    return 1;
  }
  crowdteach::ledger::BenchStore(folder, seconds);
  crowdteach::ledger::BenchLog(folder, seconds);
  return 0;
}
