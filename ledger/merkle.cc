#include "ledger/merkle.h"

#include <algorithm>
#include <bit>

#include "proto/base/assert.h"

namespace crowdteach::ledger {
namespace {

using base::Hash;
using base::NodeHash;

// The largest power of two below `n`; n >= 2.
uint64_t SplitOf(uint64_t n) { return std::bit_floor(n - 1); }

Status NotProven(std::string_view why) {
  return InvalidArgument("the proof does not hold: {}", why);
}

}  // namespace

void MerkleTree::Append(const Hash& leaf) {
  Hash node = leaf;
  for (size_t level = 0;; ++level) {
    if (levels_.size() == level) levels_.emplace_back();
    levels_[level].push_back(node);
    const size_t count = levels_[level].size();
    if (count % 2 != 0) return;
    node = NodeHash(levels_[level][count - 2], node);
  }
}

void MerkleTree::Truncate(uint64_t size) {
  CT_ASSERT(size <= this->size());
  for (std::vector<Hash>& level : levels_) {
    level.resize(size);
    size /= 2;
  }
}

// `begin` is a multiple of the power of two that holds the range, as in RFC 6962's recursion; so at
// each step the left half is stored and only the right edge is hashed.
Hash MerkleTree::RangeRoot(uint64_t begin, uint64_t end) const {
  const uint64_t count = end - begin;
  if (count == 0) return base::Sha256Of("");
  if (std::has_single_bit(count)) {
    return levels_[static_cast<size_t>(std::countr_zero(count))][begin / count];
  }
  const uint64_t split = begin + SplitOf(count);
  return NodeHash(RangeRoot(begin, split), RangeRoot(split, end));
}

StatusOr<Hash> MerkleTree::Root(uint64_t size) const {
  if (size > this->size()) {
    return OutOfRange("root of {} leaves asked, the tree has {}", size, this->size());
  }
  return RangeRoot(0, size);
}

StatusOr<std::vector<Hash>> MerkleTree::InclusionProof(uint64_t index, uint64_t size) const {
  if (index >= size || size > this->size()) {
    return OutOfRange("proof of leaf {} in a tree of {} asked, the tree has {}", index, size,
                      this->size());
  }
  std::vector<Hash> proof;
  uint64_t begin = 0;
  uint64_t end = size;
  while (end - begin > 1) {
    const uint64_t split = begin + SplitOf(end - begin);
    if (index < split) {
      proof.push_back(RangeRoot(split, end));
      end = split;
    } else {
      proof.push_back(RangeRoot(begin, split));
      begin = split;
    }
  }
  std::reverse(proof.begin(), proof.end());
  return proof;
}

StatusOr<std::vector<Hash>> MerkleTree::ConsistencyProof(uint64_t old_size, uint64_t size) const {
  if (old_size > size || size > this->size()) {
    return OutOfRange("proof from {} to {} leaves asked, the tree has {}", old_size, size,
                      this->size());
  }
  std::vector<Hash> proof;
  if (old_size == 0 || old_size == size) return proof;
  uint64_t begin = 0;
  uint64_t end = size;
  bool whole_left = true;  // RFC 6962's b: the verifier has the old root itself
  while (end != old_size) {
    const uint64_t split = begin + SplitOf(end - begin);
    if (old_size <= split) {
      proof.push_back(RangeRoot(split, end));
      end = split;
    } else {
      proof.push_back(RangeRoot(begin, split));
      begin = split;
      whole_left = false;
    }
  }
  if (!whole_left) proof.push_back(RangeRoot(begin, end));
  std::reverse(proof.begin(), proof.end());
  return proof;
}

Status VerifyInclusion(const Hash& leaf, uint64_t index, uint64_t size,
                       const std::vector<Hash>& proof, const Hash& root) {
  if (index >= size) return NotProven(fmt::format("leaf {} of {}", index, size));
  uint64_t fn = index;
  uint64_t sn = size - 1;
  Hash node = leaf;
  for (const Hash& sibling : proof) {
    if (sn == 0) return NotProven("it is too long");
    if (fn % 2 != 0 || fn == sn) {
      node = NodeHash(sibling, node);
      while (fn % 2 == 0 && fn != 0) {
        fn /= 2;
        sn /= 2;
      }
    } else {
      node = NodeHash(node, sibling);
    }
    fn /= 2;
    sn /= 2;
  }
  if (sn != 0) return NotProven("it is too short");
  if (node != root) return NotProven("it leads to another root");
  return OkStatus();
}

Status VerifyConsistency(uint64_t old_size, const Hash& old_root, uint64_t new_size,
                         const Hash& new_root, const std::vector<Hash>& proof) {
  if (old_size > new_size) {
    return NotProven(fmt::format("the newer tree has {} leaves, the older {}", new_size, old_size));
  }
  if (old_size == 0 || old_size == new_size) {
    const Hash& expected = old_size == 0 ? base::Sha256Of("") : new_root;
    if (old_root != expected) return NotProven("the older root is not the root of its size");
    return proof.empty() ? OkStatus() : NotProven("it should be empty");
  }
  if (proof.empty()) return NotProven("it is empty");
  uint64_t fn = old_size - 1;
  uint64_t sn = new_size - 1;
  while (fn % 2 != 0) {
    fn /= 2;
    sn /= 2;
  }
  // A complete older tree is a node of the newer, so its root stands for the first hash.
  const bool complete = std::has_single_bit(old_size);
  Hash older = complete ? old_root : proof[0];
  Hash newer = older;
  for (size_t i = complete ? 0 : 1; i < proof.size(); ++i) {
    if (sn == 0) return NotProven("it is too long");
    if (fn % 2 != 0 || fn == sn) {
      older = NodeHash(proof[i], older);
      newer = NodeHash(proof[i], newer);
      while (fn % 2 == 0 && fn != 0) {
        fn /= 2;
        sn /= 2;
      }
    } else {
      newer = NodeHash(newer, proof[i]);
    }
    fn /= 2;
    sn /= 2;
  }
  if (sn != 0) return NotProven("it is too short");
  if (older != old_root) return NotProven("it leads to another older root");
  if (newer != new_root) return NotProven("it leads to another newer root");
  return OkStatus();
}

}  // namespace crowdteach::ledger
