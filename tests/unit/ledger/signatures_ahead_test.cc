// Signatures checked ahead: the same verdicts for any number of threads, and replay the judge.
#include "ledger/signatures_ahead.h"

#include <algorithm>
#include <random>

#include "ledger/canonical.h"
#include "tests/support/catch.h"
#include "tests/support/ledger_builder.h"
#include "tests/support/status_matchers.h"

namespace crowdteach::ledger {
namespace {

using testing::LedgerBuilder;

LoggedEntry WithBadSignature(const LoggedEntry& entry) {
  v1::Entry forged = entry.entry;
  std::string& signature = *forged.mutable_intent()->mutable_signature();
  signature[0] = static_cast<char>(signature[0] ^ 1);
  return *DecodeEntry(Encode(forged));
}

// A log of some accounts whose entries `bad` have a wrong signature.
struct Forged {
  LedgerBuilder log;
  std::vector<LoggedEntry> entries;
  explicit Forged(const std::vector<size_t>& bad) {
    for (int i = 0; i < 8; ++i) log.Issue(log.NewAccount(v1::OWNER), 5);
    entries = log.entries;
    for (const size_t i : bad) entries[i] = WithBadSignature(entries[i]);
  }
  std::vector<const LoggedEntry*> Run() const {
    std::vector<const LoggedEntry*> run;
    for (const LoggedEntry& entry : entries) run.push_back(&entry);
    return run;
  }
};

TEST_CASE("each signature has its verdict, whatever the threads") {
  const std::vector<size_t> bad = {0, 3, 4, 17, 25};
  const Forged forged(bad);
  for (const unsigned threads : {1U, 2U, 7U, 64U}) {
    INFO(threads << " threads");
    SignaturesAhead ahead(threads);
    const std::vector<const LoggedEntry*> run = forged.Run();
    const std::span<const LoggedEntry* const> all = run;
    ahead.Check(all.first(10));  // keys are remembered from run to run
    ahead.Check(all.subspan(10));
    for (size_t i = 0; i < forged.entries.size(); ++i) {
      const auto checked = ahead.Take(forged.entries[i]);
      REQUIRE(checked.has_value());
      CHECK(checked->holds == (std::count(bad.begin(), bad.end(), i) == 0));
      CHECK_FALSE(ahead.Take(forged.entries[i]).has_value());
    }
    CHECK_FALSE(ahead.Take(forged.log.entries[3]).has_value());  // was never seen
  }
}

TEST_CASE("an account nobody has opened gives no verdict") {
  const Forged forged({});
  SignaturesAhead ahead(2);
  const LoggedEntry& last = forged.entries.back();
  const LoggedEntry* const run[] = {&last};
  ahead.Check(run);
  CHECK_FALSE(ahead.Take(last).has_value());
}

TEST_CASE("replay believes a verdict only for the key that must have signed") {
  LedgerBuilder log;
  v1::Issue issue;
  issue.set_to(1);
  issue.set_amount(1);
  const LoggedEntry good = *log.Draft(log.Sign(1, log.Complete(1, issue)));
  const LoggedEntry bad = WithBadSignature(good);
  const std::string key = log.issuer_key.public_key();
  const std::string other = log.operator_key.public_key();
  const auto refused = [&](const LoggedEntry& entry, const CheckedSignature& checked) {
    State state = log.state;
    return testing::Refused(state.Apply(entry, &checked), absl::StatusCode::kUnauthenticated,
                            "signature");
  };
  CHECK(refused(good, {key, false}));
  CHECK(refused(bad, {key, false}));
  CHECK(refused(bad, {other, true}));
  State state = log.state;
  const CheckedSignature of_another{other, false};
  CHECK(state.Apply(good, &of_another).ok());
}

}  // namespace
}  // namespace crowdteach::ledger
