#include "client/task_json.h"

#include <nlohmann/json.hpp>

namespace crowdteach::client {
namespace {

using nlohmann::ordered_json;

ordered_json LocalJson(const LocalTerms& local) {
  return {{"optimizer", local.optimizer == Optimizer::kAdam ? "adam" : "sgd"},
          {"learning_rate", local.learning_rate},
          {"momentum", local.momentum},
          {"weight_decay", local.weight_decay},
          {"fedprox_mu", local.fedprox_mu},
          {"batch_size", local.batch_size},
          {"steps", local.steps},
          {"epochs", local.epochs}};
}

ordered_json DataJson(const DataTerms& data) {
  return {{"input_shape", data.input_shape},
          {"feature_type", data.feature_type == FeatureType::kBytes ? "u8" : "float32"},
          {"mean", data.mean},
          {"deviation", data.deviation},
          {"classes", data.classes},
          {"csv_label_column", data.csv_label_column},
          {"csv_feature_columns", data.csv_feature_columns}};
}

std::string_view RoleName(TensorRole role) {
  switch (role) {
    case TensorRole::kTrained:
      return "trained";
    case TensorRole::kStatistic:
      return "statistic";
    case TensorRole::kFrozen:
      break;
  }
  return "frozen";
}

}  // namespace

std::string TaskJson(const Task& task) {
  ordered_json json = {{"campaign", task.campaign.number},
                       {"name", task.campaign.terms.name},
                       {"round", task.round},
                       {"seed", std::to_string(task.seed)},
                       {"local", LocalJson(task.campaign.terms.local)},
                       {"data", DataJson(task.campaign.terms.data)},
                       {"tensors", ordered_json::array()}};
  for (const Tensor& tensor : task.campaign.layout) {
    json["tensors"].push_back(
        {{"name", tensor.name}, {"shape", tensor.shape}, {"role", RoleName(tensor.role)}});
  }
  // Class names and columns are bytes of the owner's choice.
  return json.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace crowdteach::client
