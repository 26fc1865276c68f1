// Layers that rearrange, choose and join.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "learning/model/layer_families.h"

namespace crowdteach::learning {

Fault Infer(const Flatten& a, const Shape& in, LayerCost& cost) {
  if (Fault fault = CheckDim("start_dim", a.start_dim, in.size())) return fault;
  if (Fault fault = CheckDim("end_dim", a.end_dim, in.size())) return fault;
  const size_t first = AxisOf(a.start_dim, in.size()), last = AxisOf(a.end_dim, in.size());
  if (first > last) return LayerFault{"start_dim", "comes after end_dim"};
  const auto begin = in.begin() + static_cast<ptrdiff_t>(first);
  const auto end = in.begin() + static_cast<ptrdiff_t>(last) + 1;
  cost.shape.assign(in.begin(), begin);
  cost.shape.push_back(ElementCount({begin, end}));
  cost.shape.insert(cost.shape.end(), end, in.end());
  return std::nullopt;
}

Fault Infer(const Unflatten& a, const Shape& in, LayerCost& cost) {
  if (Fault fault = CheckDim("dim", a.dim, in.size())) return fault;
  const size_t axis = AxisOf(a.dim, in.size());
  if (ElementCount(a.unflattened_size) != in[axis]) {
    return LayerFault{
        "unflattened_size",
        fmt::format("{} holds {}, but that dimension of {} is {}", ShapeText(a.unflattened_size),
                    ElementCount(a.unflattened_size), ShapeText(in), in[axis])};
  }
  cost.shape = in;
  const auto at = cost.shape.erase(cost.shape.begin() + static_cast<ptrdiff_t>(axis));
  cost.shape.insert(at, a.unflattened_size.begin(), a.unflattened_size.end());
  return std::nullopt;
}

Fault Infer(const Permute& a, const Shape& in, LayerCost& cost) {
  std::vector<int64_t> sorted = a.dims, all(in.size() + 1);
  std::sort(sorted.begin(), sorted.end());
  std::iota(all.begin(), all.end(), 0);
  if (sorted != all || a.dims[0] != 0) {
    return LayerFault{"dims", fmt::format("must be 0 (the batch), then 1 to {} in some order, as "
                                          "{} arrives",
                                          in.size(), ShapeText(in))};
  }
  for (size_t i = 1; i < a.dims.size(); ++i) {
    cost.shape.push_back(in[static_cast<size_t>(a.dims[i]) - 1]);
  }
  return std::nullopt;
}

Fault Infer(const Select& a, const Shape& in, LayerCost& cost) {
  if (Fault fault = CheckDim("dim", a.dim, in.size())) return fault;
  if (in.size() == 1) return LayerFault{"", "would leave a single value of [features]"};
  const size_t axis = AxisOf(a.dim, in.size());
  const auto size = static_cast<int64_t>(in[axis]);
  if (a.index >= size || a.index < -size) {
    return LayerFault{"index", fmt::format("is {}, but that dimension of {} has 0 to {}", a.index,
                                           ShapeText(in), size - 1)};
  }
  cost.shape = in;
  cost.shape.erase(cost.shape.begin() + static_cast<ptrdiff_t>(axis));
  return std::nullopt;
}

Fault Infer(const Mean& a, const Shape& in, LayerCost& cost) {
  std::vector<bool> gone(in.size());
  for (const int64_t dim : a.dim) {
    if (Fault fault = CheckDim("dim", dim, in.size())) return fault;
    if (gone[AxisOf(dim, in.size())]) return LayerFault{"dim", "names a dimension twice"};
    gone[AxisOf(dim, in.size())] = true;
  }
  for (size_t i = 0; i < in.size(); ++i) {
    if (!gone[i]) cost.shape.push_back(in[i]);
    if (gone[i] && a.keepdim) cost.shape.push_back(1);
  }
  if (cost.shape.empty()) return LayerFault{"dim", "leaves no dimension but the batch"};
  cost.flops = ElementCount(in);
  return std::nullopt;
}

Fault Infer(const Add&, const Inputs& inputs, LayerCost& cost) {
  for (const Shape* in : inputs) {
    if (*in != *inputs[0]) {
      return LayerFault{"inputs", fmt::format("differ in shape: {} and {}", ShapeText(*inputs[0]),
                                              ShapeText(*in))};
    }
  }
  cost.shape = *inputs[0];
  cost.flops = Product(inputs.size() - 1, ElementCount(cost.shape));
  return std::nullopt;
}

Fault Infer(const Concat& a, const Inputs& inputs, LayerCost& cost) {
  if (Fault fault = CheckDim("dim", a.dim, inputs[0]->size())) return fault;
  const size_t axis = AxisOf(a.dim, inputs[0]->size());
  Shape sum = *inputs[0];
  for (size_t i = 1; i < inputs.size(); ++i) {
    Shape other = *inputs[i];
    const uint64_t width = axis < other.size() ? other[axis] : 0;
    if (width != 0) other[axis] = sum[axis];
    if (other != sum) {
      return LayerFault{"inputs", fmt::format("do not fit along dim {}: {} and {}", a.dim,
                                              ShapeText(*inputs[0]), ShapeText(*inputs[i]))};
    }
    sum[axis] = SaturatingAdd(sum[axis], width);
  }
  cost.shape = std::move(sum);
  return std::nullopt;
}

Fault Infer(const ParameterLayer& a, const Inputs&, LayerCost& cost) {
  if (a.shape.size() < 2 || a.shape[0] != 1) {
    return LayerFault{"shape",
                      "must begin with 1, which stands for the batch, and go on with an "
                      "example's shape"};
  }
  cost.shape.assign(a.shape.begin() + 1, a.shape.end());
  return std::nullopt;
}

void AddParameters(const ParameterLayer& a, std::vector<Parameter>& parameters) {
  parameters.push_back({"", a.shape, {Start::Kind::kNormal, 0.02, {}}});
}

}  // namespace crowdteach::learning
