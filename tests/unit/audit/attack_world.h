// An honest log, and one entry of it rewritten by somebody who holds every key: the operator's, the
// log's, and the people's.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ledger/selection.h"
#include "tests/unit/audit/audit_world.h"

namespace crowdteach::audit {

// Two of three teachers a round, one uncovered in round 2's first pass; closed and refunded.
struct HonestLog {
  LedgerBuilder log;
  uint64_t owner = 0;
  uint64_t campaign = 0;
  std::vector<uint64_t> teachers;

  HonestLog() {
    log.finish_score = ScoresThatFollow;
    v1::CampaignOpen open = testing::SmallCampaign();
    open.mutable_terms()->set_quorum(1);
    open.mutable_terms()->set_teachers(2);
    owner = log.NewAccount(v1::OWNER);
    log.Issue(owner, open.terms().budget());
    campaign = log.OpenCampaign(owner, open);
    for (int i = 0; i < 3; ++i) teachers.push_back(log.NewTeacher(campaign));
    constexpr int64_t kNat = testing::kNat;
    log.now_ms += 10;
    std::vector<uint64_t> drawn = Drawn();
    log.RunRound(campaign, {{drawn[0], {.phi_q32 = kNat / 4}}, {drawn[1], {.phi_q32 = kNat / 8}}});
    log.now_ms += 10;
    drawn = Drawn();
    log.RunRound(campaign, {{drawn[0], {.phi_q32 = kNat / 2}}, {drawn[1], {.phi_q32 = -kNat}}});
    log.CloseAndRefund(campaign);
  }

  std::vector<uint64_t> Drawn() const {
    const v1::RoundOpen open = Value(
        ledger::Select(log.state, campaign, ledger::CandidatesOf(log.state, campaign, teachers)));
    return {open.selected().begin(), open.selected().end()};
  }
};

// Entry `at` of an honest log, and the log before it.
struct Forgery {
  LedgerBuilder before;
  v1::Intent intent;
  uint64_t signer = 0;
  v1::Entry entry;
  std::string signature;  // if set: instead of the signer's

  Forgery(const HonestLog& honest, size_t at)
      : before(honest.log),
        intent(honest.log.entries[at].intent),
        entry(honest.log.entries[at].entry) {
    signer = intent.account();
    before.entries.resize(at);
    before.state = {};
    for (const ledger::LoggedEntry& kept : before.entries) {
      REQUIRE(before.state.Apply(kept).ok());
    }
    before.now_ms = entry.time_ms();
  }

  // Another act in its place, without postings.
  void Say(uint64_t account, const google::protobuf::Message& body) {
    intent = before.Complete(account, body);
    signer = account;
    entry.clear_postings();
  }

  std::vector<std::string> Entries() const {
    std::vector<std::string> entries = BytesOf(before.entries);
    v1::Entry forged = entry;
    *forged.mutable_intent() = before.Sign(signer, intent);
    if (!signature.empty()) forged.mutable_intent()->set_signature(signature);
    entries.push_back(ledger::Encode(forged));
    return entries;
  }
  std::string Bundle() const {
    const std::vector<std::string> entries = Entries();
    return BundleOf(entries.size(), entries, NoteOf(before, entries));
  }
};

// The index of the `nth` entry (from 0) with this body.
inline size_t IndexOf(const HonestLog& honest, v1::Intent::BodyCase body, size_t nth) {
  for (size_t i = 0; i < honest.log.entries.size(); ++i) {
    if (honest.log.entries[i].intent.body_case() == body && nth-- == 0) return i;
  }
  FAIL("the honest log has no such entry");
  return 0;
}

struct Attack {
  std::string name;
  v1::Intent::BodyCase body;  // which entry is rewritten: the nth of this type
  size_t nth;
  std::string part;    // of the entry, as the audit must name it
  std::string reason;  // what it must say
  std::function<void(Forgery&)> forge;
  bool format = false;  // no rules are needed to see it: the second verifier must, too
};

std::vector<Attack> AttacksOnRounds();
std::vector<Attack> AttacksOnMoney();
std::vector<Attack> AttacksOnEntries();

}  // namespace crowdteach::audit
