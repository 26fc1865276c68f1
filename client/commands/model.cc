// crowdteach model: a model as a folder PyTorch opens.
#include <fmt/core.h>

#include <filesystem>

#include "client/commands/commands.h"
#include "client/commands/joining.h"
#include "client/model_code.h"
#include "learning/model/export.h"
#include "learning/model/init.h"
#include "learning/model/model_spec.h"
#include "learning/model/safetensors.h"
#include "proto/base/file.h"

namespace crowdteach::client {
namespace {

struct ModelOptions {
  std::string model_path;
  std::string weights_path;
  std::string out;
  uint64_t seed = 0;
  uint64_t campaign = 0;
  JoinOptions join;
};

constexpr size_t kMaxModelBytes = size_t{32} << 10;

// Writes the campaign's current model, fetched and verified.
Status ExportCampaign(const ModelOptions& options) {
  CT_ASSIGN_OR_RETURN(Joined joined, Join(options.join, v1::ROLE_UNSPECIFIED, Account::kMustExist));
  CT_ASSIGN_OR_RETURN(const VerifiedEntry open, joined.session->FindCampaign(options.campaign));
  const v1::Terms& terms = open.logged.intent.campaign_open().terms();
  CT_ASSIGN_OR_RETURN(const learning::ModelSpec spec, learning::ParseModelSpec(terms.model_toml()));
  std::string hex;
  CT_RETURN_IF_ERROR(joined.session->Watch(options.campaign, [&](const v1::CampaignView& view) {
    hex = view.model_digest();
    return false;
  }));
  CT_ASSIGN_OR_RETURN(const base::Hash digest, base::HashFromHex(hex));
  CT_RETURN_IF_ERROR(
      joined.session->Download(base::BlobKind::kWeights, digest,
                               learning::CanonicalSizeBytes(learning::LayoutOf(spec)), {}));
  CT_ASSIGN_OR_RETURN(const std::string code,
                      FetchModelCode(joined.session.get(), joined.home.get(), spec));
  return learning::ExportModel(options.out, terms.model_toml(), joined.home->blobs().Path(digest),
                               code);
}

Status ExportLocal(const ModelOptions& options) {
  CT_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(options.model_path, kMaxModelBytes));
  StatusOr<learning::ModelSpec> spec = learning::ParseModelSpec(text);
  if (!spec.ok()) return InvalidArgument("{}: {}", options.model_path, Message(spec.status()));
  if (spec->code) {
    return InvalidArgument("{} is a model as code: its folder can be opened as it is",
                           options.model_path);
  }
  if (!options.weights_path.empty()) {
    return learning::ExportModel(options.out, text, options.weights_path);
  }
  std::error_code error;
  std::filesystem::create_directories(options.out, error);
  if (error) return ErrnoStatus(error.value(), options.out);
  const std::string fresh = options.out + "/first.safetensors";
  CT_RETURN_IF_ERROR(learning::WriteFirstWeights(fresh, *spec, options.seed));
  const Status exported = learning::ExportModel(options.out, text, fresh);
  std::filesystem::remove(fresh, error);
  return exported;
}

}  // namespace

void AddModel(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<ModelOptions>();
  CLI::App* command = app.add_subcommand(
      "model", "Writes model.toml, model.safetensors and load_model.py for PyTorch");
  AddJoinOptions(command, &options->join);
  auto* model = command->add_option("--model", options->model_path, "A model.toml of your own");
  command->add_option("--weights", options->weights_path,
                      "Its weights (safetensors); default: first weights from --seed");
  command->add_option("--seed", options->seed, "Seed of first weights")->capture_default_str();
  auto* campaign = command->add_option("--campaign", options->campaign,
                                       "Instead: the current model of this campaign");
  model->excludes(campaign);
  command->add_option("-o,--output", options->out, "Folder to write")->required();
  cli::SetExamples(command,
                   "  crowdteach model --model examples/models/cnn/model.toml -o cnn\n"
                   "  crowdteach model --campaign 5 -o trained && python3 trained/load_model.py\n");
  command->callback([options, &action] {
    action = [options]() -> StatusOr<int> {
      if (options->model_path.empty() && options->campaign == 0) {
        return InvalidArgument("say which model: --model FILE or --campaign N");
      }
      CT_RETURN_IF_ERROR(options->campaign != 0 ? ExportCampaign(*options) : ExportLocal(*options));
      fmt::print("{0}/model.toml, {0}/model.safetensors, {0}/load_model.py\n", options->out);
      return 0;
    };
  });
}

}  // namespace crowdteach::client
