// Who may read and upload what: every kind, phase and role.
#include "server/access.h"

#include "proto/base/bytes.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/server/history.h"

namespace crowdteach::server {
namespace {

using absl::StatusCode;
using base::BlobKind;
using testing::Refused;
using testing::TestHash;

// One scored round; besides its teachers an auditor, another owner and a stranger.
struct ReadWorld : SmallWorld {
  explicit ReadWorld(v1::Readers updates = v1::AUDITORS, v1::Readers validation = v1::AUDITORS)
      : SmallWorld(4, Terms(updates, validation)) {
    auditor = log.NewAccount(v1::AUDITOR);
    other_owner = log.NewAccount(v1::OWNER);
    stranger = log.NewAccount(v1::TEACHER);
    log.RunRound(id, {});
    update = log.UpdateOf(id, teachers[0], {});
    gradient = TestHash("gradient", 1);
  }
  static v1::CampaignOpen Terms(v1::Readers updates, v1::Readers validation) {
    v1::CampaignOpen open = testing::SmallCampaign();
    open.mutable_terms()->set_update_readers(updates);
    open.mutable_terms()->set_validation_readers(validation);
    return open;
  }

  Status Read(std::optional<uint64_t> account, BlobKind kind, const base::Hash& digest) const {
    return MayRead(log.state, MarksOf(log), account, kind, digest).status();
  }
  // The readers among owner, auditor, teacher, stranger, other owner and everybody.
  std::string Readers(BlobKind kind, const base::Hash& digest) const {
    std::string readers;
    if (Read(owner, kind, digest).ok()) readers += "owner ";
    if (Read(auditor, kind, digest).ok()) readers += "auditor ";
    if (Read(teachers[1], kind, digest).ok()) readers += "teacher ";
    if (Read(stranger, kind, digest).ok()) readers += "stranger ";
    if (Read(other_owner, kind, digest).ok()) readers += "other ";
    if (Read(std::nullopt, kind, digest).ok()) readers += "public ";
    return readers;
  }
  void Close(bool by_owner) {
    v1::CampaignClose close;
    close.set_campaign(id);
    if (by_owner) close.set_validation_digest(Now().open.validation_digest());
    if (!by_owner) log.now_ms += Now().open.terms().close_ms();
    log.Say(by_owner ? owner : 0, close);
  }

