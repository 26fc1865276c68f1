// The Merkle tree of RFC 6962 §2.1 (RFC 9162 §2.1) over leaf hashes, with its proofs.
//
// leaf = SHA-256(0x00 | entry), node = SHA-256(0x01 | left | right), empty root = SHA-256("").
// A tree keeps every complete subtree's hash (64 bytes a leaf), so a root or proof at any past size
// takes O(log n) hashes. Thread-safety: const calls may run together; Append and Truncate alone.
#pragma once

#include <cstdint>
#include <vector>

#include "proto/base/digest.h"
#include "proto/base/status.h"

namespace crowdteach::ledger {

class MerkleTree {
 public:
  void Append(const base::Hash& leaf);
  // Forgets the leaves from `size` on. size <= this->size().
  void Truncate(uint64_t size);

  uint64_t size() const { return levels_.empty() ? 0 : levels_[0].size(); }
  base::Hash Root() const { return RangeRoot(0, size()); }
  // kOutOfRange: size > this->size().
  StatusOr<base::Hash> Root(uint64_t size) const;
  // PATH(index, D[size]), lowest first. kOutOfRange unless index < size <= this->size().
  StatusOr<std::vector<base::Hash>> InclusionProof(uint64_t index, uint64_t size) const;
  // PROOF(old_size, D[size]); empty for 0 and for equal sizes.
  // kOutOfRange unless old_size <= size <= this->size().
  StatusOr<std::vector<base::Hash>> ConsistencyProof(uint64_t old_size, uint64_t size) const;

 private:
  base::Hash RangeRoot(uint64_t begin, uint64_t end) const;
  // levels_[k][i] is the root of leaves [i*2^k, (i+1)*2^k).
  std::vector<std::vector<base::Hash>> levels_;
};

// RFC 9162 §2.1.3.2. kInvalidArgument: the proof does not show `leaf` at `index` of the tree.
Status VerifyInclusion(const base::Hash& leaf, uint64_t index, uint64_t size,
                       const std::vector<base::Hash>& proof, const base::Hash& root);

// RFC 9162 §2.1.4.2. kInvalidArgument: the proof does not show the older tree to be a prefix of the
// newer. An empty older tree is a prefix of any, by the empty proof.
Status VerifyConsistency(uint64_t old_size, const base::Hash& old_root, uint64_t new_size,
                         const base::Hash& new_root, const std::vector<base::Hash>& proof);

}  // namespace crowdteach::ledger
