// Normalising layers.
#include <fmt/format.h>

#include <algorithm>

#include "learning/model/layer_families.h"

namespace crowdteach::learning {
namespace {

Fault Normalise(const Shape& in, LayerCost& cost) {
  cost.shape = in;
  cost.flops = Product(8, ElementCount(in));
  return std::nullopt;
}

void AddAffine(const Shape& shape, std::vector<Parameter>& parameters) {
  parameters.push_back({"weight", shape, Constant(1)});
  parameters.push_back({"bias", shape, Constant(0)});
}

}  // namespace

Fault Infer(const GroupNorm& a, const Shape& in, LayerCost& cost) {
  if (in[0] != a.num_channels) {
    return LayerFault{"num_channels", fmt::format("is {}, but {} channels arrive (shape {})",
                                                  a.num_channels, in[0], ShapeText(in))};
  }
  if (a.num_channels % a.num_groups != 0) {
    return LayerFault{"num_groups", fmt::format("is {}, which does not divide num_channels {}",
                                                a.num_groups, a.num_channels)};
  }
  if (ElementCount(in) == a.num_groups) {
    return LayerFault{"num_groups", "leaves one value a group, which would always become 0"};
  }
  return Normalise(in, cost);
}

void AddParameters(const GroupNorm& a, std::vector<Parameter>& parameters) {
  if (a.affine) AddAffine({a.num_channels}, parameters);
}

Fault Infer(const LayerNorm& a, const Shape& in, LayerCost& cost) {
  const Shape& own = a.normalized_shape;
  if (own.size() > in.size() || !std::equal(own.rbegin(), own.rend(), in.rbegin())) {
    return LayerFault{"normalized_shape", fmt::format("is {}, but {} arrives, which does not end "
                                                      "with it",
                                                      ShapeText(own), ShapeText(in))};
  }
  if (ElementCount(own) == 1) {
    return LayerFault{"normalized_shape", "holds one value, which would always become 0"};
  }
  return Normalise(in, cost);
}

void AddParameters(const LayerNorm& a, std::vector<Parameter>& parameters) {
  if (a.elementwise_affine) AddAffine(a.normalized_shape, parameters);
}

template <size_t kAxes>
Fault Infer(const BatchNorm<kAxes>& a, const Shape& in, LayerCost& cost) {
  if (in.size() != kAxes + 1 && !(kAxes == 1 && in.size() == 1)) {
    return LayerFault{"", fmt::format("needs {}, but {} arrives",
                                      kAxes == 1 ? "[features] or [channels, length]"
                                                 : "[channels, height, width]",
                                      ShapeText(in))};
  }
  if (in[0] != a.num_features) {
    return LayerFault{"num_features", fmt::format("is {}, but {} channels arrive (shape {})",
                                                  a.num_features, in[0], ShapeText(in))};
  }
  // In eval mode the centred and the scaled values, for the gradient of statistics and weight.
  cost.kept_bytes = Floats(Product(2, ElementCount(in)));
  return Normalise(in, cost);
}

template <size_t kAxes>
void AddParameters(const BatchNorm<kAxes>& a, std::vector<Parameter>& parameters) {
  if (a.affine) AddAffine({a.num_features}, parameters);
  parameters.push_back({"running_mean", {a.num_features}, Constant(0), /*statistic=*/true});
  parameters.push_back({"running_var", {a.num_features}, Constant(1), /*statistic=*/true});
}

template Fault Infer(const BatchNorm1d&, const Shape&, LayerCost&);
template Fault Infer(const BatchNorm2d&, const Shape&, LayerCost&);
template void AddParameters(const BatchNorm1d&, std::vector<Parameter>&);
template void AddParameters(const BatchNorm2d&, std::vector<Parameter>&);

}  // namespace crowdteach::learning
