// Random histories: money is conserved, the escrow can always pay, a pair of identities that raises
// the loss and lowers it again cannot drain it, no other postings than the rules' are accepted, and
// no intent, however odd, does more than be refused.
#include <algorithm>
#include <map>
#include <random>

#include "ledger/reward.h"
#include "ledger/round.h"
#include "tests/support/catch.h"
#include "tests/support/ledger_builder.h"

namespace crowdteach::ledger {
namespace {

using google::protobuf::FieldDescriptor;

using testing::kNat;
using testing::LedgerBuilder;
using testing::RoundPlan;
using testing::SmallCampaign;
using testing::TeacherPlan;
using Random = std::mt19937_64;

int64_t Between(Random& random, int64_t low, int64_t high) {
  return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
}

void CheckMoney(const State& state) {
  Int128 sum = 0;
  for (const auto& [key, balance] : state.balances()) {
    sum += balance;
    REQUIRE((balance > 0 || key.kind == v1::ISSUED));
  }
  REQUIRE(sum == 0);
}

void CheckEscrow(const State& state, uint64_t id) {
  const CampaignState& campaign = *state.FindCampaign(id);
  const v1::Terms& terms = campaign.open.terms();
  const auto rate = static_cast<Int128>(terms.credits_per_nat());
  const Int128 escrow = state.Balance({v1::ESCROW, id, 0});
  const Int128 fall = static_cast<Int128>(campaign.open.loss_q32()) - campaign.loss_q32;
  const Int128 paid = (rate * fall) >> 32;
  REQUIRE(escrow >= static_cast<Int128>(terms.budget()) - paid);
  // So it can pay the rest of the way to loss 0.
  REQUIRE(escrow << 32 >= rate * campaign.loss_q32);
}

struct Market {
  LedgerBuilder log;
  uint64_t owner = 0;
  uint64_t campaign = 0;
  std::vector<uint64_t> teachers;

