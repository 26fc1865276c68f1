// Makes a recording, by tests/recorded/record: a small campaign to its end, another that runs, and
// a session of everybody in that one. What of it must never change later, replay_test.cc checks.
#include <google/protobuf/message.h>

#include <cstdlib>

#include "client/campaign_toml.h"
#include "client/launching.h"
#include "tests/recorded/recording.h"
#include "tests/recorded/world.h"
#include "tests/support/proxy.h"

namespace crowdteach::testing {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kParameters = 10;
constexpr uint64_t kStake = 2000;

uint64_t Launch(Person* owner, const std::vector<std::string>& sets) {
  const auto file = Must(client::LoadCampaign(kRecorded + "campaign.toml", sets));
  learning::RunnerOptions runner;
  runner.worker_path = std::string(CROWDTEACH_BIN_DIR) + "/crowdteach-worker";
  const auto prepared = Must(client::PrepareCampaign(file, 1, runner, &owner->home->blobs()));
  Must(owner->session->Upload(base::BlobKind::kWeights, prepared.model, 0, 0, {}));
  Must(owner->session->Upload(base::BlobKind::kValidation, prepared.validation, 0, 0, {}));
  v1::Intent body;
  *body.mutable_campaign_open() = prepared.open;
  return Must(owner->session->Submit(body)).logged.entry.index();
}

void PlayRound(uint64_t campaign, Person* ada, Person* bob) {
  for (Person* person : {ada, bob}) {
    person->Commit(campaign, person->Next(v1::Notice::TASK), kParameters, person == ada ? 999 : 5);
  }
  for (Person* person : {ada, bob}) {
    person->Next(v1::Notice::COMMIT_CLOSED);
    person->Reveal();
  }
  for (Person* person : {ada, bob}) {
    const v1::Notice settled = person->Next(v1::Notice::ROUND_SETTLED);
    for (const std::string& receipt : settled.receipts()) {
      const auto entry = Must(person->session->Verify(receipt));
      Must(person->home->SaveReceipt(entry.logged.entry.index(), receipt));
    }
  }
}

Status TryClose(Person* owner, uint64_t campaign) {
  const auto open = Must(owner->session->FindCampaign(campaign));
  v1::Intent body;
  body.mutable_campaign_close()->set_campaign(campaign);
  body.mutable_campaign_close()->set_validation_digest(
      open.logged.intent.campaign_open().validation_digest());
  return owner->session->Submit(body).status();
}

struct Cast {
  Cast(const Scratch& scratch, const std::string& address, const std::string& teacher,
       const std::string& owner_invite)
      : owner(scratch.File("olga"), owner_invite, address, "olga"),
        ada(scratch.File("ada"), teacher, address, "ada"),
        bob(scratch.File("bob"), teacher, address, "bob") {}
  Person owner, ada, bob;
};

// A campaign from its opening to the refund, and one that waits for its teachers: its number.
uint64_t PlayPast(Server* server, Cast* cast) {
  server->Issue("olga", 60000);
  const uint64_t first = Launch(&cast->owner, {"rounds=1", "name=\"settled\""});
  for (Person* person : {&cast->ada, &cast->bob}) {
    person->Enrol(first);
    person->Attend(first);
  }
  PlayRound(first, &cast->ada, &cast->bob);
  cast->ada.Next(v1::Notice::CAMPAIGN_ENDED);
  Must(TryClose(&cast->owner, first));
  server->now_ms += 11'000;
  cast->ada.Next(v1::Notice::CAMPAIGN_REFUNDED);
  cast->bob.Next(v1::Notice::CAMPAIGN_REFUNDED);
  server->Issue("ada", kStake);  // its update cost it what it had
  return Launch(&cast->owner, {});
}

ProxyHooks HooksOf(Recorder* recorder) {
  ProxyHooks hooks;
  hooks.request = [recorder](uint64_t call, const std::string& method, const std::string& token,
                             google::protobuf::Message* message) {
    recorder->Request(call, method, token, message->SerializeAsString());
  };
  hooks.reply = [recorder](uint64_t call, google::protobuf::Message* message) {
    recorder->Reply(call, message->SerializeAsString());
  };
  hooks.end = [recorder](uint64_t call, const grpc::Status& status) {
    recorder->End(call, status.error_code(), status.error_message());
  };
  return hooks;
}

// Half a round of the second campaign, by teachers old and new, an auditor and its owner.
void PlaySession(const Scratch& scratch, const std::string& out, uint64_t campaign,
                 const std::string& address, const std::string& teacher, const std::string& auditor,
                 const std::string& owner_invite) {
  Person ada(scratch.File("ada"), teacher, address, "ada");
  Person dave(scratch.File("dave"), teacher, address, "dave");
  ada.Enrol(campaign);
  dave.Enrol(campaign);
  v1::Intent again;
  again.mutable_enrol()->set_campaign(campaign);
  again.mutable_enrol()->set_examples(20);
  REQUIRE_FALSE(dave.session->Submit(again).ok());  // a refusal, signed
  Must(dave.session->GetAccount());
  Must(dave.session->FindCampaign(campaign));
  ada.Attend(campaign);
  ada.Next(v1::Notice::WAITING);
  dave.Attend(campaign);
  const v1::Notice task = dave.Next(v1::Notice::TASK);
  const auto opened = Must(dave.session->Verify(task.receipts(0)));
  const auto base = Must(base::HashFromBytes(opened.logged.intent.round_open().base_digest()));
  Must(dave.session->Download(
      base::BlobKind::kWeights, base,
      Must(dave.session->FindCampaign(campaign)).logged.intent.campaign_open().model_size_bytes(),
      {}));
  dave.Commit(campaign, task, kParameters, 77);
  CopyHome(scratch.File("dave"), out + "/client");
  ada.Commit(campaign, ada.Next(v1::Notice::TASK), kParameters, 88);
  dave.Next(v1::Notice::COMMIT_CLOSED);
  dave.Reveal();
  Person watcher(scratch.File("anna"), auditor, address, "anna");
  Must(watcher.session->Watch(campaign, [](const v1::CampaignView&) { return false; }));
  Must(watcher.session->Download(base::BlobKind::kUpdate, dave.prepared.update, kParameters * 4,
                                 {}));
  Person owner(scratch.File("olga"), owner_invite, address, "olga");
  Must(owner.session->GetAccount());
  Must(owner.session->Upload(base::BlobKind::kWeights, base, 0, 0, {}));  // it is there already
  Must(owner.session->Watch(campaign, [](const v1::CampaignView&) { return false; }));
  REQUIRE_FALSE(TryClose(&owner, campaign).ok());  // not in the middle of a round
}

TEST_CASE("record", "[.record]") {
  const char* folder = std::getenv("CROWDTEACH_RECORD");
  REQUIRE(folder != nullptr);
  const std::string out = folder;
  fs::create_directories(out);
  const Scratch scratch;
  uint64_t now_ms = WallClockMs();
  uint64_t campaign = 0;
  std::string teacher, auditor, owner;
  {
    Server server(scratch.File("coordinator"), now_ms);
    server.Issue("operator", 9 * kStake);
    teacher = server.Invite(v1::TEACHER, kStake);
    auditor = server.Invite(v1::AUDITOR, 0);
    owner = server.Invite(v1::OWNER, 0);
    Cast cast(scratch, server.address, teacher, owner);
    campaign = PlayPast(&server, &cast);
    Must(server.coordinator->Export(out + "/export", true));
    std::ofstream(out + "/log.vkey") << server.coordinator->log_vkey() << "\n";
    now_ms = server.now_ms;
  }
  std::ofstream(out + "/teacher.invite") << teacher;
  CopyHome(scratch.File("coordinator"), out + "/coordinator");
  for (const char* name : {"ada", "dave", "anna", "olga"}) {
    // Before its session, so that the keys of all who open one are known.
    const auto home = Must(client::Home::Open(scratch.File(name)));
    Must(home->key().Save(out + "/" + name + ".key"));
  }
  Server server(scratch.File("coordinator"), now_ms);
  Recorder recorder(out + "/session");
  recorder.Clock(now_ms);
  const Proxy proxy(server.address, server.identity, HooksOf(&recorder));
  PlaySession(scratch, out, campaign, "127.0.0.1:" + std::to_string(proxy.port()), teacher, auditor,
              owner);
  recorder.Stop();
}

}  // namespace
}  // namespace crowdteach::testing
