// Reads a teacher's or an owner's own files into an examples file in memory.
//
// Thread-safety: pure functions over files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "crowdteach/v1/ledger.pb.h"
#include "learning/data/examples.h"
#include "proto/base/status.h"

namespace crowdteach::learning {

struct ReadOptions {
  uint64_t limit = 0;  // only the first so many examples; 0: all
};

// `spec` is one of
//   DIR or DIR:PREFIX      IDX files PREFIX-images-idx3-ubyte[.gz] and
//   PREFIX-labels-idx1-ubyte[.gz]
//                          in DIR; PREFIX is "train" unless given (the other usual one is "t10k")
//   IMAGES,LABELS          two IDX files, each plain or gzip
//   FILE.csv[.gz]          a table with a header
// A path that exists as it stands is never split at ':' or ','.
// kInvalidArgument: the content is wrong; the message names file and byte (IDX) or line and column
// (CSV), what was found, what was expected. kNotFound, kPermissionDenied, kUnavailable: the files
// cannot be read. kResourceExhausted: no memory for the set.
StatusOr<ExamplesFile> ReadDataset(const std::string& spec, const v1::DataTerms& terms,
                                   const ReadOptions& options = {});

// Whether there are such files, before a campaign says what should be in them. kNotFound,
// kInvalidArgument.
Status CheckDataset(const std::string& spec);

// Whether ReadDataset takes `spec` for a table.
bool IsCsv(std::string_view spec);

// IDX (LeCun's MNIST format): big-endian magic 00 00 type rank, u32 dimensions, values. Images are
// type 0x08 (u8) for feature-type "u8" and 0x0D (big-endian float32) for "float32"; labels are type
// 0x08, rank 1; label n is class n. The shape behind the count must equal input_shape up to leading
// ones, or input_shape is that shape flattened to one dimension. Whether a file is gzip shows in
// its first two bytes. No more is ever inflated than the header announces, and what is inflated is
// written out as it comes, so a header that lies costs nothing. Bytes are counted in the inflated
// file.
StatusOr<ExamplesFile> ReadIdx(const std::string& images_path, const std::string& labels_path,
                               const v1::DataTerms& terms, const ReadOptions& options = {});

// CSV by RFC 4180, strictly: a header; comma-separated; fields with commas, quotes or line breaks
// in double quotes, a quote inside doubled; lines end in LF or CRLF; an UTF-8 byte order mark is
// skipped. The label column's text must be one of DataTerms.classes exactly. Feature columns are
// those of csv_feature_columns in that order, wherever they stand; other columns are ignored; no
// field is longer than 1 MiB. Numbers are decimal with '.', independent of locale,
// finite; for feature-type "u8" whole numbers 0-255.
StatusOr<ExamplesFile> ReadCsv(const std::string& path, const v1::DataTerms& terms,
                               const ReadOptions& options = {});

// Lists the feature columns in terms that name a label column only: all others of the table at
// `spec`, in its order, so that every owner's table gives the same features in the same order,
// however its columns stand. kInvalidArgument: `spec` is no CSV file, has no such label column, or
// calls two columns by one name. Otherwise as ReadCsv.
Status ListCsvColumns(const std::string& spec, v1::DataTerms* terms);

// The same as ReadIdx and ReadCsv from bytes in memory, for tests and
// fuzzing; `name` stands for the file in messages.
StatusOr<ExamplesFile> ParseIdx(std::string_view images, std::string_view labels,
                                const v1::DataTerms& terms, const ReadOptions& options = {});
StatusOr<ExamplesFile> ParseCsv(std::string_view text, const std::string& name,
                                const v1::DataTerms& terms, const ReadOptions& options = {});

}  // namespace crowdteach::learning