  explicit Market(Random& random) {
    owner = log.NewAccount(v1::OWNER);
    v1::CampaignOpen open = SmallCampaign();
    v1::Terms& terms = *open.mutable_terms();
    open.set_loss_q32(static_cast<uint64_t>(Between(random, 1, 4 * kNat)));
    terms.set_rounds(6);
    terms.set_teachers(static_cast<uint32_t>(Between(random, 2, 6)));
    terms.set_quorum(static_cast<uint32_t>(Between(random, 1, 2)));
    terms.set_credits_per_nat(static_cast<uint64_t>(Between(random, 1, 1000)));
    terms.set_budget(static_cast<uint64_t>(Between(random, 4000, 5000)));
    terms.set_stake(static_cast<uint64_t>(Between(random, 10, 300)));
    terms.set_min_cover(static_cast<uint64_t>(Between(random, 1, 10)));
    terms.set_max_aborts(4);
    terms.set_weighting(random() % 2 == 0 ? v1::EQUAL : v1::EXAMPLES);
    log.Issue(owner, terms.budget());
    campaign = log.OpenCampaign(owner, open);
    for (int64_t i = Between(random, 3, 7); i > 0; --i) {
      teachers.push_back(log.NewTeacher(campaign));
    }
  }
  const CampaignState& Now() const { return log.Campaign(campaign); }
  bool Running() const { return Now().phase == CampaignPhase::kRunning; }
  // Enough teachers left who may be drawn.
  bool CanOpen() const {
    const int64_t least = static_cast<int64_t>(Now().open.terms().min_cover());
    const auto able = [&](uint64_t teacher) {
      return Cover(log.state, campaign, teacher) >= least;
    };
    return std::count_if(teachers.begin(), teachers.end(), able) >= Now().open.terms().quorum();
  }
  // Positive scores cannot lower the loss below 0 however many are included.
  int64_t Improvement(Random& random) const {
    return Between(random, 0, static_cast<int64_t>(Now().loss_q32) / 8);
  }
};

RoundPlan RandomPlan(Random& random, const Market& market) {
  RoundPlan plan;
  for (const uint64_t teacher : market.teachers) {
    TeacherPlan& one = plan[teacher];
    one.commits = random() % 10 != 0;
    one.reveals = random() % 10 != 0;
    if (random() % 8 == 0) one.update = 1 + random() % 2;  // duplicates
    one.phi_q32 = random() % 3 == 0 ? -Between(random, 0, kNat / 2) : market.Improvement(random);
    if (random() % 12 == 0) one.phi_q32 = 0;
  }
  return plan;
}

uint64_t CountRejected(const LedgerBuilder& log, v1::RejectReason reason) {
  return static_cast<uint64_t>(
      std::count_if(log.entries.begin(), log.entries.end(), [&](const LoggedEntry& entry) {
        return entry.intent.has_update_reject() && entry.intent.update_reject().reason() == reason;
      }));
}

void Finish(Random& random, Market& market) {
  LedgerBuilder& log = market.log;
  const int64_t before = log.state.Balance({v1::AVAIL, 0, market.owner});
  const bool by_default = random() % 3 == 0;
  if (by_default) {
    log.now_ms += 1000;
    v1::CampaignClose close;
    close.set_campaign(market.campaign);
    log.Say(0, close);
    log.now_ms += 1000;
    v1::Release release;
    release.set_campaign(market.campaign);
    release.set_parts(1);
    log.Say(0, release);
    v1::Refund refund;
    refund.set_campaign(market.campaign);
    log.Say(0, refund);
  } else {
    log.CloseAndRefund(market.campaign);
  }
  const int64_t refund = log.state.Balance({v1::AVAIL, 0, market.owner}) - before;
  CHECK(refund <= static_cast<int64_t>(market.Now().open.terms().budget()));
  if (by_default) CHECK(refund == 0);
  for (const auto& [key, balance] : log.state.balances()) REQUIRE(key.campaign != market.campaign);
  CheckMoney(log.state);
}

TEST_CASE("random campaigns conserve money and keep the escrow able to pay") {
  std::map<v1::RejectReason, uint64_t> rejected;
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    Market market(random);
    while (market.Running() && market.CanOpen()) {
      market.log.RunRound(market.campaign, RandomPlan(random, market));
      CheckMoney(market.log.state);
      CheckEscrow(market.log.state, market.campaign);
    }
    for (const auto reason : {v1::NO_REVEAL, v1::DUPLICATE, v1::UNCOVERED}) {
      rejected[reason] += CountRejected(market.log, reason);
    }
    Finish(random, market);
  }
  // The histories were worth the name.
  CHECK(rejected[v1::NO_REVEAL] > 0);
  CHECK(rejected[v1::DUPLICATE] > 0);
  CHECK(rejected[v1::UNCOVERED] > 0);
}

TEST_CASE("a pair that raises the loss and lowers it again cannot drain the escrow") {
  uint64_t uncovered = 0;
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    Market market(random);
    LedgerBuilder& log = market.log;
    const uint64_t lowers = market.teachers[0];
    const uint64_t raises = market.teachers[1];
    const int64_t rate = static_cast<int64_t>(market.Now().open.terms().credits_per_nat());
    const auto pair = [&] {
      return Int128{Cover(log.state, market.campaign, lowers)} +
             Cover(log.state, market.campaign, raises);
    };
    const Int128 before = pair();
    const Int128 first_loss = market.Now().loss_q32;
    while (market.Running() && market.CanOpen()) {
      RoundPlan plan;
      for (const uint64_t teacher : market.teachers) plan[teacher];
      if (market.Now().round.number % 2 == 0) {
        plan[raises].phi_q32 = -Between(random, 0, 8 * kNat);
      } else {
        plan[lowers].phi_q32 = static_cast<int64_t>(market.Now().loss_q32);
      }
      log.RunRound(market.campaign, plan);
      CheckEscrow(log.state, market.campaign);
      // Together they are never paid more than for the fall of the loss since the start.
      const Int128 fall = first_loss - market.Now().loss_q32;
      REQUIRE(pair() - before <= ((rate * fall) >> 32));
    }
    uncovered += CountRejected(log, v1::UNCOVERED);
  }
  CHECK(uncovered > 0);
}

// Every way to tell another story about the money of one entry.
std::vector<v1::Entry> MutatedPostings(Random& random, const v1::Entry& entry) {
  std::vector<v1::Entry> mutants;
  for (int i = 0; i < entry.postings_size(); ++i) {
    const auto mutate = [&](auto change) {
      change(mutants.emplace_back(entry).mutable_postings(i));
    };
    mutate([](v1::Posting* posting) { posting->set_amount(posting->amount() + 1); });
    mutate([](v1::Posting* posting) { posting->set_amount(-posting->amount()); });
    mutate(
        [&](v1::Posting* posting) { posting->set_account(posting->account() + 1 + random() % 3); });
    mutate([&](v1::Posting* posting) { posting->set_campaign(posting->campaign() + 1); });
    mutants.emplace_back(entry).mutable_postings()->DeleteSubrange(i, 1);
  }
  v1::Posting* extra = mutants.emplace_back(entry).add_postings();
  extra->set_kind(v1::TREASURY);
  extra->set_amount(1);
  return mutants;
}

