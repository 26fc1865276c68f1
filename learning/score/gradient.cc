#include "learning/score/gradient.h"

#include <algorithm>
#include <cmath>

#include "learning/aggregate/file.h"
#include "learning/aggregate/kernels.h"
#include "learning/aggregate/trainable_file.h"
#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

using base::Int128;

// Values a piece: small, as a piece of every block's gradient is held at once.
constexpr uint64_t kPieceValues = uint64_t{1} << 14;
// Pieces whose sums are held before they are added up in order.
constexpr uint64_t kWindowPieces = 64;

constexpr uint64_t PiecesOf(uint64_t count) { return (count + kPieceValues - 1) / kPieceValues; }

StatusOr<File> OpenGradient(const std::string& path, const Blocks& blocks, uint64_t parameters) {
  CT_ASSIGN_OR_RETURN(File file, File::Open(path));
  CT_ASSIGN_OR_RETURN(const uint64_t size_bytes, file.SizeBytes());
  if (size_bytes != blocks.count * parameters * sizeof(float)) {
    return InvalidArgument("{} has {} bytes, {} blocks of {} floats were expected", path,
                           size_bytes, blocks.count, parameters);
  }
  return file;
}

// sums[i·B + b] += ⟨q_i, block b⟩ over the piece from `first` on.
Status PieceProducts(const UpdateSet& updates, const File& file, uint32_t blocks, uint64_t first,
                     std::span<double> sums) {
  const uint64_t parameters = updates.parameters();
  const uint64_t count = std::min(kPieceValues, parameters - first);
  std::vector<float> gradients(blocks * count);
  for (uint32_t b = 0; b < blocks; ++b) {
    CT_RETURN_IF_ERROR(file.ReadAt((b * parameters + first) * sizeof(float),
                                   gradients.data() + b * count, count * sizeof(float)));
  }
  std::vector<int32_t> values(count);
  for (size_t i = 0; i < updates.size(); ++i) {
    CT_RETURN_IF_ERROR(updates.Read(i, first, values));
    for (uint32_t b = 0; b < blocks; ++b) {
      sums[i * blocks + b] = DotDouble(values, std::span(gradients).subspan(b * count, count));
    }
  }
  return OkStatus();
}

}  // namespace

StatusOr<std::vector<double>> BlockProducts(const UpdateSet& updates, const std::string& path,
                                            const Blocks& blocks, TileExecutor& executor) {
  CT_ASSIGN_OR_RETURN(const File file, OpenGradient(path, blocks, updates.parameters()));
  const size_t products = updates.size() * blocks.count;
  std::vector<double> total(products);
  const uint64_t pieces = PiecesOf(updates.parameters());
  std::vector<double> partial(std::min(kWindowPieces, pieces) * products);
  for (uint64_t begin = 0; begin < pieces; begin += kWindowPieces) {
    const uint64_t window = std::min(kWindowPieces, pieces - begin);
    CT_RETURN_IF_ERROR(executor.ForEachTile(window, [&](uint64_t piece, unsigned) {
      return PieceProducts(updates, file, blocks.count, (begin + piece) * kPieceValues,
                           std::span(partial).subspan(piece * products, products));
    }));
    for (uint64_t piece = 0; piece < window; ++piece) {
      for (size_t p = 0; p < products; ++p) total[p] += partial[piece * products + p];
    }
  }
  return total;
}

StatusOr<double> WriteMeanGradient(std::span<const WeightedGradient> gradients,
                                   const Blocks& blocks, uint64_t parameters,
                                   const std::string& path, TileExecutor& executor) {
  std::vector<File> files;
  for (const WeightedGradient& gradient : gradients) {
    CT_ASSIGN_OR_RETURN(File file, OpenGradient(gradient.path, blocks, parameters));
    files.push_back(std::move(file));
  }
  CT_ASSIGN_OR_RETURN(const File out, File::Create(path));
  std::vector<double> largest(executor.threads());
  CT_RETURN_IF_ERROR(executor.ForEachTile(PiecesOf(parameters), [&](uint64_t piece, unsigned slot) {
    const uint64_t first = piece * kPieceValues;
    const uint64_t count = std::min(kPieceValues, parameters - first);
    std::vector<double> mean(count);
    std::vector<float> block(count);
    for (size_t j = 0; j < files.size(); ++j) {
      for (uint32_t b = 0; b < blocks.count; ++b) {
        CT_RETURN_IF_ERROR(files[j].ReadAt((b * parameters + first) * sizeof(float), block.data(),
                                           count * sizeof(float)));
        const double factor = gradients[j].coefficient *
                              static_cast<double>(blocks.BlockExamples(b)) /
                              static_cast<double>(blocks.examples);
        for (size_t k = 0; k < count; ++k) mean[k] += factor * static_cast<double>(block[k]);
      }
    }
    for (const double value : mean) largest[slot] = std::max(largest[slot], std::abs(value));
    return out.WriteAt(first * sizeof(double), mean.data(), count * sizeof(double));
  }));
  return *std::max_element(largest.begin(), largest.end());
}

