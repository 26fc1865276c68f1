// Rounds that are not what the rules and the recorded state give.
#include "tests/unit/audit/attack_world.h"

namespace crowdteach::audit {
namespace {

std::string Plus(const std::string& wide, base::Int128 more) {
  return base::EncodeWide(*base::DecodeWide(wide) + more);
}

// The honest body with one thing changed.
template <typename Body>
std::function<void(Forgery&)> Change(Body* (v1::Intent::*body)(),
                                     std::function<void(Body&)> change) {
  return [body, change](Forgery& f) { change(*(f.intent.*body)()); };
}
auto Open(std::function<void(v1::RoundOpen&)> change) {
  return Change<v1::RoundOpen>(&v1::Intent::mutable_round_open, std::move(change));
}
auto Average(std::function<void(v1::Aggregate&)> change) {
  return Change<v1::Aggregate>(&v1::Intent::mutable_aggregate, std::move(change));
}
auto Scored(std::function<void(v1::Score&)> change) {
  return Change<v1::Score>(&v1::Intent::mutable_score, std::move(change));
}
// Another act of the operator's in the place of the honest one.
template <typename Body>
std::function<void(Forgery&)> Instead(std::function<Body(Forgery&)> body) {
  return [body](Forgery& f) { f.Say(0, body(f)); };
}
std::function<void(Forgery&)> Abort(v1::AbortReason reason) {
  return [reason](Forgery& f) {
    f.Say(0, f.before.AbortOf(f.before.state.campaigns().begin()->first, reason));
  };
}
// Rejects the teacher of line or seat `i`.
std::function<void(Forgery&)> Reject(v1::RejectReason reason, size_t i) {
  return [reason, i](Forgery& f) {
    const auto& [campaign, state] = *f.before.state.campaigns().begin();
    const uint64_t account = std::next(state.round.seats.begin(), static_cast<ptrdiff_t>(i))->first;
    f.Say(0, f.before.RejectOf(campaign, account, reason));
  };
}
uint64_t CampaignOf(const Forgery& f) { return f.before.state.campaigns().begin()->first; }

constexpr auto kOpen = v1::Intent::kRoundOpen;
constexpr auto kCommit = v1::Intent::kUpdateCommit;
constexpr auto kCommitClose = v1::Intent::kRoundCommitClose;
constexpr auto kReveal = v1::Intent::kUpdateReveal;
constexpr auto kReject = v1::Intent::kUpdateReject;
constexpr auto kAggregate = v1::Intent::kAggregate;
constexpr auto kScore = v1::Intent::kScore;
constexpr auto kSettle = v1::Intent::kSettle;

std::vector<Attack> OnSelection() {
  return {
      {"weights not from recorded state", kOpen, 0, "intent", "the weights are not those",
       Open([](auto& open) { open.set_weights(0, 2); })},
      {"others than the seed draws", kOpen, 0, "intent", "are not the 2 that the seed draws",
       Open([](auto& open) {
         const uint64_t left_out = open.candidates(0) ^ open.candidates(1) ^ open.candidates(2) ^
                                   open.selected(0) ^ open.selected(1);
         open.set_selected(0, std::min(left_out, open.selected(1)));
         open.set_selected(1, std::max(left_out, open.selected(1)));
       })},
      {"a friend alone", kOpen, 0, "intent", "are not the 2 that the seed draws",
       Open([](auto& open) {
         open.mutable_selected()->Truncate(1);
         open.mutable_weights()->Truncate(1);
       })},
      {"a seed of one's own", kOpen, 1, "intent", "the recorded salts give",
       Open([](auto& open) { open.set_seed(std::string(32, 's')); })},
      {"another base model", kOpen, 1, "intent", "the campaign's model is",
       Open([](auto& open) { open.set_base_digest(std::string(32, 'b')); })},
      {"a round left out", kOpen, 1, "intent", "the next is 2",
       Open([](auto& open) { open.set_round(3); })},
      {"a candidate who is not enrolled", kOpen, 0, "intent", "is not enrolled",
       Open([](auto& open) { open.add_candidates(open.candidates(2) + 1); })},
      {"a commit phase closed early", kCommit, 1, "intent", "the others may until",
       Instead<v1::RoundCommitClose>(
           [](Forgery& f) { return f.before.CommitCloseOf(CampaignOf(f)); })},
      {"a wrong count", kCommitClose, 0, "intent", "2 teachers have committed",
       [](Forgery& f) { f.intent.mutable_round_commit_close()->set_count(1); }},
      {"another's commitment", kCommit, 1, "intent", "a sealed commitment names its author",
       [](Forgery& f) {
         *f.intent.mutable_update_commit() = f.before.entries.back().intent.update_commit();
       }},
      {"an update that was not committed to", kReveal, 0, "intent", "do not open account",
       [](Forgery& f) {
         f.intent.mutable_update_reveal()->set_update_digest(std::string(32, 'u'));
       }},
      {"silence before the deadline", kReveal, 1, "intent", "may reveal until",
       Reject(v1::NO_REVEAL, 1)},
      {"silence of somebody who revealed", kReveal, 1, "intent", "no reveal of account",
       Reject(v1::NO_REVEAL, 0)},
      {"a shape of what was never sent", kReveal, 1, "intent", "has revealed no update",
       Reject(v1::SHAPE, 1)},
      {"a norm under the clip rule", kReveal, 1, "intent", "norm-rule clip", Reject(v1::NORM, 0)},
      {"a duplicate of nothing", kAggregate, 0, "intent", "is no duplicate",
       Reject(v1::DUPLICATE, 1)},
      {"a quorum that was there", kAggregate, 0, "intent", "go on with AGGREGATE",
       Abort(v1::REVEAL_QUORUM)},
      {"teachers who had time left", kCommit, 0, "intent", "teachers may commit until",
       Abort(v1::COMMIT_QUORUM)},
  };
}

std::vector<Attack> OnAverages() {
  return {
      {"an average before all reveals", kReveal, 1, "intent", "has neither revealed nor been",
       Instead<v1::Aggregate>([](Forgery& f) { return f.before.AggregateOf(CampaignOf(f), {}); })},
      {"a weight in the average", kAggregate, 0, "intent", "ROUND_OPEN says 1",
       Average([](auto& body) { body.mutable_lines(0)->set_weight(2); })},
      {"a clip factor for nothing", kAggregate, 0, "intent", "its norm and the cap give 0",
       Average([](auto& body) { body.mutable_lines(0)->set_clip_factor(1); })},
      {"a norm over the cap unclipped", kAggregate, 0, "intent", "clip factor 0 of account",
       Average([](auto& body) {
         body.mutable_lines(0)->set_norm_squared(base::EncodeWide(base::Int128{1} << 41));
       })},
      {"a clip factor one unit off", kAggregate, 0, "intent", "the cap give 3036999271",
       Average([](auto& body) {  // cap 2^20, norm^2 = 2^41: f = floor(2^52 / (isqrt(2^41) + 1))
         body.mutable_lines(0)->set_norm_squared(base::EncodeWide(base::Int128{1} << 41));
         body.mutable_lines(0)->set_clip_factor((uint64_t{1} << 52) / 1482911 + 1);
       })},
      {"updates swapped", kAggregate, 0, "intent", "it revealed", Average([](auto& body) {
         body.mutable_lines(0)->mutable_update_digest()->swap(
             *body.mutable_lines(1)->mutable_update_digest());
       })},
      {"a teacher left out", kAggregate, 0, "intent", "2 updates are to be aggregated",
       Average([](auto& body) { body.mutable_lines()->RemoveLast(); })},
      {"the second pass first", kAggregate, 0, "intent", "the next is 1",
       Average([](auto& body) { body.set_pass(2); })},
      {"the first pass again", kAggregate, 2, "intent", "the next is 2",
       Average([](auto& body) { body.set_pass(1); })},
      {"another norm in the second pass", kAggregate, 2, "intent", "is not that of pass 1",
       Average([](auto& body) { body.mutable_lines(0)->set_norm_squared(base::EncodeWide(2)); })},
      {"a second pass without a cause", kSettle, 0, "intent", "nobody was rejected in pass 1",
       Instead<v1::Aggregate>([](Forgery& f) { return f.before.AggregateOf(CampaignOf(f), {}); })},
      {"a second pass past the cover rule", kReject, 0, "intent", "is uncovered: reject it first",
       Instead<v1::Aggregate>([](Forgery& f) { return f.before.AggregateOf(CampaignOf(f), {}); })},
      {"a score before the average", kAggregate, 0, "intent", "the phase is upload",
       [](Forgery& f) {
         v1::Score score;
         score.set_campaign(CampaignOf(f));
         score.set_round(1);
         score.set_pass(1);
         score.set_scorer(v1::AUMANN_SHAPLEY);
         score.set_scorer_version(1);
         score.set_gradient_digest(std::string(32, 'g'));
         v1::ScoreLine& line = *score.add_lines();
         line.set_account(f.intent.aggregate().lines(0).account());
         line.set_weight(1);
         line.set_update_digest(std::string(32, 'u'));
         f.Say(0, score);
       }},
  };
}

std::vector<Attack> OnScores() {
  return {
      {"two scores one unit off", kScore, 0, "intent", "from the recorded D and E follows",
       Scored([](auto& score) {
         score.mutable_lines(0)->set_phi_q32(score.lines(0).phi_q32() + 1);
         score.mutable_lines(1)->set_phi_q32(score.lines(1).phi_q32() - 1);
       })},
      {"one score one unit off", kScore, 0, "intent", "the scores add up to",
       Scored(
           [](auto& score) { score.mutable_lines(0)->set_phi_q32(score.lines(0).phi_q32() + 1); })},
      // Less than half a unit of the score shows in the artifacts only (verify_test.cc).
      {"E off", kScore, 0, "intent", "from the recorded D and E follows",
       Scored([](auto& score) { score.mutable_lines(0)->set_e(Plus(score.lines(0).e(), 2)); })},
      {"D off", kScore, 0, "intent", "from the recorded D and E follows", Scored([](auto& score) {
         score.mutable_lines(0)->set_d(Plus(score.lines(0).d(), 1 << 15));
       })},
      {"D and E as large as can be", kScore, 0, "intent", "no scores follow",
       Scored([](auto& score) {
         for (v1::ScoreLine& line : *score.mutable_lines()) {
           line.set_d(std::string("\x80") + std::string(15, '\0'));
           line.set_e(std::string("\x7f") + std::string(15, '\xff'));
         }
         score.mutable_lines(0)->set_d(std::string("\x7f") + std::string(15, '\xff'));
       })},
      {"E that sums to nothing", kScore, 0, "intent", "not above 0", Scored([](auto& score) {
         score.mutable_lines(0)->set_e(base::EncodeWide(-5));
         score.mutable_lines(1)->set_e(base::EncodeWide(5));
       })},
      {"a loss before that was not the last after", kScore, 1, "intent", "before the step: loss",
       Scored([](auto& score) {
         score.set_loss_before_q32(score.loss_before_q32() + 1);
         score.set_loss_after_q32(score.loss_after_q32() + 1);
       })},
      {"correct answers that were not", kScore, 1, "intent", "recorded are",
       Scored([](auto& score) { score.set_correct_before(score.correct_before() + 1); })},
      {"more correct answers than examples", kScore, 0, "intent", "101 correct of 100",
       Scored([](auto& score) { score.set_correct_after(101); })},
      {"a loss no loss can be", kScore, 0, "intent", "must be below 2^20 nats",
       Scored([](auto& score) { score.set_loss_after_q32(uint64_t{1} << 52); })},
      {"another pass's score", kScore, 0, "intent", "the round is in pass 1",
       Scored([](auto& score) { score.set_pass(2); })},
      {"another update's score", kScore, 0, "intent", "is not the aggregate's line",
       Scored([](auto& score) {
         score.mutable_lines(0)->mutable_update_digest()->swap(
             *score.mutable_lines(1)->mutable_update_digest());
       })},
      {"another weight in the score", kScore, 0, "intent", "is not the aggregate's line",
       Scored([](auto& score) { score.mutable_lines(1)->set_weight(2); })},
      {"a void step that was none", kScore, 0, "intent", "but the model has changed",
       Scored([](auto& score) { score.set_path_nodes(0); })},
      {"four nodes", kScore, 0, "intent", "must be 2, 3, 5",
       Scored([](auto& score) { score.set_path_nodes(4); })},
      {"no gradient", kScore, 0, "intent", "the gradient's digest",
       Scored([](auto& score) { score.clear_gradient_digest(); })},
      {"an abort of scores that stand", kSettle, 0, "intent", "it stands",
       Abort(v1::WORKER_FAILED)},
      {"an abort of scores in range", kSettle, 0, "intent", "is in range: SETTLE",
       Abort(v1::SCORE_RANGE)},
      {"an abort past the cover rule", kReject, 0, "intent", "they are rejected first",
       Abort(v1::SCORE_RANGE)},
      {"the good one as uncovered", kReject, 0, "intent", "is not the next uncovered teacher",
       [](Forgery& f) {
         auto& body = *f.intent.mutable_update_reject();
         for (const auto& line : f.before.state.campaigns().begin()->second.round.score.lines()) {
           if (line.account() != body.account()) {
             body.set_account(line.account());
             break;
           }
         }
       }},
      {"divergence after the score", kSettle, 0, "intent", "the phase is scored",
       Reject(v1::DIVERGES, 0)},
  };
}

}  // namespace

std::vector<Attack> AttacksOnRounds() {
  std::vector<Attack> attacks = OnSelection();
  for (auto more : {OnAverages(), OnScores()}) {
    attacks.insert(attacks.end(), more.begin(), more.end());
  }
  return attacks;
}

}  // namespace crowdteach::audit
