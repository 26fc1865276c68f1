// ReadIdx: LeCun's IDX files.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "learning/data/byte_source.h"
#include "learning/data/readers.h"
#include "learning/data/shape.h"
#include "proto/base/bytes.h"

namespace crowdteach::learning {
namespace {

constexpr uint8_t kTypeU8 = 0x08;
constexpr uint8_t kTypeFloat32 = 0x0D;
constexpr int kMaxRank = 9;  // the count, and as many dimensions as terms may have

struct IdxHeader {
  uint8_t type = 0;
  uint32_t count = 0;
  std::vector<uint64_t> shape;  // of one item
};

StatusOr<IdxHeader> ReadHeader(ByteSource& source) {
  char magic[4];
  CT_RETURN_IF_ERROR(source.Read(magic, sizeof magic));
  const auto rank = static_cast<uint8_t>(magic[3]);
  if (magic[0] != 0 || magic[1] != 0 || rank < 1 || rank > kMaxRank) {
    return InvalidArgument(
        "{}: byte 0: not an IDX file: it starts {}, must be 0000, type, rank 1-{}", source.name(),
        base::Hex({magic, sizeof magic}), kMaxRank);
  }
  IdxHeader header;
  header.type = static_cast<uint8_t>(magic[2]);
  for (int i = 0; i < rank; ++i) {
    char bytes[4];
    CT_RETURN_IF_ERROR(source.Read(bytes, sizeof bytes));
    const uint32_t dimension = base::ReadU32(bytes);
    if (dimension == 0) {
      return InvalidArgument("{}: byte {}: dimension {} is 0: no example in it", source.name(),
                             4 + 4 * i, i);
    }
    if (i == 0) {
      header.count = dimension;
    } else {
      header.shape.push_back(dimension);
    }
  }
  return header;
}

Status CheckImages(const IdxHeader& header, const std::string& name, const v1::DataTerms& terms) {
  const bool bytes = terms.feature_type() == v1::U8;
  if (header.type != (bytes ? kTypeU8 : kTypeFloat32)) {
    return InvalidArgument(
        "{}: byte 2: values of type 0x{:02x}, but the campaign's feature-type is {}, type 0x{:02x}",
        name, header.type, bytes ? "u8" : "float32", bytes ? kTypeU8 : kTypeFloat32);
  }
  if (ShapeFits(header.shape, terms)) return OkStatus();
  return InvalidArgument(
      "{}: byte 4: an example's shape is {}, but the campaign's input-shape is {}", name,
      BracketedShape(header.shape), BracketedShape(terms));
}

// From big-endian to ours, in place; the place of the first value that is not finite, or -1.
int64_t SwapFloats(std::string& features) {
  int64_t bad = -1;
  for (size_t i = 0; i + 4 <= features.size(); i += 4) {
    const auto value = std::bit_cast<float>(base::ReadU32(features.data() + i));
    if (bad < 0 && !std::isfinite(value)) bad = static_cast<int64_t>(i);
    std::memcpy(features.data() + i, &value, sizeof value);
  }
  return bad;
}

StatusOr<ExamplesFile> ReadPair(ByteSource images, ByteSource labels, const v1::DataTerms& terms,
                                const ReadOptions& options) {
  CT_ASSIGN_OR_RETURN(const IdxHeader image_header, ReadHeader(images));
  CT_ASSIGN_OR_RETURN(const IdxHeader label_header, ReadHeader(labels));
  CT_RETURN_IF_ERROR(CheckImages(image_header, images.name(), terms));
  if (label_header.type != kTypeU8 || !label_header.shape.empty()) {
    return InvalidArgument("{}: byte 2: type 0x{:02x} and rank {}; labels are type 0x08 and rank 1",
                           labels.name(), label_header.type, label_header.shape.size() + 1);
  }
  if (image_header.count != label_header.count) {
    return InvalidArgument("{}: byte 4: {} labels, but {} has {} examples", labels.name(),
                           label_header.count, images.name(), image_header.count);
  }
  const uint64_t all = image_header.count;
  const uint64_t count = options.limit > 0 ? std::min(all, options.limit) : all;

  CT_ASSIGN_OR_RETURN(ExamplesWriter writer, ExamplesWriter::InMemory(terms, images.name()));
  const ExampleFormat format(terms);
  std::string features(format.feature_bytes(), '\0');
  for (uint64_t i = 0; i < count; ++i) {
    char label = 0;
    CT_RETURN_IF_ERROR(labels.Read(&label, 1));
    if (static_cast<uint8_t>(label) >= format.classes) {
      return InvalidArgument("{}: byte {}: label {}, but the campaign has {} classes, 0 to {}",
                             labels.name(), labels.position() - 1, static_cast<uint8_t>(label),
                             format.classes, format.classes - 1);
    }
    const uint64_t begin = images.position();
    CT_RETURN_IF_ERROR(images.Read(features.data(), features.size()));
    if (format.value_bytes == 4) {
      if (const int64_t bad = SwapFloats(features); bad >= 0) {
        return InvalidArgument("{}: byte {}: not a finite number", images.name(),
                               begin + static_cast<uint64_t>(bad));
      }
    }
    CT_RETURN_IF_ERROR(writer.Append(static_cast<uint8_t>(label), features));
  }
  if (count == all) {
    CT_RETURN_IF_ERROR(images.ExpectEnd());
    CT_RETURN_IF_ERROR(labels.ExpectEnd());
  }
  return std::move(writer).Finish();
}

}  // namespace

StatusOr<ExamplesFile> ReadIdx(const std::string& images_path, const std::string& labels_path,
                               const v1::DataTerms& terms, const ReadOptions& options) {
  CT_ASSIGN_OR_RETURN(ByteSource images, ByteSource::Open(images_path));
  CT_ASSIGN_OR_RETURN(ByteSource labels, ByteSource::Open(labels_path));
  return ReadPair(std::move(images), std::move(labels), terms, options);
}

StatusOr<ExamplesFile> ParseIdx(std::string_view images, std::string_view labels,
                                const v1::DataTerms& terms, const ReadOptions& options) {
  CT_ASSIGN_OR_RETURN(ByteSource image_source, ByteSource::FromMemory(images, "images"));
  CT_ASSIGN_OR_RETURN(ByteSource label_source, ByteSource::FromMemory(labels, "labels"));
  return ReadPair(std::move(image_source), std::move(label_source), terms, options);
}

}  // namespace crowdteach::learning
