#include "learning/model/model_spec.h"

#include <toml++/toml.h>
#include <algorithm>
#include <map>

#include "learning/model/argument_reader.h"
#include "learning/model/layer_arguments.h"
#include "learning/model/model_code.h"
#include "proto/base/toml_text.h"

namespace crowdteach::learning {
namespace {

constexpr size_t kMaxNameBytes = 64;
constexpr size_t kMaxDimensions = 8;  // of a layer's output, the batch apart

StatusOr<toml::table> ParseToml(std::string_view text) {
  CT_ASSIGN_OR_RETURN(const std::string ascii, base::AsciiToml(text, "model.toml"));
  try {
    return toml::parse(ascii);
  } catch (const toml::parse_error& error) {
    return InvalidArgument("model.toml:{}: {}", error.source().begin.line, error.description());
  }
}

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

// Builds a spec layer by layer; the tables must outlive it.
class Builder {
 public:
  Builder(const ModelLimits& limits, ModelSpec& spec) : limits_(limits), spec_(spec) {}

  Status ReadModel(const toml::table& root, const toml::table& table) {
    ArgumentReader reader(table, "model");
    spec_.name = reader.RequiredString("name");
    if (spec_.name.empty() || spec_.name.size() > 80 || !IsPrintable(spec_.name)) {
      reader.Fail("name", "must be 1 to 80 printable ASCII characters");
    }
    spec_.input = reader.RequiredIntegers("input", 4);
    if (reader.OptionalString("loss", "cross-entropy") != "cross-entropy") {
      reader.Fail("loss", "must be \"cross-entropy\"");
    }
    const std::string kind = reader.OptionalString("kind", "layers");
    if (kind != "layers" && kind != "code") {
      reader.Fail("kind", "must be \"layers\" or \"code\"");
    }
    CT_RETURN_IF_ERROR(reader.status());
    if (kind == "code") CT_RETURN_IF_ERROR(ReadModelCode(reader, root, limits_, spec_));
    reader.RefuseOthers();
    CT_RETURN_IF_ERROR(reader.status());
    spec_.activation_bytes = SaturatingMultiply(sizeof(float), ElementCount(spec_.input));
    return CheckLimits(reader, "input");
  }

  Status ReadLayer(const toml::table& table) {
    Layer layer;
    layer.name = ReadName(table);
    const std::string where = layer.name.empty() ? fmt::format("layer {}", spec_.layers.size() + 1)
                                                 : fmt::format("layer '{}'", layer.name);
    ArgumentReader reader(table, where);
    CT_RETURN_IF_ERROR(CheckName(reader, layer.name));
    const std::string type = reader.RequiredString("type");
    CT_RETURN_IF_ERROR(reader.status());
    layer.arguments = ReadLayerArguments(reader, type);
    CT_RETURN_IF_ERROR(reader.status());
    const std::vector<Parameter> parameters = ParametersOf(layer.arguments);
    if (!parameters.empty()) layer.trainable = reader.OptionalBool("trainable", true);
    CT_RETURN_IF_ERROR(ReadInputs(reader, layer));
    reader.RefuseOthers();
    CT_RETURN_IF_ERROR(CheckUseOfInput(reader, layer));
    CT_RETURN_IF_ERROR(Measure(reader, parameters, layer));
    by_name_.emplace(layer.name, static_cast<int32_t>(spec_.layers.size()));
    lines_.push_back(table.source().begin.line);
    spec_.layers.push_back(std::move(layer));
    return OkStatus();
  }

  Status Finish() {
    for (size_t i = 0; i + 1 < spec_.layers.size(); ++i) {
      if (used_.count(static_cast<int32_t>(i)) == 0) {
        return InvalidArgument(
            "model.toml:{}: layer '{}': no later layer uses its output; name it in some inputs, or "
            "take it out",
            lines_[i], spec_.layers[i].name);
      }
    }
    if (used_.count(kModelInput) == 0)
      return InvalidArgument("model.toml: no layer reads \"input\"");
    const Layer& last = spec_.layers.back();
    if (last.shape.size() != 1 || last.shape[0] < 2) {
      return InvalidArgument(
          "model.toml:{}: layer '{}': the last layer must give one logit a class, two at least, "
          "but "
          "its output is {}",
          lines_.back(), last.name, ShapeText(last.shape));
    }
    spec_.classes = last.shape[0];
    const bool learns =
        std::any_of(spec_.layers.begin(), spec_.layers.end(), [](const Layer& layer) {
          const std::vector<Parameter> parameters = ParametersOf(layer.arguments);
          return layer.trainable && std::any_of(parameters.begin(), parameters.end(),
                                                [](const Parameter& p) { return !p.statistic; });
        });
    if (!learns) return InvalidArgument("model.toml: no layer has trainable parameters");
    return OkStatus();
  }

