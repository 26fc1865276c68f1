// Byte strings: fixed-width integers, hex and strict base64 (RFC 4648).
//
// A byte string is a std::string (protobuf's own type); a view of one a std::string_view.
// Integers inside anything hashed or signed are big-endian; vectors are little-endian.
// Thread-safety: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/status.h"

namespace crowdteach::base {

void AppendU16(std::string& out, uint16_t value);  // big-endian
void AppendU32(std::string& out, uint32_t value);
void AppendU64(std::string& out, uint64_t value);
uint16_t ReadU16(const void* bytes);
uint32_t ReadU32(const void* bytes);
uint64_t ReadU64(const void* bytes);

std::string Hex(std::string_view bytes);  // lower case
// kInvalidArgument: odd length or a character outside [0-9a-f].
StatusOr<std::string> ParseHex(std::string_view text);

std::string Base64(std::string_view bytes);  // standard alphabet, padded
// Strict: kInvalidArgument on whitespace, missing or extra padding, non-zero spare bits.
StatusOr<std::string> ParseBase64(std::string_view text);

// Somebody else's text, fit for a message: in double quotes, bytes outside printable ASCII as \xNN,
// cut after 80 bytes.
std::string Quoted(std::string_view text);

// Somebody else's text on one line, for a message of its own: '?' for what is not printable ASCII,
// a space for the end of a line.
std::string Printable(std::string_view text);

// Cryptographically random bytes from the kernel (getrandom); aborts if the kernel has none.
std::string RandomBytes(size_t count);

}  // namespace crowdteach::base
