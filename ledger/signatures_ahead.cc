#include "ledger/signatures_ahead.h"

#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include "ledger/signature.h"

namespace crowdteach::ledger {
namespace {

struct Job {
  const v1::SignedIntent* intent;
  CheckedSignature* result;
};

void Run(const std::vector<Job>& jobs, unsigned threads) {
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < jobs.size(); i = next++) {
      const v1::SignedIntent& intent = *jobs[i].intent;
      CheckedSignature& result = *jobs[i].result;
      result.holds = VerifyDsse(result.key, kIntentType, intent.payload(), intent.signature());
    }
  };
  std::vector<std::thread> helpers;
  try {
    while (helpers.size() + 1 < threads && helpers.size() + 1 < jobs.size()) {
      helpers.emplace_back(work);
    }
  } catch (const std::system_error&) {
    // No more threads to be had: those there are do all the work.
  }
  work();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace

void SignaturesAhead::Check(std::span<const LoggedEntry* const> entries) {
  std::vector<Job> jobs;
  for (const LoggedEntry* entry : entries) {
    const v1::Intent& intent = entry->intent;
    const bool opens = intent.has_account_open();
    const uint64_t account = opens ? entry->entry.index() : intent.account();
    if (intent.has_genesis_body()) keys_[0] = intent.genesis_body().operator_key();
    if (opens) keys_[account] = intent.account_open().key();
    const auto key = keys_.find(account);
    if (key == keys_.end()) continue;
    const auto [checked, added] = checked_.try_emplace(entry->leaf);
    if (!added) continue;
    checked->second.key = key->second;
    jobs.push_back({&entry->entry.intent(), &checked->second});
  }
  Run(jobs, threads_);
}

std::optional<CheckedSignature> SignaturesAhead::Take(const LoggedEntry& entry) {
  auto node = checked_.extract(entry.leaf);
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}

}  // namespace crowdteach::ledger