StatusOr<unsigned> GradientBits(double largest) {
  if (largest == 0) return 0;
  for (int bits = kMaxGradientBits; bits >= 0; --bits) {
    if (std::ldexp(largest, bits) < std::ldexp(1.0, 30) - 0.5) return static_cast<unsigned>(bits);
  }
  return OutOfRange("a gradient component of {} nats is too large to be recorded", largest);
}

StatusOr<base::Hash> WriteGradientArtifact(const std::string& mean_path, uint64_t parameters,
                                           unsigned gradient_bits, const std::string& salt,
                                           const std::string& path, TileExecutor& executor) {
  CT_ASSERT(salt.size() == kGradientSaltBytes && gradient_bits <= kMaxGradientBits);
  CT_ASSIGN_OR_RETURN(const File mean, File::Open(mean_path));
  CT_ASSIGN_OR_RETURN(const File out, File::Create(path));
  CT_RETURN_IF_ERROR(out.WriteAt(0, salt.data(), salt.size()));
  CT_RETURN_IF_ERROR(executor.ForEachTile(PiecesOf(parameters), [&](uint64_t piece, unsigned) {
    const uint64_t first = piece * kPieceValues;
    std::vector<double> values(std::min(kPieceValues, parameters - first));
    CT_RETURN_IF_ERROR(
        mean.ReadAt(first * sizeof(double), values.data(), values.size() * sizeof(double)));
    std::vector<int32_t> g(values.size());
    for (size_t k = 0; k < values.size(); ++k) {
      g[k] = static_cast<int32_t>(
          std::nearbyint(std::ldexp(values[k], static_cast<int>(gradient_bits))));
    }
    return out.WriteAt(kGradientSaltBytes + first * sizeof(int32_t), g.data(),
                       g.size() * sizeof(int32_t));
  }));
  CT_RETURN_IF_ERROR(out.Sync());
  return BlobDigestOfFile(base::BlobKind::kGradient, path, executor);
}

StatusOr<std::vector<Int128>> GradientProducts(const UpdateSet& updates, const TileSource& g,
                                               TileExecutor& executor) {
  if (g.count() != updates.parameters()) {
    return InvalidArgument("the gradient has {} values, the updates have {}", g.count(),
                           updates.parameters());
  }
  struct Scratch {
    std::vector<int32_t> g;
    std::vector<int32_t> values;
    std::vector<Int128> d;
  };
  std::vector<Scratch> scratch(executor.threads());
  for (Scratch& s : scratch) s.d.resize(updates.size());
  CT_RETURN_IF_ERROR(executor.ForEachTile(updates.tiles(), [&](uint64_t tile, unsigned slot) {
    Scratch& s = scratch[slot];
    const uint64_t first = tile * kTileValues;
    s.g.resize(std::min(kTileValues, updates.parameters() - first));
    s.values.resize(s.g.size());
    CT_RETURN_IF_ERROR(g.Read(first, s.g));
    for (size_t i = 0; i < updates.size(); ++i) {
      CT_RETURN_IF_ERROR(updates.Read(i, first, s.values));
      s.d[i] += Dot(s.values, s.g) * static_cast<Int128>(updates[i].weight);
    }
    return OkStatus();
  }));
  std::vector<Int128> d(updates.size());
  for (const Scratch& s : scratch) {
    for (size_t i = 0; i < d.size(); ++i) d[i] += s.d[i];
  }
  return d;
}

}  // namespace crowdteach::learning