 private:
  // Only to name the layer in messages; CheckName judges it.
  static std::string ReadName(const toml::table& table) {
    const auto* name = table.get_as<std::string>("name");
    return name != nullptr && IsModuleName(name->get(), kMaxNameBytes) ? name->get() : "";
  }

  Status CheckName(ArgumentReader& reader, const std::string& name) {
    reader.RequiredString("name");
    if (name.empty()) {
      reader.Fail("name", fmt::format("must be 1 to {} letters, digits, _ or single dots between "
                                      "them, not \"input\", no part of it \"training\"",
                                      kMaxNameBytes));
    } else if (by_name_.count(name) != 0) {
      reader.Fail("name", "is taken by an earlier layer");
    }
    CT_RETURN_IF_ERROR(reader.status());
    // A PyTorch module "a" cannot be a layer and hold the layer "a.b".
    for (const auto& [other, index] : by_name_) {
      const auto& [shorter, longer] = std::minmax(
          name, other, [](const auto& a, const auto& b) { return a.size() < b.size(); });
      if (longer.compare(0, shorter.size(), shorter) == 0 && longer[shorter.size()] == '.') {
        reader.Fail("name", fmt::format("and layer '{}' lie one inside the other", other));
      }
    }
    return reader.status();
  }

  Status ReadInputs(ArgumentReader& reader, Layer& layer) {
    if (FewestInputs(layer.arguments) == 0) return OkStatus();
    const std::vector<std::string> names = reader.OptionalStrings("inputs");
    CT_RETURN_IF_ERROR(reader.status());
    if (names.empty()) {
      layer.inputs = {static_cast<int32_t>(spec_.layers.size()) - 1};  // kModelInput for the first
    }
    for (const std::string& name : names) {
      const auto found = by_name_.find(name);
      if (name == "input") {
        layer.inputs.push_back(kModelInput);
      } else if (found != by_name_.end()) {
        layer.inputs.push_back(found->second);
      } else {
        reader.Fail("inputs", fmt::format("names '{}', which is neither \"input\" nor an earlier "
                                          "layer",
                                          IsModuleName(name, kMaxNameBytes) ? name : "?"));
        return reader.status();
      }
    }
    used_.insert(layer.inputs.begin(), layer.inputs.end());
    return OkStatus();
  }

  // The model's input goes either to Embeddings, raw, or to other layers, normalised.
  Status CheckUseOfInput(ArgumentReader& reader, const Layer& layer) {
    const bool reads =
        std::find(layer.inputs.begin(), layer.inputs.end(), kModelInput) != layer.inputs.end();
    const auto* embedding = std::get_if<Embedding>(&layer.arguments);
    if (embedding != nullptr && !reads) {
      reader.Fail("inputs", "must be [\"input\"]: an Embedding takes the model's input as it is");
    } else if (reads) {
      std::string& first = embedding != nullptr ? first_embedding_ : first_other_;
      if (first.empty()) first = layer.name;
      if (!first_embedding_.empty() && !first_other_.empty()) {
        reader.Fail("inputs", fmt::format("is \"input\" like that of layer '{}', but Embedding "
                                          "takes indices, and every other type numbers",
                                          embedding != nullptr ? first_other_ : first_embedding_));
      }
    }
    if (embedding != nullptr &&
        (spec_.index_limit == 0 || embedding->num_embeddings < spec_.index_limit)) {
      spec_.index_limit = embedding->num_embeddings;
    }
    return reader.status();
  }

  Status Measure(ArgumentReader& reader, const std::vector<Parameter>& parameters, Layer& layer) {
    std::vector<const Shape*> inputs;
    for (const int32_t index : layer.inputs) {
      inputs.push_back(index == kModelInput ? &spec_.input : &spec_.layers[index].shape);
    }
    LayerCost cost;
    if (const auto fault = InferLayer(layer.arguments, inputs, cost)) {
      reader.Fail(fault->argument, fault->message);
      return reader.status();
    }
    if (cost.shape.size() > kMaxDimensions) {
      reader.Fail("", fmt::format("gives {}, but {} dimensions are the most", ShapeText(cost.shape),
                                  kMaxDimensions));
      return reader.status();
    }
    layer.shape = cost.shape;
    for (const Parameter& parameter : parameters) {
      spec_.parameters = SaturatingAdd(spec_.parameters, ElementCount(parameter.shape));
    }
    const uint64_t previous_workspace = workspace_bytes_;
    workspace_bytes_ = std::max(workspace_bytes_, cost.workspace_bytes);
    spec_.activation_bytes =
        SaturatingAdd(spec_.activation_bytes, workspace_bytes_ - previous_workspace);
    spec_.activation_bytes =
        SaturatingAdd(spec_.activation_bytes,
                      SaturatingAdd(cost.kept_bytes,
                                    SaturatingMultiply(sizeof(float), ElementCount(cost.shape))));
    spec_.flops = SaturatingAdd(spec_.flops, cost.flops);
    return CheckLimits(reader, "");
  }

