#include "learning/model/model_code.h"

#include <algorithm>
#include <set>

namespace crowdteach::learning {
namespace {

constexpr size_t kMaxTensorNameBytes = 128;
constexpr size_t kMaxTensors = 1000;
constexpr size_t kMaxDimensions = 8;

StatusOr<Tensor> ReadTensor(const toml::table& table, size_t number) {
  const auto* name = table.get_as<std::string>("name");
  const bool named = name != nullptr && IsModuleName(name->get(), kMaxTensorNameBytes);
  const std::string where =
      named ? fmt::format("tensor '{}'", name->get()) : fmt::format("tensor {}", number);
  ArgumentReader reader(table, where);
  Tensor tensor;
  tensor.name = reader.RequiredString("name");
  if (!named) {
    reader.Fail("name", fmt::format("must be 1 to {} letters, digits, _ or single dots between "
                                    "them, as in the state_dict",
                                    kMaxTensorNameBytes));
  }
  tensor.shape = reader.RequiredIntegers("shape", kMaxDimensions);
  tensor.count = ElementCount(tensor.shape);
  tensor.trainable = reader.OptionalBool("trainable", true);
  tensor.statistic = reader.OptionalBool("statistic", false);
  if (tensor.statistic && !tensor.trainable) {
    reader.Fail("statistic", "is true, and trainable false: a frozen tensor is no statistic");
  }
  reader.RefuseOthers();
  CT_RETURN_IF_ERROR(reader.status());
  return tensor;
}

Status ReadTensors(const toml::array& tables, const ModelLimits& limits, ModelSpec& spec) {
  std::set<std::string_view> names;
  spec.code->tensors.reserve(tables.size());  // the names stay where they are
  for (const toml::node& table : tables) {
    const auto line = table.source().begin.line;
    CT_ASSIGN_OR_RETURN(Tensor tensor,
                        ReadTensor(*table.as_table(), spec.code->tensors.size() + 1));
    spec.parameters = SaturatingAdd(spec.parameters, tensor.count);
    if (spec.parameters > limits.parameters) {
      return ResourceExhausted(
          "model.toml:{}: tensor '{}': brings the model to {} parameters, but at most {} are "
          "allowed",
          line, tensor.name, spec.parameters, limits.parameters);
    }
    spec.code->tensors.push_back(std::move(tensor));
    if (!names.insert(spec.code->tensors.back().name).second) {
      return InvalidArgument("model.toml:{}: tensor '{}': name is taken by an earlier tensor", line,
                             spec.code->tensors.back().name);
    }
  }
  const bool learns =
      std::any_of(spec.code->tensors.begin(), spec.code->tensors.end(),
                  [](const Tensor& tensor) { return tensor.trainable && !tensor.statistic; });
  if (!learns) return InvalidArgument("model.toml: no tensor is trainable");
  return OkStatus();
}

}  // namespace

Status ReadModelCode(ArgumentReader& model, const toml::table& root, const ModelLimits& limits,
                     ModelSpec& spec) {
  spec.code.emplace();
  spec.classes = model.Required("classes", 2);
  spec.code->size_bytes = model.Required("code_bytes");
  const StatusOr<base::Hash> digest = base::HashFromHex(model.RequiredString("code"));
  if (!digest.ok()) model.Fail("code", "must be the file's blob digest, 64 hex digits");
  if (digest.ok()) spec.code->digest = *digest;
  CT_RETURN_IF_ERROR(model.status());
  if (spec.code->size_bytes > limits.code_bytes) {
    return ResourceExhausted("model.toml: code_bytes is {}, but at most {} are allowed",
                             spec.code->size_bytes, limits.code_bytes);
  }
  const toml::array* tensors = root.get_as<toml::array>("tensor");
  if (tensors == nullptr || tensors->empty() || !tensors->is_array_of_tables()) {
    return InvalidArgument("model.toml: there are no [[tensor]] tables");
  }
  if (tensors->size() > kMaxTensors) {
    return ResourceExhausted("model.toml: {} tensors, but at most {} are allowed", tensors->size(),
                             kMaxTensors);
  }
  return ReadTensors(*tensors, limits, spec);
}

}  // namespace crowdteach::learning
