// Money that goes where the rules do not send it, and entries that are not what they seem.
#include "tests/unit/audit/attack_world.h"

namespace crowdteach::audit {
namespace {

constexpr auto kSettle = v1::Intent::kSettle;
constexpr auto kClose = v1::Intent::kCampaignClose;
constexpr auto kRelease = v1::Intent::kRelease;
constexpr auto kRefund = v1::Intent::kRefund;

v1::Posting& Posting(Forgery& f, v1::BalanceKind kind, int nth = 0) {
  for (v1::Posting& posting : *f.entry.mutable_postings()) {
    if (posting.kind() == kind && nth-- == 0) return posting;
  }
  FAIL("no such posting");
  return *f.entry.mutable_postings(0);
}
void SetAmount(v1::Posting& posting, int64_t more) { posting.set_amount(posting.amount() + more); }

uint64_t CampaignOf(const Forgery& f) { return f.before.state.campaigns().begin()->first; }
v1::Refund RefundOf(const Forgery& f) {
  v1::Refund refund;
  refund.set_campaign(CampaignOf(f));
  return refund;
}
v1::Release ReleaseOf(const Forgery& f) {
  v1::Release release;
  release.set_campaign(CampaignOf(f));
  release.set_parts(1);
  return release;
}
// The owner's close, or (account 0) the default one.
v1::CampaignClose CloseOf(const Forgery& f, uint64_t account) {
  v1::CampaignClose close;
  close.set_campaign(CampaignOf(f));
  const auto& open = f.before.state.campaigns().begin()->second.open;
  if (account != 0) close.set_validation_digest(open.validation_digest());
  return close;
}
uint64_t OwnerOf(const Forgery& f) { return f.before.state.campaigns().begin()->second.owner; }

}  // namespace

std::vector<Attack> AttacksOnMoney() {
  return {
      {"a credit to the other teacher", kSettle, 0, "postings", "but the rules give",
       [](Forgery& f) {
         SetAmount(Posting(f, v1::HELD, 0), 1);
         SetAmount(Posting(f, v1::HELD, 1), -1);
       }},
      {"a reward to somebody else", kSettle, 0, "postings", "but the rules give",
       [](Forgery& f) { Posting(f, v1::HELD, 1).set_account(99); }},
      {"a reward paid out at once", kSettle, 0, "postings", "but the rules give",
       [](Forgery& f) {
         v1::Posting paid = Posting(f, v1::HELD, 0);
         paid.set_kind(v1::AVAIL);
         paid.clear_campaign();
         f.entry.mutable_postings()->erase(f.entry.mutable_postings()->begin() + 1);
         f.entry.mutable_postings()->Add(std::move(paid));
         std::rotate(f.entry.mutable_postings()->pointer_begin(),
                     f.entry.mutable_postings()->pointer_end() - 1,
                     f.entry.mutable_postings()->pointer_end());
       }},
      {"nobody is paid", kSettle, 0, "postings", "is missing",
       [](Forgery& f) { f.entry.clear_postings(); }},
      {"a pass that was not scored", kSettle, 0, "intent", "must be pass 1",
       [](Forgery& f) { f.intent.mutable_settle()->set_pass(2); }},
      {"a round settled past the cover rule", v1::Intent::kUpdateReject, 0, "intent",
       "reject it as uncovered",
       [](Forgery& f) {
         v1::Settle settle = f.before.SettleOf(CampaignOf(f));
         f.Say(0, settle);
       }},
      {"a lost stake to the escrow", v1::Intent::kUpdateReject, 0, "postings", "but the rules give",
       [](Forgery& f) {
         v1::Posting& lost = Posting(f, v1::TREASURY);
         lost.set_kind(v1::ESCROW);
         lost.set_campaign(CampaignOf(f));
         std::sort(f.entry.mutable_postings()->begin(), f.entry.mutable_postings()->end(),
                   [](const auto& a, const auto& b) { return a.kind() < b.kind(); });
       }},
      {"part of a stake kept", v1::Intent::kUpdateReject, 0, "postings", "but the rules give",
       [](Forgery& f) {
         SetAmount(Posting(f, v1::STAKE), 1);
         SetAmount(Posting(f, v1::TREASURY), -1);
       }},
      {"a close while a round is open", v1::Intent::kAggregate, 0, "intent", "is open: close when",
       [](Forgery& f) { f.Say(OwnerOf(f), CloseOf(f, OwnerOf(f))); }},
      {"a close by a teacher", kClose, 0, "intent", "to close, not account",
       [](Forgery& f) {
         const uint64_t teacher =
             f.before.state.campaigns().begin()->second.enrolments.begin()->first;
         f.Say(teacher, CloseOf(f, OwnerOf(f)));
       }},
      {"a reveal of another set", kClose, 0, "intent", "the campaign committed to",
       [](Forgery& f) {
         f.intent.mutable_campaign_close()->set_validation_digest(std::string(32, 'v'));
       }},
      {"a default close in the owner's time", kClose, 0, "intent", "the owner may close until",
       [](Forgery& f) { f.Say(0, CloseOf(f, 0)); }},
      {"a refund without a reveal", kClose, 0, "intent", "REFUND follows the last RELEASE",
       [](Forgery& f) { f.Say(0, RefundOf(f)); }},
      {"a release without a close", kClose, 0, "intent", "RELEASE follows CAMPAIGN_CLOSE",
       [](Forgery& f) { f.Say(0, ReleaseOf(f)); }},
      {"a refund before the teachers are paid", kRelease, 0, "intent",
       "REFUND follows the last RELEASE", [](Forgery& f) { f.Say(0, RefundOf(f)); }},
      {"a release in the dispute window", kRelease, 0, "intent", "the dispute window is open until",
       [](Forgery& f) { f.entry.set_time_ms(f.before.state.last_time_ms() + 999); }},
      {"a part of a release left out", kRelease, 0, "intent", "next is part 0 of 1",
       [](Forgery& f) {
         f.intent.mutable_release()->set_part(1);
         f.intent.mutable_release()->set_parts(2);
       }},
      {"a teacher's money to another", kRelease, 0, "postings", "but the rules give",
       [](Forgery& f) {
         SetAmount(Posting(f, v1::AVAIL, 0), -1);
         SetAmount(Posting(f, v1::AVAIL, 1), 1);
       }},
      {"a refund to the operator", kRefund, 0, "postings", "but the rules give",
       [](Forgery& f) { Posting(f, v1::AVAIL).clear_account(); }},
      {"a second refund", kRefund, 0, "intent", "RELEASE follows CAMPAIGN_CLOSE",
       [](Forgery& f) { f.Say(0, ReleaseOf(f)); }},
      {"a round after the end", kRefund, 0, "intent", "it has no more rounds",
       [](Forgery& f) {
         for (const auto& entry : f.before.entries) {
           if (!entry.intent.has_round_open()) continue;
           v1::RoundOpen open = entry.intent.round_open();
           f.Say(0, open);
         }
       }},
      {"credits made by the operator", v1::Intent::kIssue, 1, "intent", "only the issuer",
       [](Forgery& f) {
         const v1::Issue issue = f.intent.issue();
         f.Say(0, issue);
       }},
      {"more credits than there may be", v1::Intent::kIssue, 0, "intent", "",
       [](Forgery& f) { f.intent.mutable_issue()->set_amount(~uint64_t{0}); }},
      {"credits that come from nowhere", v1::Intent::kIssue, 0, "postings", "sum",
       [](Forgery& f) { SetAmount(Posting(f, v1::AVAIL), 1); }, true},
      {"an enrolment without its stake", v1::Intent::kEnrol, 0, "postings", "is missing",
       [](Forgery& f) { f.entry.clear_postings(); }},
      {"more examples than the terms allow", v1::Intent::kEnrol, 0, "intent", "examples",
       [](Forgery& f) { f.intent.mutable_enrol()->set_examples(1001); }},
      {"a budget that is not there", v1::Intent::kCampaignOpen, 0, "intent", "",
       [](Forgery& f) { f.intent.mutable_campaign_open()->mutable_terms()->set_budget(301); }},
  };
}

std::vector<Attack> AttacksOnEntries() {
  constexpr auto kCommit = v1::Intent::kUpdateCommit;
  return {
      {"time goes back", kSettle, 0, "time", "it is before the entry before",
       [](Forgery& f) { f.entry.set_time_ms(f.before.state.last_time_ms() - 1); }, true},
      {"time past the author's limit", kCommit, 0, "intent", "was to be logged by",
       [](Forgery& f) { f.entry.set_time_ms(f.intent.not_after_ms() + 1); }, true},
      {"a limit a day away", kCommit, 0, "intent", "more than 24 h after",
       [](Forgery& f) { f.intent.set_not_after_ms(f.entry.time_ms() + 86'400'001); }},
      {"another index", kSettle, 0, "index", "it says",
       [](Forgery& f) { f.entry.set_index(f.entry.index() + 1); }, true},
      {"another past", kSettle, 0, "prev", "it is not the leaf hash",
       [](Forgery& f) { f.entry.set_prev(std::string(32, 'p')); }, true},
      {"a signature by another", kCommit, 0, "intent", "is not by the key",
       [](Forgery& f) { f.signer = 0; }, true},
      {"a signature of something else", kCommit, 1, "intent", "is not by the key",
       [](Forgery& f) { f.signature = f.before.entries.back().entry.intent().signature(); }, true},
      {"an act said twice", v1::Intent::kUpdateReveal, 1, "intent", "has used sequence number",
       [](Forgery& f) {
         const auto& last = f.before.entries.back();
         f.intent = last.intent;
         f.signer = last.intent.account();
       }},
      {"a sequence number left out", kCommit, 0, "intent", "its next is",
       [](Forgery& f) { f.intent.set_sequence(f.intent.sequence() + 1); }},
      {"an act for another log", kCommit, 0, "intent", "this intent is for the log",
       [](Forgery& f) { f.intent.set_genesis(std::string(32, 'g')); }, true},
      {"a second beginning", kSettle, 0, "intent", "entry 0 is GENESIS",
       [](Forgery& f) {
         const v1::Genesis genesis = f.before.state.genesis();
         f.Say(0, genesis);
         f.intent.clear_genesis();
         f.entry.clear_postings();
       },
       true},
      {"an account nobody invited", v1::Intent::kAccountOpen, 2, "intent", "",
       [](Forgery& f) {
         f.intent.mutable_account_open()->set_token_signature(std::string(64, 't'));
       },
       true},
      {"an act of the operator by a teacher", kSettle, 0, "intent", "is the operator's to say",
       [](Forgery& f) {
         const v1::Settle settle = f.intent.settle();
         f.Say(f.before.state.campaigns().begin()->second.enrolments.begin()->first, settle);
       }},
      {"postings that are not sorted", kSettle, 0, "postings", "",
       [](Forgery& f) { f.entry.mutable_postings()->SwapElements(0, 1); }, true},
      {"a posting of nothing", kSettle, 0, "postings", "",
       [](Forgery& f) {
         v1::Posting& posting = *f.entry.add_postings();
         posting.set_kind(v1::TREASURY);
       },
       true},
  };
}

}  // namespace crowdteach::audit
