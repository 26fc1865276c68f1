#include "proto/base/digest.h"

#include <random>

#include "tests/support/catch.h"

namespace crowdteach::base {
namespace {

// RFC 6962 §2.1, word for word.
Hash SlowRoot(const std::vector<Hash>& leaves, size_t begin, size_t end) {
  if (begin == end) return Sha256Of("");
  if (end - begin == 1) return leaves[begin];
  size_t split = 1;
  while (split * 2 < end - begin) split *= 2;
  return NodeHash(SlowRoot(leaves, begin, begin + split), SlowRoot(leaves, begin + split, end));
}

}  // namespace

TEST_CASE("SHA-256 of FIPS 180-4's example") {
  REQUIRE(Hex(Sha256Of("abc")) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("RootBuilder agrees with the recursive definition") {
  std::vector<Hash> leaves;
  RootBuilder builder;
  for (int n = 0; n < 70; ++n) {
    REQUIRE(builder.Root() == SlowRoot(leaves, 0, leaves.size()));
    leaves.push_back(LeafHash(std::to_string(n)));
    builder.Append(leaves.back());
  }
}

TEST_CASE("a blob's digest does not depend on how it is cut") {
  std::mt19937 random(7);
  for (const size_t size : {size_t{0}, size_t{1}, kChunkBytes - 1, kChunkBytes, kChunkBytes + 1,
                            3 * kChunkBytes + 17}) {
    std::string blob(size, '\0');
    for (char& c : blob) c = static_cast<char>(random());
    std::vector<Hash> leaves;
    for (size_t i = 0; i < size; i += kChunkBytes)
      leaves.push_back(LeafHash(blob.substr(i, kChunkBytes)));
    const Hash expected =
        BlobDigestOfRoot(BlobKind::kUpdate, size, SlowRoot(leaves, 0, leaves.size()));
    REQUIRE(BlobDigest(BlobKind::kUpdate, blob) == expected);
    BlobDigester digester(BlobKind::kUpdate, size);
    for (size_t i = 0; i < size;) {
      const size_t take = std::min<size_t>(size - i, 1 + random() % 700000);
      digester.Update(std::string_view(blob).substr(i, take));
      i += take;
    }
    REQUIRE(*std::move(digester).Finish() == expected);
    REQUIRE(BlobDigest(BlobKind::kWeights, blob) != expected);
  }
}

TEST_CASE("a blob shorter or longer than announced is refused") {
  for (const size_t announced : {2, 4}) {
    BlobDigester digester(BlobKind::kWeights, announced);
    digester.Update("abc");
    REQUIRE_FALSE(std::move(digester).Finish().ok());
  }
}

}  // namespace crowdteach::base
