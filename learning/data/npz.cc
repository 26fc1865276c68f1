// ReadNpz: an archive of arrays as numpy.savez writes it, read with libzip.
#include <zip.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "learning/data/npy.h"
#include "learning/data/readers.h"
#include "proto/base/bytes.h"

namespace crowdteach::learning {
namespace {

constexpr int kMaxListed = 20;

// An open archive; the arrays that are read from it keep it open. One thread at a time.
class Archive : public std::enable_shared_from_this<Archive> {
 public:
  static StatusOr<std::shared_ptr<Archive>> Open(zip_source_t* source, std::string name,
                                                 zip_error_t* error) {
    if (source == nullptr) return InvalidArgument("{}: {}", name, zip_error_strerror(error));
    zip_t* zip = zip_open_from_source(source, ZIP_RDONLY, error);
    if (zip == nullptr) {
      zip_source_free(source);
      return InvalidArgument("{}: not a .npz (zip) archive: {}", name, zip_error_strerror(error));
    }
    return std::shared_ptr<Archive>(new Archive(zip, std::move(name)));
  }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;
  ~Archive() { zip_discard(zip_); }

  bool Has(const std::string& array) const {
    return zip_name_locate(zip_, (array + ".npy").c_str(), 0) >= 0;
  }

  std::string Arrays() const {
    const zip_int64_t count = zip_get_num_entries(zip_, 0);
    std::string list;
    for (zip_int64_t i = 0; i < count && i < kMaxListed; ++i) {
      const char* entry = zip_get_name(zip_, static_cast<zip_uint64_t>(i), 0);
      list += fmt::format("{}{}", i == 0 ? "" : ", ", base::Quoted(entry == nullptr ? "" : entry));
    }
    if (count > kMaxListed) list += fmt::format(", … ({} in all)", count);
    return list.empty() ? "nothing" : list;
  }

  // One array, inflated as it is read.
  StatusOr<ByteSource> Read(const std::string& array) {
    const std::string name = fmt::format("{}: {}", name_, array);
    const zip_int64_t index = zip_name_locate(zip_, (array + ".npy").c_str(), 0);
    if (index < 0) {
      return InvalidArgument("{}: no array {} in it, only {}", name_, base::Quoted(array),
                             Arrays());
    }
    zip_stat_t stat;
    if (zip_stat_index(zip_, static_cast<zip_uint64_t>(index), 0, &stat) != 0 ||
        (stat.valid & ZIP_STAT_COMP_METHOD) == 0 ||
        (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) ||
        ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && stat.encryption_method != ZIP_EM_NONE)) {
      return InvalidArgument(
          "{}: it is encrypted or compressed in a way that NumPy does not use; save it with "
          "numpy.savez or numpy.savez_compressed",
          name);
    }
    zip_file_t* file = zip_fopen_index(zip_, static_cast<zip_uint64_t>(index), 0);
    if (file == nullptr) {
      return InvalidArgument("{}: {}", name, zip_error_strerror(zip_get_error(zip_)));
    }
    const std::shared_ptr<zip_file_t> open(
        file, [archive = shared_from_this()](zip_file_t* closed) { zip_fclose(closed); });
    return ByteSource::FromReader(
        [open, name](char* out, size_t size) -> StatusOr<size_t> {
          const zip_int64_t got = zip_fread(open.get(), out, size);
          if (got >= 0) return static_cast<size_t>(got);
          return InvalidArgument("{}: corrupt zip data: {}", name,
                                 zip_error_strerror(zip_file_get_error(open.get())));
        },
        name);
  }

 private:
  Archive(zip_t* zip, std::string name) : zip_(zip), name_(std::move(name)) {}
  zip_t* const zip_;
  const std::string name_;
};

struct Pair {
  std::string features, labels;
};

// In the order in which they are looked for. The names are Keras's, and MedMNIST's.
std::vector<Pair> PairsOf(const std::string& part) {
  std::vector<Pair> pairs;
  if (part.empty()) pairs.push_back({"x", "y"});
  const std::string named = part.empty() ? "train" : part;
  pairs.push_back({"x_" + named, "y_" + named});
  pairs.push_back({named + "_images", named + "_labels"});
  return pairs;
}

StatusOr<ExamplesFile> ReadArchive(StatusOr<std::shared_ptr<Archive>> opened,
                                   const std::string& name, const std::string& part,
                                   const v1::DataTerms& terms, const ReadOptions& options) {
  CT_RETURN_IF_ERROR(opened.status());
  const std::shared_ptr<Archive>& archive = *opened;
  std::string looked_for;
  for (const Pair& pair : PairsOf(part)) {
    looked_for +=
        fmt::format("{}{} and {}", looked_for.empty() ? "" : ", or ", pair.features, pair.labels);
    if (!archive->Has(pair.features)) continue;
    CT_ASSIGN_OR_RETURN(ByteSource features, archive->Read(pair.features));
    CT_ASSIGN_OR_RETURN(ByteSource labels, archive->Read(pair.labels));
    return ReadArrays(std::move(features), std::move(labels), terms, options);
  }
  return InvalidArgument("{}: the arrays must be called {}; in it: {}", name, looked_for,
                         archive->Arrays());
}

}  // namespace

StatusOr<ExamplesFile> ReadNpz(const std::string& path, const std::string& part,
                               const v1::DataTerms& terms, const ReadOptions& options) {
  CT_RETURN_IF_ERROR(ByteSource::Open(path).status());  // libzip tells no error from another
  zip_error_t error;
  zip_error_init(&error);
  auto archive = Archive::Open(zip_source_file_create(path.c_str(), 0, -1, &error), path, &error);
  zip_error_fini(&error);
  return ReadArchive(std::move(archive), path, part, terms, options);
}

StatusOr<ExamplesFile> ParseNpz(std::string_view bytes, const std::string& part,
                                const v1::DataTerms& terms, const ReadOptions& options) {
  zip_error_t error;
  zip_error_init(&error);
  auto archive =
      Archive::Open(zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error), "npz", &error);
  zip_error_fini(&error);
  return ReadArchive(std::move(archive), "npz", part, terms, options);
}

}  // namespace crowdteach::learning