  Status CheckLimits(ArgumentReader& reader, std::string_view key) const {
    const struct {
      std::string_view what;
      uint64_t value, limit;
    } checks[] = {{"parameters", spec_.parameters, limits_.parameters},
                  {"activation bytes an example", spec_.activation_bytes, limits_.activation_bytes},
                  {"FLOPs an example", spec_.flops, limits_.flops}};
    for (const auto& check : checks) {
      if (check.value <= check.limit) continue;
      reader.Fail(key, fmt::format("brings the model to {} {}, but at most {} are allowed",
                                   check.value, check.what, check.limit));
      return ResourceExhausted("{}", Message(reader.status()));
    }
    return OkStatus();
  }

  const ModelLimits& limits_;
  ModelSpec& spec_;
  std::map<std::string, int32_t, std::less<>> by_name_;
  std::set<int32_t> used_;
  std::vector<uint32_t> lines_;
  std::string first_embedding_, first_other_;  // of the layers that read the model's input
  uint64_t workspace_bytes_ = 0;
};

}  // namespace

StatusOr<ModelSpec> ParseModelSpec(std::string_view text, const ModelLimits& limits) {
  // The limit also bounds how deep keys and arrays nest, which toml++ frees recursively: 32 KiB of
  // the worst text need 2 MB of stack under ASan.
  if (text.size() > limits.text_bytes) {
    return ResourceExhausted("model.toml: {} bytes, but at most {} are allowed", text.size(),
                             limits.text_bytes);
  }
  CT_ASSIGN_OR_RETURN(const toml::table root, ParseToml(text));
  const toml::table* model = root.get_as<toml::table>("model");
  if (model == nullptr) return InvalidArgument("model.toml: there is no [model] table");
  ModelSpec spec;
  Builder builder(limits, spec);
  CT_RETURN_IF_ERROR(builder.ReadModel(root, *model));
  const std::string_view parts = spec.code ? "tensor" : "layer";
  for (const auto& [key, node] : root) {
    if (key == "model" || key == parts) continue;
    return InvalidArgument("model.toml:{}: unknown key; known are [model] and [[{}]]",
                           node.source().begin.line, parts);
  }
  if (spec.code) return spec;
  const toml::array* layers = root.get_as<toml::array>("layer");
  if (layers == nullptr || layers->empty() || !layers->is_array_of_tables()) {
    return InvalidArgument("model.toml: there are no [[layer]] tables");
  }
  if (layers->size() > limits.layers) {
    return ResourceExhausted("model.toml: {} layers, but at most {} are allowed", layers->size(),
                             limits.layers);
  }
  for (const toml::node& layer : *layers) {
    CT_RETURN_IF_ERROR(builder.ReadLayer(*layer.as_table()));
  }
  CT_RETURN_IF_ERROR(builder.Finish());
  return spec;
}

std::string TensorName(const Layer& layer, const Parameter& parameter) {
  return parameter.name.empty() ? layer.name : fmt::format("{}.{}", layer.name, parameter.name);
}

std::optional<ModelCode> ModelCodeOf(std::string_view toml) {
  StatusOr<ModelSpec> spec = ParseModelSpec(toml);
  return spec.ok() ? std::move(spec->code) : std::nullopt;
}

Status CheckCodeAllowed(const ModelSpec& spec, bool allowed) {
  if (!spec.code || allowed) return OkStatus();
  return InvalidArgument(
      "model '{}' is TorchScript code, {} bytes of a program that its owner wrote: it runs in the "
      "worker's sandbox only, and only where --allow-model-code says so",
      spec.name, spec.code->size_bytes);
}

Layout LayoutOf(const ModelSpec& spec) {
  Layout layout;
  if (spec.code) layout.tensors = spec.code->tensors;
  for (const Layer& layer : spec.layers) {
    for (const Parameter& parameter : ParametersOf(layer.arguments)) {
      layout.tensors.push_back({.name = TensorName(layer, parameter),
                                .shape = parameter.shape,
                                .offset = 0,
                                .count = ElementCount(parameter.shape),
                                .trainable = layer.trainable,
                                .statistic = layer.trainable && parameter.statistic});
    }
  }
  std::sort(layout.tensors.begin(), layout.tensors.end(),
            [](const Tensor& a, const Tensor& b) { return a.name < b.name; });
  for (Tensor& tensor : layout.tensors) {
    tensor.offset = layout.total;
    layout.total += tensor.count;
    if (tensor.trainable) layout.trainable += tensor.count;
  }
  return layout;
}

}  // namespace crowdteach::learning
