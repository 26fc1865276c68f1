#include "proto/base/bytes.h"

#include <sys/random.h>

#include <cerrno>

#include "proto/base/assert.h"

namespace crowdteach::base {
namespace {

constexpr std::string_view kBase64Alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kHexAlphabet = "0123456789abcdef";

template <typename T>
void AppendBigEndian(std::string& out, T value) {
  for (int shift = 8 * (static_cast<int>(sizeof(T)) - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift));
  }
}

template <typename T>
T ReadBigEndian(const void* bytes) {
  const auto* p = static_cast<const unsigned char*>(bytes);
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>((value << 8) | p[i]);
  return value;
}

}  // namespace

void AppendU16(std::string& out, uint16_t value) { AppendBigEndian(out, value); }
void AppendU32(std::string& out, uint32_t value) { AppendBigEndian(out, value); }
void AppendU64(std::string& out, uint64_t value) { AppendBigEndian(out, value); }
uint16_t ReadU16(const void* bytes) { return ReadBigEndian<uint16_t>(bytes); }
uint32_t ReadU32(const void* bytes) { return ReadBigEndian<uint32_t>(bytes); }
uint64_t ReadU64(const void* bytes) { return ReadBigEndian<uint64_t>(bytes); }

std::string Hex(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (unsigned char c : bytes) {
    out.push_back(kHexAlphabet[c >> 4]);
    out.push_back(kHexAlphabet[c & 15]);
  }
  return out;
}

StatusOr<std::string> ParseHex(std::string_view text) {
  if (text.size() % 2 != 0) return InvalidArgument("hex of odd length {}", text.size());
  std::string out;
  out.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const size_t high = kHexAlphabet.find(text[i]);
    const size_t low = kHexAlphabet.find(text[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) {
      return InvalidArgument("not lower-case hex at character {}", i);
    }
    out.push_back(static_cast<char>(high << 4 | low));
  }
  return out;
}

std::string Base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = bytes.size() - i;
    const auto at = [&](size_t j) -> uint32_t {
      return j < left ? static_cast<unsigned char>(bytes[i + j]) : 0;
    };
    const uint32_t group = at(0) << 16 | at(1) << 8 | at(2);
    for (size_t j = 0; j < 4; ++j) {
      out.push_back(j <= left ? kBase64Alphabet[group >> (18 - 6 * j) & 63] : '=');
    }
  }
  return out;
}

StatusOr<std::string> ParseBase64(std::string_view text) {
  if (text.size() % 4 != 0) {
    return InvalidArgument("base64 of {} characters, not a multiple of 4", text.size());
  }
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    size_t padding = 0;
    if (i + 4 == text.size()) padding = text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
    uint32_t group = 0;
    for (size_t j = 0; j < 4 - padding; ++j) {
      const size_t digit = kBase64Alphabet.find(text[i + j]);
      if (digit == std::string_view::npos)
        return InvalidArgument("not base64 at character {}", i + j);
      group |= static_cast<uint32_t>(digit) << (18 - 6 * j);
    }
    if ((group & ((1u << (8 * padding)) - 1)) != 0) {
      return InvalidArgument("base64 with spare bits set at character {}", i);
    }
    for (size_t j = 0; j < 3 - padding; ++j)
      out.push_back(static_cast<char>(group >> (16 - 8 * j)));
  }
  return out;
}

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const unsigned char c : text.substr(0, 80)) {
    if (c < 0x20 || c >= 0x7F) {
      out += fmt::format("\\x{:02x}", c);
    } else {
      out.push_back(static_cast<char>(c));
    }
  }
  return out + (text.size() > 80 ? "…\"" : "\"");
}

std::string Printable(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (c == '\n') c = ' ';
    if (c < ' ' || c > '~') c = '?';
  }
  return line;
}

std::string RandomBytes(size_t count) {
  std::string out(count, '\0');
  for (size_t filled = 0; filled < count;) {
    const ssize_t got = getrandom(out.data() + filled, count - filled, 0);
    CT_ASSERT(got > 0 || errno == EINTR);
    if (got > 0) filled += static_cast<size_t>(got);
  }
  return out;
}

}  // namespace crowdteach::base