TEST_CASE("replay gives the same state, and every other posting is refused") {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    Market market(random);
    while (market.Running() && market.CanOpen()) {
      market.log.RunRound(market.campaign, RandomPlan(random, market));
    }
    Finish(random, market);
    State replay;
    for (const LoggedEntry& entry : market.log.entries) {
      for (const v1::Entry& mutant : MutatedPostings(random, entry.entry)) {
        LoggedEntry bad = entry;
        bad.entry = mutant;
        const Status status = replay.Apply(bad);
        INFO("entry " << entry.entry.index() << ": " << mutant.ShortDebugString());
        REQUIRE(status.code() == absl::StatusCode::kDataLoss);
      }
      REQUIRE(replay.Apply(entry).ok());
    }
    CHECK(replay.balances() == market.log.state.balances());
    CHECK(replay.last_leaf() == market.log.state.last_leaf());
  }
}

uint64_t OddNumber(Random& random, const Market& market) {
  const uint64_t pool[] = {0,
                           1,
                           2,
                           market.campaign,
                           market.owner,
                           market.teachers[0],
                           random() % 8,
                           random(),
                           ~uint64_t{0},
                           uint64_t{1} << 62};
  return pool[random() % std::size(pool)];
}

void Scramble(Random& random, const Market& market, const FieldDescriptor* field,
              google::protobuf::Message* message);

// Sets some fields, of any depth, to odd values.
void Scramble(Random& random, const Market& market, int one_in,
              google::protobuf::Message* message) {
  const auto* type = message->GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    if (random() % static_cast<uint64_t>(one_in) == 0) {
      Scramble(random, market, type->field(i), message);
    }
  }
}

void Scramble(Random& random, const Market& market, const FieldDescriptor* field,
              google::protobuf::Message* message) {
  const auto* reflection = message->GetReflection();
  if (field->is_repeated()) {
    if (reflection->FieldSize(*message, field) > 0) reflection->RemoveLast(message, field);
    return;
  }
  const uint64_t number = OddNumber(random, market);
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->SetUInt32(message, field, static_cast<uint32_t>(number));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(message, field, number);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(message, field, static_cast<int64_t>(number));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(message, field, number % 2 == 1);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->SetEnumValue(
          message, field,
          static_cast<int>(number % static_cast<uint64_t>(field->enum_type()->value_count())));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->SetString(message, field,
                                   std::string(random() % 2 == 0 ? 32 : random() % 65, 'x'));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return Scramble(random, market, 2, reflection->MutableMessage(message, field));
    default:
      return;
  }
}

TEST_CASE("no intent, however odd, does more than be refused") {
  uint64_t accepted = 0;
  uint64_t refused = 0;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    Market market(random);
    while (market.Running() && market.CanOpen()) {
      market.log.RunRound(market.campaign, RandomPlan(random, market));
    }
    Finish(random, market);
    // Each legal intent of the history, bent a little, at its own place.
    State replay;
    for (const LoggedEntry& entry : market.log.entries) {
      const uint64_t account = entry.intent.account();
      for (int i = 0; i < 6; ++i) {
        v1::Intent bent = entry.intent;
        const auto* body = bent.GetReflection()->GetOneofFieldDescriptor(
            bent, v1::Intent::descriptor()->oneof_decl(0));
        Scramble(random, market, 4, bent.GetReflection()->MutableMessage(&bent, body));
        const State& signer = market.log.state;
        if (signer.FindAccount(account) == nullptr || bent.has_account_open()) continue;
        const auto postings =
            replay.Postings(market.log.Sign(account, bent), entry.entry.time_ms() + i * 500);
        (postings.ok() ? accepted : refused)++;
        if (!postings.ok()) REQUIRE(!Message(postings.status()).empty());
      }
      REQUIRE(replay.Apply(entry).ok());
    }
  }
  CHECK(accepted > 0);
  CHECK(refused > 1000);
}

}  // namespace
}  // namespace crowdteach::ledger
