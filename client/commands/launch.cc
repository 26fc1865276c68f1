// crowdteach launch: a model owner opens a campaign.
#include <fmt/core.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/campaign_toml.h"
#include "client/commands/commands.h"
#include "client/commands/joining.h"
#include "client/commands/patience.h"
#include "client/launching.h"
#include "client/terms_text.h"
#include "proto/base/bytes.h"
#include "proto/cli/terminal.h"

namespace crowdteach::client {
namespace {

struct LaunchOptions {
  JoinOptions join;
  WorkerOptions worker;
  std::string file;
  std::vector<std::string> sets;
  bool dry_run = false;
  std::optional<uint64_t> seed;
};

// A folder that goes away with its owner.
class ScratchFolder {
 public:
  static StatusOr<ScratchFolder> Make() {
    std::string path = (std::filesystem::temp_directory_path() / "crowdteach-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) return ErrnoStatus(errno, path);
    return ScratchFolder(path);
  }
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchFolder& operator=(ScratchFolder&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

StatusOr<int> DryRun(const CampaignFile& file, uint64_t seed,
                     const learning::RunnerOptions& runner) {
  CT_ASSIGN_OR_RETURN(const ScratchFolder scratch, ScratchFolder::Make());
  CT_ASSIGN_OR_RETURN(const auto blobs, ledger::ArtifactStore::Open(scratch.path() + "/blobs"));
  CT_ASSIGN_OR_RETURN(const PreparedCampaign prepared,
                      PrepareCampaign(file, seed, runner, blobs.get()));
  cli::Print(TermsText(prepared.open));
  fmt::print("nothing was sent: --dry-run\n");
  return 0;
}

StatusOr<VerifiedEntry> Open(Session* session, const PreparedCampaign& prepared) {
  CT_RETURN_IF_ERROR(session->Upload(base::BlobKind::kWeights, prepared.model, 0, 0, {}));
  CT_RETURN_IF_ERROR(session->Upload(base::BlobKind::kValidation, prepared.validation, 0, 0, {}));
  if (prepared.code) {
    CT_RETURN_IF_ERROR(session->Upload(base::BlobKind::kCode, *prepared.code, 0, 0, {}));
  }
  v1::Intent body;
  *body.mutable_campaign_open() = prepared.open;
  return session->Submit(std::move(body));
}

StatusOr<int> RunLaunch(const LaunchOptions& options) {
  CT_ASSIGN_OR_RETURN(const CampaignFile file, LoadCampaign(options.file, options.sets));
  CT_ASSIGN_OR_RETURN(const learning::RunnerOptions runner, FindWorker(options.worker));
  const uint64_t seed =
      options.seed.has_value() ? *options.seed : base::ReadU64(base::RandomBytes(8).data());
  if (options.dry_run) return DryRun(file, seed, runner);

  CT_ASSIGN_OR_RETURN(Joined joined, Join(options.join, v1::OWNER, Account::kMayOpen));
  CT_ASSIGN_OR_RETURN(const PreparedCampaign prepared,
                      PrepareCampaign(file, seed, runner, &joined.home->blobs()));
  cli::Print(TermsText(prepared.open));
  Session* const session = joined.session.get();
  CT_ASSIGN_OR_RETURN(const VerifiedEntry entry,
                      Patiently(std::stop_token(), [&] { return Open(session, prepared); }));
  fmt::print("campaign {} is open\n", entry.logged.entry.index());
  return 0;
}

}  // namespace

void AddLaunch(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<LaunchOptions>();
  CLI::App* command = app.add_subcommand("launch", "Opens a campaign to have a model taught");
  AddJoinOptions(command, &options->join);
  AddWorkerOptions(command, &options->worker);
  command->add_option("campaign.toml", options->file, "The campaign's terms")->required();
  command->add_option("--set", options->sets, "Override a term, as KEY=VALUE")
      ->allow_extra_args(false);
  command->add_option("--seed", options->seed, "Seed of fresh first weights (default: random)");
  command->add_flag("--dry-run", options->dry_run, "Check everything, send nothing");
  cli::SetExamples(command,
                   "  crowdteach launch --dry-run campaign.toml\n"
                   "  crowdteach launch --invite owner.invite campaign.toml --set rounds=20\n");
  command->callback([options, &action] { action = [options] { return RunLaunch(*options); }; });
}

}  // namespace crowdteach::client
