// Files of other programs, made by hand so that a test can make bad ones: .npy, .npz (zip), PNG.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "proto/base/bytes.h"
#include "tests/support/catch.h"

namespace crowdteach::learning {

template <typename T>
std::string LittleEndian(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

// The values one after another, as this machine has them.
template <typename T>
std::string Values(const std::vector<T>& values) {
  std::string bytes;
  for (const T value : values) bytes += LittleEndian(value);
  return bytes;
}

inline std::string NpyText(const std::string& dictionary, const std::string& data,
                           int version = 1) {
  std::string bytes = "\x93NUMPY" + std::string{static_cast<char>(version), 0};
  const std::string length = LittleEndian(static_cast<uint32_t>(dictionary.size()));
  return bytes + length.substr(0, version == 1 ? 2 : 4) + dictionary + data;
}

inline std::string Npy(const std::string& type, const std::string& shape, const std::string& data,
                       int version = 1) {
  return NpyText(
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }   \n", data,
      version);
}

inline std::string Deflated(const std::string& bytes, int window) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline uint32_t Crc(const std::string& bytes) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

struct ZipEntry {
  std::string name;
  std::string content;
  bool deflated = true;
  uint16_t method = 8;  // said to be used; 8 is deflate
  uint32_t spoil_crc = 0;
};

inline std::string Zip(const std::vector<ZipEntry>& entries) {
  std::string out, directory;
  for (const ZipEntry& entry : entries) {
    const std::string packed = entry.deflated ? Deflated(entry.content, -15) : entry.content;
    const uint16_t method = entry.deflated ? entry.method : 0;
    // Versions, flags, method, time, date; CRC, sizes; lengths of name and extra field.
    const std::string common = Values<uint16_t>({20, 0, method, 0, 33}) +
                               Values<uint32_t>({Crc(entry.content) ^ entry.spoil_crc,
                                                 static_cast<uint32_t>(packed.size()),
                                                 static_cast<uint32_t>(entry.content.size())}) +
                               Values<uint16_t>({static_cast<uint16_t>(entry.name.size()), 0});
    directory += "PK\1\2" + Values<uint16_t>({20}) + common + Values<uint16_t>({0, 0, 0}) +
                 Values<uint32_t>({0, static_cast<uint32_t>(out.size())}) + entry.name;
    out += "PK\3\4" + common + entry.name + packed;
  }
  const auto count = static_cast<uint16_t>(entries.size());
  return out + directory + "PK\5\6" + Values<uint16_t>({0, 0, count, count}) +
         Values<uint32_t>(
             {static_cast<uint32_t>(directory.size()), static_cast<uint32_t>(out.size())}) +
         Values<uint16_t>({0});
}

inline std::string PngChunk(const std::string& type, const std::string& data) {
  std::string chunk;
  base::AppendU32(chunk, static_cast<uint32_t>(data.size()));
  chunk += type + data;
  base::AppendU32(chunk, Crc(type + data));
  return chunk;
}

// `rows`: each with its filter byte in front. Colours: 0 grey, 2 RGB, 3 palette, 4 grey and alpha,
// 6 RGBA. `between`: chunks before the pixels.
inline std::string Png(uint32_t width, uint32_t height, int depth, int colour,
                       const std::string& rows, const std::string& between = "") {
  std::string header;
  base::AppendU32(header, width);
  base::AppendU32(header, height);
  header += std::string{static_cast<char>(depth), static_cast<char>(colour), 0, 0, 0};
  return "\x89PNG\r\n\x1a\n" + PngChunk("IHDR", header) + between +
         PngChunk("IDAT", Deflated(rows, 15)) + PngChunk("IEND", "");
}

}  // namespace crowdteach::learning
