// The header of a .npy file: a Python dictionary of three keys, as text.
#include <charconv>
#include <string>
#include <string_view>

#include "learning/data/npy.h"
#include "proto/base/bytes.h"

namespace crowdteach::learning {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeaderBytes = size_t{64} << 10;
constexpr size_t kMaxRank = 32;  // NumPy's own bound

// Reads the dictionary. Stops at the first thing that does not belong there; nothing nests.
class HeaderText {
 public:
  HeaderText(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  StatusOr<NpyHeader> Read() {
    CT_RETURN_IF_ERROR(Expect('{'));
    while (!Accept('}')) {
      CT_ASSIGN_OR_RETURN(const std::string key, ReadString());
      CT_RETURN_IF_ERROR(Expect(':'));
      CT_RETURN_IF_ERROR(ReadValue(key));
      if (!Accept(',') && Peek() != '}') return Error("a comma or }");
    }
    SkipSpaces();
    if (at_ < text_.size()) return Error("the end");
    if (!has_type_ || !has_order_ || !has_shape_) {
      return InvalidArgument("{}: the .npy header lacks descr, fortran_order or shape", name_);
    }
    if (fortran_ && header_.shape.size() > 1) {
      return InvalidArgument(
          "{}: the array is in Fortran's order (column by column); save it again with "
          "numpy.save(file, numpy.ascontiguousarray(array))",
          name_);
    }
    return header_;
  }

 private:
  Status ReadValue(const std::string& key) {
    if (key == "descr" && !has_type_) {
      has_type_ = true;
      if (Peek() != '\'' && Peek() != '"') {
        return InvalidArgument("{}: a table of records; save plain arrays of numbers", name_);
      }
      CT_ASSIGN_OR_RETURN(const std::string type, ReadString());
      return ReadType(type);
    }
    if (key == "fortran_order" && !has_order_) {
      has_order_ = true;
      fortran_ = AcceptWord("True");
      return fortran_ || AcceptWord("False") ? OkStatus() : Error("True or False");
    }
    if (key == "shape" && !has_shape_) {
      has_shape_ = true;
      return ReadShape();
    }
    return InvalidArgument("{}: the .npy header has another key, or one twice: {}", name_,
                           base::Quoted(key));
  }

  Status ReadType(std::string_view type) {
    const std::string_view given = type;
    if (!type.empty() && std::string_view("<>|=").find(type[0]) != std::string_view::npos) {
      header_.big_endian = type[0] == '>';
      type.remove_prefix(1);
    }
    for (const std::string_view known :
         {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}) {
      if (type != known) continue;
      header_.kind = known[0];
      header_.bytes = known[1] - '0';
      return OkStatus();
    }
    const char kind = type.empty() ? '\0' : type[0];
    const char* what = kind == 'O' ? "Python objects (pickle), which are never read"
                       : kind == 'U' || kind == 'S' ? "text"
                                                    : "values of another type";
    return InvalidArgument(
        "{}: {}: its type is {}; save numbers: bool, int8 to uint64 or float16 to float64, such as "
        "array.astype('float32')",
        name_, what, base::Quoted(given));
  }

  Status ReadShape() {
    CT_RETURN_IF_ERROR(Expect('('));
    while (!Accept(')')) {
      uint64_t dimension = 0;
      SkipSpaces();
      const char* begin = text_.data() + at_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), dimension);
      if (error != std::errc()) return Error("a dimension of the shape");
      at_ += static_cast<size_t>(end - begin);
      header_.shape.push_back(dimension);
      if (header_.shape.size() > kMaxRank) return Error("at most 32 dimensions");
      if (!Accept(',') && Peek() != ')') return Error("a comma or )");
    }
    return OkStatus();
  }

  StatusOr<std::string> ReadString() {
    const char quote = Peek();
    if (quote != '\'' && quote != '"') return Error("a quoted name");
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return Error("a closing quote");
    const std::string_view found = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return std::string(found);
  }

  void SkipSpaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  char Peek() {
    SkipSpaces();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool Accept(char c) {
    if (Peek() != c) return false;
    ++at_;
    return true;
  }
  bool AcceptWord(std::string_view word) {
    SkipSpaces();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  Status Expect(char c) { return Accept(c) ? OkStatus() : Error(std::string(1, c)); }
  Status Error(std::string_view wanted) const {
    return InvalidArgument("{}: the .npy header is damaged: its character {} should be {}: {}",
                           name_, at_, wanted, base::Quoted(text_.substr(at_)));
  }

  const std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
  NpyHeader header_;
  bool has_type_ = false, has_order_ = false, has_shape_ = false;
  bool fortran_ = false;
};

}  // namespace

StatusOr<NpyHeader> ReadNpyHeader(ByteSource& source) {
  char start[8];
  CT_ASSIGN_OR_RETURN(const size_t got, source.ReadSome(start, sizeof start));
  if (got < sizeof start || std::string_view(start, kMagic.size()) != kMagic) {
    return InvalidArgument("{}: not a .npy file: it starts {}, must be 934e554d5059", source.name(),
                           base::Hex({start, got}));
  }
  const auto version = static_cast<uint8_t>(start[6]);
  if (version < 1 || version > 3 || start[7] != 0) {
    return InvalidArgument("{}: .npy version {}.{}; 1.0, 2.0 and 3.0 are known", source.name(),
                           version, static_cast<uint8_t>(start[7]));
  }
  char length[4] = {};
  CT_RETURN_IF_ERROR(source.Read(length, version == 1 ? 2 : 4));
  size_t size = 0;
  for (int i = 3; i >= 0; --i) size = size << 8 | static_cast<uint8_t>(length[i]);
  if (size > kMaxHeaderBytes) {
    return InvalidArgument("{}: a .npy header of {} bytes; at most {}", source.name(), size,
                           kMaxHeaderBytes);
  }
  std::string text(size, '\0');
  CT_RETURN_IF_ERROR(source.Read(text.data(), size));
  return HeaderText(text, source.name()).Read();
}

}  // namespace crowdteach::learning
