// Convolutions and pools: windows that slide over [channels, length] or [channels, height, width].
#include <fmt/format.h>

#include "learning/model/layer_families.h"

namespace crowdteach::learning {
namespace {

template <size_t kAxes>
Fault RequireChannels(const Shape& in) {
  if (in.size() == kAxes + 1) return std::nullopt;
  return LayerFault{"", fmt::format("needs {}, but {} arrives",
                                    kAxes == 1 ? "[channels, length]" : "[channels, height, width]",
                                    ShapeText(in))};
}

template <size_t kAxes>
const char* AxisName(size_t axis) {
  return kAxes == 1 ? "places" : axis == 0 ? "rows" : "columns";
}

// Output figures of a window that slides over `in`.
template <size_t kAxes>
Fault Slide(const Shape& in, const Axes<kAxes>& kernel_size, const Axes<kAxes>& stride,
            const Axes<kAxes>& padding, const Axes<kAxes>& dilation, Axes<kAxes>& out) {
  for (size_t axis = 0; axis < kAxes; ++axis) {
    const uint64_t padded = in[axis + 1] + 2 * padding[axis];
    const uint64_t extent = dilation[axis] * (kernel_size[axis] - 1) + 1;
    if (extent > padded) {
      return LayerFault{"kernel_size", fmt::format("spans {} {}, but the padded input has only {}",
                                                   extent, AxisName<kAxes>(axis), padded)};
    }
    out[axis] = (padded - extent) / stride[axis] + 1;
  }
  return std::nullopt;
}

template <size_t kAxes>
Shape ShapeOf(uint64_t channels, const Axes<kAxes>& axes) {
  Shape shape = {channels};
  shape.insert(shape.end(), axes.begin(), axes.end());
  return shape;
}

template <size_t kAxes>
uint64_t ProductOf(const Axes<kAxes>& axes) {
  return ElementCount({axes.begin(), axes.end()});
}

// torch refuses wider padding: a window could then lie in the padding alone.
template <size_t kAxes>
Fault CheckPadding(const Axes<kAxes>& kernel_size, const Axes<kAxes>& padding) {
  for (size_t axis = 0; axis < kAxes; ++axis) {
    if (padding[axis] > kernel_size[axis] / 2) {
      return LayerFault{"padding", fmt::format("is {}, more than half of kernel_size {}",
                                               padding[axis], kernel_size[axis])};
    }
  }
  return std::nullopt;
}

template <size_t kAxes>
Fault Pool(const Axes<kAxes>& kernel_size, const Axes<kAxes>& stride, const Axes<kAxes>& padding,
           const Axes<kAxes>& dilation, const Shape& in, LayerCost& cost) {
  if (Fault fault = RequireChannels<kAxes>(in)) return fault;
  if (Fault fault = CheckPadding<kAxes>(kernel_size, padding)) return fault;
  Axes<kAxes> out{};
  if (Fault fault = Slide<kAxes>(in, kernel_size, stride, padding, dilation, out)) return fault;
  cost.shape = ShapeOf<kAxes>(in[0], out);
  cost.flops = Product(ProductOf<kAxes>(kernel_size), ElementCount(cost.shape));
  return std::nullopt;
}

}  // namespace

template <size_t kAxes>
Fault Infer(const Conv<kAxes>& a, const Shape& in, LayerCost& cost) {
  if (Fault fault = RequireChannels<kAxes>(in)) return fault;
  if (in[0] != a.in_channels) {
    return LayerFault{"in_channels", fmt::format("is {}, but {} channels arrive (shape {})",
                                                 a.in_channels, in[0], ShapeText(in))};
  }
  if (a.in_channels % a.groups != 0 || a.out_channels % a.groups != 0) {
    return LayerFault{"groups", fmt::format("is {}, which divides not both in_channels {} and "
                                            "out_channels {}",
                                            a.groups, a.in_channels, a.out_channels)};
  }
  Axes<kAxes> out{};
  if (Fault fault = Slide<kAxes>(in, a.kernel_size, a.stride, a.padding, a.dilation, out)) {
    return fault;
  }
  cost.shape = ShapeOf<kAxes>(a.out_channels, out);
  const uint64_t patch = Product(ProductOf<kAxes>(a.kernel_size), ProductOf<kAxes>(out));
  cost.flops = Product(2, a.in_channels / a.groups, a.out_channels, patch);
  cost.workspace_bytes = Floats(Product(a.in_channels, patch));
  return std::nullopt;
}

template <size_t kAxes>
Fault Infer(const MaxPool<kAxes>& a, const Shape& in, LayerCost& cost) {
  // With gaps between its taps a window can miss the image, and its maximum is −∞.
  if (a.dilation != Every<kAxes>(1) && a.padding != Every<kAxes>(0)) {
    return LayerFault{"dilation", "other than 1 needs padding = 0"};
  }
  return Pool<kAxes>(a.kernel_size, a.stride, a.padding, a.dilation, in, cost);
}

template <size_t kAxes>
Fault Infer(const AvgPool<kAxes>& a, const Shape& in, LayerCost& cost) {
  return Pool<kAxes>(a.kernel_size, a.stride, a.padding, Every<kAxes>(1), in, cost);
}

template <size_t kAxes>
Fault Infer(const AdaptiveAvgPool<kAxes>& a, const Shape& in, LayerCost& cost) {
  if (Fault fault = RequireChannels<kAxes>(in)) return fault;
  cost.shape = ShapeOf<kAxes>(in[0], a.output_size);
  cost.flops = Sum(ElementCount(in), ElementCount(cost.shape));
  for (size_t axis = 0; axis < kAxes; ++axis) {
    if (a.output_size[axis] > in[axis + 1]) {
      return LayerFault{"output_size",
                        fmt::format("is {}, but only {} {} arrive", a.output_size[axis],
                                    in[axis + 1], AxisName<kAxes>(axis))};
    }
  }
  return std::nullopt;
}

template <size_t kAxes>
void AddParameters(const Conv<kAxes>& a, std::vector<Parameter>& parameters) {
  const uint64_t in = a.in_channels / a.groups;
  Shape shape = ShapeOf<kAxes>(in, a.kernel_size);
  const Start start = UniformByFanIn(ElementCount(shape));
  shape.insert(shape.begin(), a.out_channels);
  parameters.push_back({"weight", std::move(shape), start});
  if (a.bias) parameters.push_back({"bias", {a.out_channels}, start});
}

template Fault Infer(const Conv1d&, const Shape&, LayerCost&);
template Fault Infer(const Conv2d&, const Shape&, LayerCost&);
template Fault Infer(const MaxPool1d&, const Shape&, LayerCost&);
template Fault Infer(const MaxPool2d&, const Shape&, LayerCost&);
template Fault Infer(const AvgPool1d&, const Shape&, LayerCost&);
template Fault Infer(const AvgPool2d&, const Shape&, LayerCost&);
template Fault Infer(const AdaptiveAvgPool1d&, const Shape&, LayerCost&);
template Fault Infer(const AdaptiveAvgPool2d&, const Shape&, LayerCost&);
template void AddParameters(const Conv1d&, std::vector<Parameter>&);
template void AddParameters(const Conv2d&, std::vector<Parameter>&);

}  // namespace crowdteach::learning
