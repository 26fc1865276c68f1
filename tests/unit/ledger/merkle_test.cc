#include "ledger/merkle.h"

#include <algorithm>
#include <random>

#include "tests/support/catch.h"

namespace crowdteach::ledger {
namespace {

using base::Hash;
using Hashes = std::vector<Hash>;

// RFC 6962 §2.1 to §2.1.2, word for word, over D[begin, end).
size_t SlowSplit(size_t n) {
  size_t k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

Hash SlowRoot(const Hashes& d, size_t begin, size_t end) {
  if (begin == end) return base::Sha256Of("");
  if (end - begin == 1) return d[begin];
  const size_t k = begin + SlowSplit(end - begin);
  return base::NodeHash(SlowRoot(d, begin, k), SlowRoot(d, k, end));
}

Hashes SlowPath(size_t m, const Hashes& d, size_t begin, size_t end) {
  if (end - begin == 1) return {};
  const size_t k = SlowSplit(end - begin);
  Hashes path = m < k ? SlowPath(m, d, begin, begin + k) : SlowPath(m - k, d, begin + k, end);
  path.push_back(m < k ? SlowRoot(d, begin + k, end) : SlowRoot(d, begin, begin + k));
  return path;
}

Hashes SlowSubproof(size_t m, const Hashes& d, size_t begin, size_t end, bool b) {
  if (m == end - begin) return b ? Hashes{} : Hashes{SlowRoot(d, begin, end)};
  const size_t k = SlowSplit(end - begin);
  Hashes proof = m <= k ? SlowSubproof(m, d, begin, begin + k, b)
                        : SlowSubproof(m - k, d, begin + k, end, false);
  proof.push_back(m <= k ? SlowRoot(d, begin + k, end) : SlowRoot(d, begin, begin + k));
  return proof;
}

Hashes Leaves(size_t count) {
  Hashes leaves;
  for (size_t i = 0; i < count; ++i) leaves.push_back(base::LeafHash(std::to_string(i)));
  return leaves;
}

MerkleTree TreeOf(const Hashes& leaves) {
  MerkleTree tree;
  for (const Hash& leaf : leaves) tree.Append(leaf);
  return tree;
}

// Every way to spoil one hash list a little.
std::vector<Hashes> Mutations(const Hashes& proof, std::mt19937_64& random) {
  std::vector<Hashes> out;
  for (size_t i = 0; i < proof.size(); ++i) {
    out.push_back(proof);
    out.back()[i][random() % 32] ^= static_cast<uint8_t>(1u << (random() % 8));
    out.push_back(proof);
    out.back().erase(out.back().begin() + static_cast<ptrdiff_t>(i));
    if (i + 1 < proof.size()) {
      out.push_back(proof);
      std::swap(out.back()[i], out.back()[i + 1]);
    }
  }
  out.push_back(proof);
  out.back().push_back(base::LeafHash("more"));
  return out;
}

}  // namespace

TEST_CASE("roots and proofs of every size up to 130 are RFC 6962's") {
  constexpr size_t kMost = 130;
  const Hashes leaves = Leaves(kMost);
  const MerkleTree tree = TreeOf(leaves);
  for (size_t n = 0; n <= kMost; ++n) {
    const Hash root = SlowRoot(leaves, 0, n);
    REQUIRE(*tree.Root(n) == root);
    for (size_t m = 0; m < n; ++m) {
      const Hashes path = *tree.InclusionProof(m, n);
      if (n <= 40 || m % 7 == 0) REQUIRE(path == SlowPath(m, leaves, 0, n));
      REQUIRE(VerifyInclusion(leaves[m], m, n, path, root).ok());
    }
    for (size_t m = 0; m <= n; ++m) {
      const Hashes proof = *tree.ConsistencyProof(m, n);
      if (m > 0 && (n <= 40 || m % 7 == 0)) REQUIRE(proof == SlowSubproof(m, leaves, 0, n, true));
      REQUIRE(VerifyConsistency(m, *tree.Root(m), n, root, proof).ok());
    }
  }
}

TEST_CASE("changed proofs are refused") {
  const uint64_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const Hashes leaves = Leaves(70);
  const MerkleTree tree = TreeOf(leaves);
  for (size_t n = 1; n <= leaves.size(); ++n) {
    const size_t m = random() % n;
    const Hash root = *tree.Root(n);
    const Hashes path = *tree.InclusionProof(m, n);
    for (const Hashes& bad : Mutations(path, random)) {
      REQUIRE_FALSE(VerifyInclusion(leaves[m], m, n, bad, root).ok());
    }
    if (n > 1) REQUIRE_FALSE(VerifyInclusion(leaves[m], (m + 1) % n, n, path, root).ok());
    REQUIRE_FALSE(VerifyInclusion(leaves[m], n, n, path, root).ok());
    REQUIRE_FALSE(VerifyInclusion(base::LeafHash("x"), m, n, path, root).ok());
    REQUIRE_FALSE(VerifyInclusion(leaves[m], m, n, path, base::LeafHash("x")).ok());

    const Hash old_root = *tree.Root(m);
    const Hashes proof = *tree.ConsistencyProof(m, n);
    for (const Hashes& bad : Mutations(proof, random)) {
      REQUIRE_FALSE(VerifyConsistency(m, old_root, n, root, bad).ok());
    }
    REQUIRE_FALSE(VerifyConsistency(m, base::LeafHash("x"), n, root, proof).ok());
    if (m > 0) REQUIRE_FALSE(VerifyConsistency(m, old_root, n, base::LeafHash("x"), proof).ok());
    REQUIRE_FALSE(VerifyConsistency(n + 1, old_root, n, root, proof).ok());
  }
}

TEST_CASE("large trees: proofs verify, and truncating is never having appended") {
  const uint64_t seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const Hashes leaves = Leaves(20000);
  MerkleTree tree = TreeOf(leaves);
  base::RootBuilder builder;
  for (const Hash& leaf : leaves) builder.Append(leaf);
  REQUIRE(tree.Root() == builder.Root());
  for (int i = 0; i < 200; ++i) {
    const uint64_t n = 1 + random() % leaves.size();
    const uint64_t m = random() % n;
    const Hash root = *tree.Root(n);
    const Hashes path = *tree.InclusionProof(m, n);
    REQUIRE(path.size() <= 15);
    REQUIRE(VerifyInclusion(leaves[m], m, n, path, root).ok());
    REQUIRE(VerifyConsistency(m, *tree.Root(m), n, root, *tree.ConsistencyProof(m, n)).ok());
  }
  for (int i = 0; i < 50; ++i) {
    const uint64_t cut = random() % (tree.size() + 1);
    tree.Truncate(cut);
    const uint64_t again = std::min<uint64_t>(leaves.size(), cut + random() % 5000);
    for (uint64_t j = cut; j < again; ++j) tree.Append(leaves[j]);
    base::RootBuilder fresh;
    for (uint64_t j = 0; j < again; ++j) fresh.Append(leaves[j]);
    REQUIRE(tree.size() == again);
    REQUIRE(tree.Root() == fresh.Root());
  }
}

TEST_CASE("what the tree does not have is out of range") {
  const MerkleTree tree = TreeOf(Leaves(5));
  REQUIRE(tree.Root(6).status().code() == absl::StatusCode::kOutOfRange);
  REQUIRE(tree.InclusionProof(5, 5).status().code() == absl::StatusCode::kOutOfRange);
  REQUIRE(tree.InclusionProof(0, 6).status().code() == absl::StatusCode::kOutOfRange);
  REQUIRE(tree.ConsistencyProof(4, 3).status().code() == absl::StatusCode::kOutOfRange);
  REQUIRE(tree.ConsistencyProof(1, 6).status().code() == absl::StatusCode::kOutOfRange);
}

}  // namespace crowdteach::ledger
