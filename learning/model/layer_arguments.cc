#include "learning/model/layer_arguments.h"

#include <algorithm>
#include <map>
#include <string>

namespace crowdteach::learning {
namespace {

constexpr size_t kMaxDimensions = 8;
// A table of parameters is made for each, before their number is limited.
constexpr uint64_t kMaxRecurrentLayers = 64;
// Features are float32, which counts no further.
constexpr uint64_t kMaxEmbeddings = uint64_t{1} << 24;

double ReadEps(ArgumentReader& reader, std::string_view key, double otherwise) {
  const double eps = reader.OptionalFloat(key, otherwise);
  if (eps <= 0 || eps > 1) reader.Fail(key, "must be above 0 and at most 1");
  return eps;
}

double ReadProbability(ArgumentReader& reader, std::string_view key, double otherwise) {
  const double p = reader.OptionalFloat(key, otherwise);
  if (p < 0 || p >= 1) reader.Fail(key, "must be at least 0 and below 1");
  return p;
}

// One of two words; true for the second.
bool ReadChoice(ArgumentReader& reader, std::string_view key, std::string_view first,
                std::string_view second) {
  const std::string word = reader.OptionalString(key, first);
  if (word != first && word != second) {
    reader.Fail(key, fmt::format("must be \"{}\" or \"{}\"", first, second));
  }
  return word == second;
}

// torch.nn's default is false; every default here is torch.nn's, so true must be written.
void RequireBatchFirst(ArgumentReader& reader) {
  if (!reader.OptionalBool("batch_first", false)) {
    reader.Fail("batch_first",
                "must be written as true: the batch always comes first here, and torch.nn's "
                "default is false");
  }
}

void Read(ArgumentReader& reader, Linear& a) {
  a.in_features = reader.Required("in_features");
  a.out_features = reader.Required("out_features");
  a.bias = reader.OptionalBool("bias", a.bias);
}

template <size_t kAxes>
void Read(ArgumentReader& reader, Conv<kAxes>& a) {
  a.in_channels = reader.Required("in_channels");
  a.out_channels = reader.Required("out_channels");
  a.kernel_size = reader.RequiredAxes<kAxes>("kernel_size");
  a.stride = reader.OptionalAxes<kAxes>("stride", a.stride);
  a.padding = reader.OptionalAxes<kAxes>("padding", a.padding, 0);
  a.dilation = reader.OptionalAxes<kAxes>("dilation", a.dilation);
  a.groups = reader.Optional("groups", a.groups);
  a.bias = reader.OptionalBool("bias", a.bias);
}

template <size_t kAxes>
void Read(ArgumentReader& reader, MaxPool<kAxes>& a) {
  a.kernel_size = reader.RequiredAxes<kAxes>("kernel_size");
  a.stride = reader.OptionalAxes<kAxes>("stride", a.kernel_size);
  a.padding = reader.OptionalAxes<kAxes>("padding", a.padding, 0);
  a.dilation = reader.OptionalAxes<kAxes>("dilation", a.dilation);
}

template <size_t kAxes>
void Read(ArgumentReader& reader, AvgPool<kAxes>& a) {
  a.kernel_size = reader.RequiredAxes<kAxes>("kernel_size");
  a.stride = reader.OptionalAxes<kAxes>("stride", a.kernel_size);
  a.padding = reader.OptionalAxes<kAxes>("padding", a.padding, 0);
  a.count_include_pad = reader.OptionalBool("count_include_pad", a.count_include_pad);
}

template <size_t kAxes>
void Read(ArgumentReader& reader, AdaptiveAvgPool<kAxes>& a) {
  a.output_size = reader.RequiredAxes<kAxes>("output_size");
}

void Read(ArgumentReader& reader, GroupNorm& a) {
  a.num_groups = reader.Required("num_groups");
  a.num_channels = reader.Required("num_channels");
  a.eps = ReadEps(reader, "eps", a.eps);
  a.affine = reader.OptionalBool("affine", a.affine);
}

void Read(ArgumentReader& reader, LayerNorm& a) {
  a.normalized_shape = reader.RequiredIntegers("normalized_shape", kMaxDimensions, true);
  a.eps = ReadEps(reader, "eps", a.eps);
  a.elementwise_affine = reader.OptionalBool("elementwise_affine", a.elementwise_affine);
}

template <size_t kAxes>
void Read(ArgumentReader& reader, BatchNorm<kAxes>& a) {
  a.num_features = reader.Required("num_features");
  a.eps = ReadEps(reader, "eps", a.eps);
  a.momentum = reader.OptionalFloat("momentum", a.momentum);
  if (a.momentum < 0 || a.momentum > 1) reader.Fail("momentum", "must be 0 to 1");
  a.affine = reader.OptionalBool("affine", a.affine);
}

void Read(ArgumentReader&, ReLU&) {}
void Read(ArgumentReader&, SiLU&) {}
void Read(ArgumentReader&, Sigmoid&) {}
void Read(ArgumentReader&, Tanh&) {}
void Read(ArgumentReader& reader, LeakyReLU& a) {
  a.negative_slope = reader.OptionalFloat("negative_slope", a.negative_slope);
}
void Read(ArgumentReader& reader, GELU& a) {
  a.tanh = ReadChoice(reader, "approximate", "none", "tanh");
}
void Read(ArgumentReader& reader, Dropout& a) { a.p = ReadProbability(reader, "p", a.p); }

void Read(ArgumentReader& reader, Embedding& a) {
  a.num_embeddings = reader.Required("num_embeddings");
  if (a.num_embeddings > kMaxEmbeddings) {
    reader.Fail("num_embeddings", fmt::format("must be at most {}", kMaxEmbeddings));
  }
  a.embedding_dim = reader.Required("embedding_dim");
  if (!reader.Has("padding_idx")) return;
  a.padding_idx = reader.Required("padding_idx", 0);
  if (*a.padding_idx >= a.num_embeddings) {
    reader.Fail("padding_idx", fmt::format("must be below num_embeddings {}", a.num_embeddings));
  }
}

void Read(ArgumentReader& reader, Recurrent& a) {
  a.input_size = reader.Required("input_size");
  a.hidden_size = reader.Required("hidden_size");
  a.num_layers = reader.Optional("num_layers", a.num_layers);
  if (a.num_layers > kMaxRecurrentLayers) {
    reader.Fail("num_layers", fmt::format("must be at most {}", kMaxRecurrentLayers));
    a.num_layers = 1;
  }
  a.bias = reader.OptionalBool("bias", a.bias);
  RequireBatchFirst(reader);
  a.dropout = ReadProbability(reader, "dropout", a.dropout);
  a.bidirectional = reader.OptionalBool("bidirectional", a.bidirectional);
}

void Read(ArgumentReader& reader, MultiheadAttention& a) {
  a.embed_dim = reader.Required("embed_dim");
  a.num_heads = reader.Required("num_heads");
  a.dropout = ReadProbability(reader, "dropout", a.dropout);
  a.bias = reader.OptionalBool("bias", a.bias);
  RequireBatchFirst(reader);
}

void Read(ArgumentReader& reader, TransformerEncoderLayer& a) {
  a.d_model = reader.Required("d_model");
  a.nhead = reader.Required("nhead");
  a.dim_feedforward = reader.Optional("dim_feedforward", a.dim_feedforward);
  a.dropout = ReadProbability(reader, "dropout", a.dropout);
  a.gelu = ReadChoice(reader, "activation", "relu", "gelu");
  a.layer_norm_eps = ReadEps(reader, "layer_norm_eps", a.layer_norm_eps);
  RequireBatchFirst(reader);
  a.norm_first = reader.OptionalBool("norm_first", a.norm_first);
}

void Read(ArgumentReader& reader, Flatten& a) {
  a.start_dim = reader.OptionalSigned("start_dim", a.start_dim);
  a.end_dim = reader.OptionalSigned("end_dim", a.end_dim);
}
void Read(ArgumentReader& reader, Unflatten& a) {
  a.dim = reader.RequiredSigned("dim");
  a.unflattened_size = reader.RequiredIntegers("unflattened_size", kMaxDimensions);
}
void Read(ArgumentReader& reader, Permute& a) {
  a.dims = reader.RequiredSignedIntegers("dims", kMaxDimensions + 1);
}
void Read(ArgumentReader& reader, Select& a) {
  a.dim = reader.RequiredSigned("dim");
  a.index = reader.RequiredSigned("index");
}
void Read(ArgumentReader& reader, Mean& a) {
  a.dim = reader.RequiredSignedIntegers("dim", kMaxDimensions, true);
  a.keepdim = reader.OptionalBool("keepdim", a.keepdim);
}
void Read(ArgumentReader&, Add&) {}
void Read(ArgumentReader& reader, Concat& a) { a.dim = reader.OptionalSigned("dim", a.dim); }
void Read(ArgumentReader& reader, ParameterLayer& a) {
  a.shape = reader.RequiredIntegers("shape", kMaxDimensions + 1);
}

using Reader = LayerArguments (*)(ArgumentReader&);

// By the name that TypeName gives each type of the list.
template <size_t... kIndex>
std::map<std::string_view, Reader> ReadersOf(std::index_sequence<kIndex...>) {
  return {{TypeName(LayerArguments(std::in_place_index<kIndex>)),
           [](ArgumentReader& reader) -> LayerArguments {
             std::variant_alternative_t<kIndex, LayerArguments> arguments;
             Read(reader, arguments);
             return arguments;
           }}...};
}

}  // namespace

LayerArguments ReadLayerArguments(ArgumentReader& reader, std::string_view type) {
  static const auto kReaders =
      ReadersOf(std::make_index_sequence<std::variant_size_v<LayerArguments>>());
  const auto found = kReaders.find(type);
  if (found != kReaders.end()) return found->second(reader);
  const bool printable =
      std::all_of(type.begin(), type.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  std::string known;
  for (const auto& [name, read] : kReaders)
    known += (known.empty() ? "" : ", ") + std::string(name);
  reader.Fail("type", fmt::format("is \"{}\"; known are {}", printable ? type : "?", known));
  return Flatten{};
}

}  // namespace crowdteach::learning