  uint64_t auditor = 0, other_owner = 0, stranger = 0;
  base::Hash validation = TestHash("validation", 0);
  base::Hash update{}, gradient{};
};

TEST_CASE("Weights are for the enrolled, the owner and auditors") {
  const ReadWorld world;
  const base::Hash first = TestHash("model", 0);
  REQUIRE(world.Readers(BlobKind::kWeights, first) == "owner auditor teacher ");
  REQUIRE(world.Readers(BlobKind::kWeights, world.Now().model_digest) == "owner auditor teacher ");
  REQUIRE(Refused(world.Read(world.stranger, BlobKind::kWeights, first),
                  StatusCode::kPermissionDenied, "enrolled teachers, auditors and the owner"));
}

TEST_CASE("A model's code is public like the terms it is part of") {
  ReadWorld world;
  v1::CampaignOpen open = testing::SmallCampaign();
  const base::Hash code = TestHash("code", 0);
  open.mutable_terms()->set_model_toml(fmt::format(
      "[model]\nname = \"n\"\ninput = [4]\nkind = \"code\"\nclasses = 2\ncode = \"{}\"\n"
      "code_bytes = 9\n[[tensor]]\nname = \"w\"\nshape = [2]\n",
      base::Hex(code)));
  world.log.Issue(world.owner, 300);
  world.log.OpenCampaign(world.owner, open);
  REQUIRE(world.Readers(BlobKind::kCode, code) == "owner auditor teacher stranger other public ");
  REQUIRE(Refused(world.Read(world.owner, BlobKind::kWeights, code), StatusCode::kNotFound, ""));
  REQUIRE(Exportable(world.log.state, MarksOf(world.log), code));
}

TEST_CASE("A blob is known by its kind too") {
  const ReadWorld world;
  REQUIRE(Refused(world.Read(world.owner, BlobKind::kUpdate, TestHash("model", 0)),
                  StatusCode::kNotFound, "no campaign names"));
  REQUIRE(Refused(world.Read(world.owner, BlobKind::kWeights, TestHash("nothing", 0)),
                  StatusCode::kNotFound, "no campaign names"));
}

TEST_CASE("Updates are for whom the terms name") {
  const auto readers = [](v1::Readers terms) {
    const ReadWorld world(terms);
    return world.Readers(BlobKind::kUpdate, world.update);
  };
  REQUIRE(readers(v1::AUDITORS) == "owner auditor ");
  REQUIRE(readers(v1::ENROLLED) == "owner auditor teacher ");
  REQUIRE(readers(v1::PUBLIC) == "owner auditor teacher stranger other public ");
}

TEST_CASE("Validation set and gradients are the owner's until it closes") {
  const auto terms = GENERATE(v1::AUDITORS, v1::ENROLLED, v1::PUBLIC);
  ReadWorld world(v1::AUDITORS, terms);
  const auto readers = [&] {
    const std::string found = world.Readers(BlobKind::kValidation, world.validation);
    REQUIRE(world.Readers(BlobKind::kGradient, world.gradient) == found);
    const bool open = Exportable(world.log.state, MarksOf(world.log), world.validation);
    REQUIRE(open == (found != "owner "));
    return found;
  };
  REQUIRE(readers() == "owner ");
  REQUIRE(Refused(world.Read(world.auditor, BlobKind::kGradient, world.gradient),
                  StatusCode::kPermissionDenied, "secret until its owner closes"));
  SECTION("by its own close they are for whom the terms name") {
    world.Close(true);
    REQUIRE(readers() == (terms == v1::AUDITORS ? "owner auditor "
                          : terms == v1::ENROLLED
                              ? "owner auditor teacher "
                              : "owner auditor teacher stranger other public "));
  }
  SECTION("a default close reveals nothing") {
    world.Close(false);
    REQUIRE(readers() == "owner ");
  }
}

TEST_CASE("A secret of one campaign is not exported for another's sake") {
  ReadWorld world;
  world.Close(true);
  REQUIRE(Exportable(world.log.state, MarksOf(world.log), world.validation));
  // The same validation set in a campaign that runs.
  world.log.Issue(world.owner, 300);
  world.log.OpenCampaign(world.owner, testing::SmallCampaign());
  REQUIRE_FALSE(Exportable(world.log.state, MarksOf(world.log), world.validation));
  REQUIRE_FALSE(Exportable(world.log.state, MarksOf(world.log), TestHash("nothing", 0)));
  REQUIRE(Exportable(world.log.state, MarksOf(world.log), TestHash("model", 0)));
}

v1::UploadHead Head(v1::BlobKindName kind, uint64_t size_bytes) {
  v1::UploadHead head;
  head.set_kind(kind);
  head.set_digest(base::Bytes(TestHash("blob", 0)));
  head.set_size_bytes(size_bytes);
  return head;
}

TEST_CASE("Owners upload weights, validation sets and code") {
  const ReadWorld world;
  const auto upload = [&](uint64_t account, const v1::UploadHead& head) {
    return MayUpload(world.log.state, account, head);
  };
  for (const v1::BlobKindName kind : {v1::WEIGHTS, v1::VALIDATION, v1::CODE}) {
    REQUIRE(upload(world.owner, Head(kind, 1)).ok());
    REQUIRE(upload(world.other_owner, Head(kind, kMaxOwnerBlobBytes)).ok());
    REQUIRE(Refused(upload(world.owner, Head(kind, kMaxOwnerBlobBytes + 1)),
                    StatusCode::kResourceExhausted, "at most"));
    for (const uint64_t account : {world.teachers[0], world.auditor, uint64_t{0}, uint64_t{999}}) {
      REQUIRE(Refused(upload(account, Head(kind, 1)), StatusCode::kPermissionDenied, "owner"));
    }
  }
  REQUIRE(Refused(upload(world.owner, Head(v1::GRADIENT, 1)), StatusCode::kPermissionDenied,
                  "the coordinator's own"));
  REQUIRE(
      Refused(upload(world.owner, Head(v1::WEIGHTS, 0)), StatusCode::kInvalidArgument, "no bytes"));
  REQUIRE(Refused(upload(world.owner, Head(static_cast<v1::BlobKindName>(77), 1)),
                  StatusCode::kInvalidArgument, "77 is not a kind"));
  v1::UploadHead head = Head(v1::WEIGHTS, 1);
  head.set_digest("short");
  REQUIRE(upload(world.owner, head).code() == StatusCode::kInvalidArgument);
}

TEST_CASE("Teachers upload the update they committed to, in its phase") {
  SmallWorld world(5);  // of which four are drawn
  const auto upload = [&](uint64_t account, uint32_t round = 1, uint64_t size_bytes = 40) {
    v1::UploadHead head = Head(v1::UPDATE, size_bytes);
    head.set_campaign(world.id);
    head.set_round(round);
    return MayUpload(world.log.state, account, head);
  };
  const auto refused = [&](const Status& status, std::string_view why) {
    return Refused(status, StatusCode::kFailedPrecondition, why);
  };
  REQUIRE(refused(upload(world.teachers[0]), "not open yet"));
  v1::UploadHead nowhere = Head(v1::UPDATE, 40);
  nowhere.set_campaign(999);
  REQUIRE(MayUpload(world.log.state, world.teachers[0], nowhere).code() == StatusCode::kNotFound);

  const std::vector<uint64_t> drawn = world.log.OpenRound(world.id);
  for (const uint64_t account : {drawn[0], drawn[1], drawn[2]}) {
    world.log.Say(account, world.log.CommitOf(world.id, account, {}));
  }
  REQUIRE(refused(upload(drawn[0]), "closed commit phase"));
  world.log.now_ms += 1000;
  world.log.Say(0, world.log.CommitCloseOf(world.id));

  REQUIRE(upload(drawn[0]).ok());
  REQUIRE(upload(drawn[0], 1, 4).ok());  // too short: rejected for its shape, on the ledger
  REQUIRE(Refused(upload(drawn[0], 1, 44), StatusCode::kResourceExhausted, "not 44"));
  REQUIRE(refused(upload(drawn[0], 2), "not open yet"));
  REQUIRE(refused(upload(drawn[0], 0), "over"));
  REQUIRE(Refused(upload(drawn[3]), StatusCode::kPermissionDenied, "has not committed"));
  for (const uint64_t account : world.teachers) {
    if (std::find(drawn.begin(), drawn.end(), account) != drawn.end()) continue;
    REQUIRE(Refused(upload(account), StatusCode::kPermissionDenied, "was not selected"));
  }
  world.log.Say(drawn[0], world.log.RevealOf(world.id, drawn[0], {}));
  REQUIRE(refused(upload(drawn[0]), "settled already"));
  world.log.now_ms += 1000;
  world.log.Say(0, world.log.RejectOf(world.id, drawn[1], v1::NO_REVEAL));
  REQUIRE(refused(upload(drawn[1]), "settled already"));
  REQUIRE(upload(drawn[2]).ok());  // late, but the phase is open
}

TEST_CASE("Under open commitments the selected upload at once") {
  v1::CampaignOpen open = testing::SmallCampaign();
  open.mutable_terms()->set_open_commitments(true);
  SmallWorld world(4, open);
  world.log.OpenRound(world.id);
  v1::UploadHead head = Head(v1::UPDATE, 40);
  head.set_campaign(world.id);
  head.set_round(1);
  REQUIRE(MayUpload(world.log.state, world.teachers[2], head).ok());
}

}  // namespace
}  // namespace crowdteach::server
