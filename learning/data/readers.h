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
//   DIR                    a folder with one folder of PNG or JPEG pictures for each class, or with
//                          the IDX files of the prefix "train"
//   DIR:PREFIX             IDX files PREFIX-images-idx3-ubyte[.gz] and
//                          PREFIX-labels-idx1-ubyte[.gz] in DIR ("train" or "t10k", say)
//   FEATURES,LABELS        two .npy files, or two IDX files; each plain or gzip
//   FILE.npz[:PART]        an archive of arrays; PART is "train" unless given
//   FILE.csv[.gz]          a table with a header
// A path that exists as it stands is never split at ':' or ','.
// kInvalidArgument: the content is wrong; the message names file and byte (IDX), line and column
// (CSV), index (.npy, .npz) or picture, what was found, what was expected. kNotFound,
// kPermissionDenied, kUnavailable: the files cannot be read. kResourceExhausted: no memory for the
// set. However a file lies about its content, memory holds no more than the examples it really has
// and one more.
StatusOr<ExamplesFile> ReadDataset(const std::string& spec, const v1::DataTerms& terms,
                                   const ReadOptions& options = {});

// The forms of `spec`, for a --help.
inline constexpr char kDatasetHelp[] =
    "DIR (a folder of PNG or JPEG pictures for each class, or IDX files), DIR:PREFIX (IDX files), "
    "FEATURES,LABELS (.npy or IDX files), FILE.npz, FILE.npz:PART or FILE.csv";

// Whether there are such files, before a campaign says what should be in them. kNotFound,
// kInvalidArgument.
Status CheckDataset(const std::string& spec);

// Whether ReadDataset takes `spec` for a table.
bool IsCsv(std::string_view spec);

// IDX (LeCun's MNIST format): big-endian magic 00 00 type rank, u32 dimensions, values. Images are
// type 0x08 (u8) for feature-type "u8" and 0x0D (big-endian float32) for "float32"; labels are type
// 0x08, rank 1; label n is class n. The shape behind the count must equal input_shape up to ones,
// or input_shape is that shape flattened to one dimension. Whether a file is gzip shows in its
// first two bytes. No more is ever inflated than the header announces, and what is inflated is
// written out as it comes, so a header that lies costs nothing. Bytes are counted in the inflated
// file.
StatusOr<ExamplesFile> ReadIdx(const std::string& images_path, const std::string& labels_path,
                               const v1::DataTerms& terms, const ReadOptions& options = {});

// CSV by RFC 4180, strictly: a header; comma-separated; fields with commas, quotes or line breaks
// in double quotes, a quote inside doubled; lines end in LF or CRLF; an UTF-8 byte order mark is
// skipped, and so are blank lines where there are several columns. The label column's text must be
// one of DataTerms.classes exactly. Feature columns are those of csv_feature_columns in that order,
// wherever they stand; other columns are ignored; no field is longer than 1 MiB. Numbers are
// decimal with '.', independent of locale, finite; for feature-type "u8" whole numbers 0-255.
StatusOr<ExamplesFile> ReadCsv(const std::string& path, const v1::DataTerms& terms,
                               const ReadOptions& options = {});

// Lists the feature columns in terms that name a label column only: all others of the table at
// `spec`, in its order, so that every owner's table gives the same features in the same order,
// however its columns stand. kInvalidArgument: `spec` is no CSV file, has no such label column, or
// calls two columns by one name. Otherwise as ReadCsv.
Status ListCsvColumns(const std::string& spec, v1::DataTerms* terms);

// Two .npy arrays (NumPy; versions 1 to 3) of bool, int8 to uint64, float16 to float64 in either
// byte order; never pickles. Features: examples first, then a shape as with IDX. For "u8" whole
// numbers 0-255; for "float32" finite ones, integers exactly, reals rounded to nearest once.
// Labels: whole numbers, label n is class n, in the shape [N] or [N, 1]. Columns first (Fortran's
// order) is refused.
StatusOr<ExamplesFile> ReadNpy(const std::string& features_path, const std::string& labels_path,
                               const v1::DataTerms& terms, const ReadOptions& options = {});

// The same from a .npz archive, stored or deflated: the arrays x_PART and y_PART, or else
// PART_images and PART_labels; without a part x and y, or else those of "train". They are inflated
// as they are read, never further than their headers announce.
StatusOr<ExamplesFile> ReadNpz(const std::string& path, const std::string& part,
                               const v1::DataTerms& terms, const ReadOptions& options = {});

// A folder for each class that there are pictures of, called as the class, with '_' for '/'; in it
// *.png, *.jpg and *.jpeg, and nothing else that is not hidden. For feature-type "u8" and an
// input_shape [H, W] or [1, H, W] (grey) or [3, H, W] (red, green, blue); a picture of another size
// or colour is an error. Of every folder, in bytewise order of names, the first picture, then of
// every folder the second, and so on, so that a limit takes some of each class.
// PNG: 1 to 8 bits a channel, palettes too; an alpha channel is left out if no pixel is
// transparent. JPEG: grey or YCbCr/RGB; turned as the pixels stand, whatever EXIF says. No colour
// profile is applied. Damage is an error, never filled in.
StatusOr<ExamplesFile> ReadPictures(const std::string& root, const v1::DataTerms& terms,
                                    const ReadOptions& options = {});

// Whether there is a folder in `root` that is not hidden.
bool HasFolders(const std::string& root);

// The same from bytes in memory, for tests and fuzzing; `name` stands for the file in messages.
StatusOr<ExamplesFile> ParseIdx(std::string_view images, std::string_view labels,
                                const v1::DataTerms& terms, const ReadOptions& options = {});
StatusOr<ExamplesFile> ParseCsv(std::string_view text, const std::string& name,
                                const v1::DataTerms& terms, const ReadOptions& options = {});
StatusOr<ExamplesFile> ParseNpy(std::string_view features, std::string_view labels,
                                const v1::DataTerms& terms, const ReadOptions& options = {});
StatusOr<ExamplesFile> ParseNpz(std::string_view bytes, const std::string& part,
                                const v1::DataTerms& terms, const ReadOptions& options = {});

}  // namespace crowdteach::learning
