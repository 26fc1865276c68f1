// tests/conformance/vectors were made by the Go reference implementations; see conformance_test.go.
#include <fstream>
#include <sstream>

#include "ledger/checkpoint.h"
#include "ledger/merkle.h"
#include "ledger/note.h"
#include "tests/unit/ledger/log_fixture.h"

namespace crowdteach::ledger {
namespace {

constexpr uint64_t kLeaves = 300;

std::string Vector(const std::string& name) {
  std::ifstream file(CROWDTEACH_SOURCE_DIR "/tests/conformance/vectors/" + name, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

MerkleTree ReferenceTree() {
  MerkleTree tree;
  for (uint64_t i = 0; i < kLeaves; ++i) tree.Append(base::LeafHash(std::to_string(i)));
  return tree;
}

SigningKey ReferenceKey() { return Value(SigningKey::FromSeed(std::string(32, 1))); }

}  // namespace

TEST_CASE("the reference's roots and proofs are ours, and verify") {
  const MerkleTree tree = ReferenceTree();
  std::istringstream lines(Vector("proofs.txt"));
  std::string line;
  int count = 0;
  while (std::getline(lines, line)) {
    INFO(line);
    std::istringstream words(line);
    std::string what, word;
    uint64_t a = 0, b = 0;
    words >> what >> a >> b;
    std::vector<base::Hash> hashes;
    while (words >> word) hashes.push_back(Value(base::HashFromHex(word)));
    const base::Hash root = Value(tree.Root(b));
    if (what == "root") {
      REQUIRE(hashes == std::vector<base::Hash>{root});
    } else if (what == "inclusion") {
      REQUIRE(Value(tree.InclusionProof(a, b)) == hashes);
      RequireOk(VerifyInclusion(base::LeafHash(std::to_string(a)), a, b, hashes, root));
    } else {
      REQUIRE(what == "consistency");
      REQUIRE(Value(tree.ConsistencyProof(a, b)) == hashes);
      RequireOk(VerifyConsistency(a, Value(tree.Root(a)), b, root, hashes));
    }
    ++count;
  }
  REQUIRE(count > 100);
}

TEST_CASE("the reference's verifier key and checkpoint are ours, byte for byte") {
  const SigningKey key = ReferenceKey();
  const VerifierKey log = MakeVerifierKey("example.org/log", key.public_key());
  REQUIRE(Vector("vkey.txt") == FormatVkey(log) + "\n");
  const Checkpoint checkpoint{log.name, kLeaves, ReferenceTree().Root()};
  REQUIRE(Vector("checkpoint.txt") == SignCheckpoint(checkpoint, key));
}

TEST_CASE("a witness's cosignature beside the log's signature is skipped") {
  const VerifierKey log = MakeVerifierKey("example.org/log", ReferenceKey().public_key());
  const std::string bytes = Vector("cosigned.txt");
  REQUIRE(Value(OpenCheckpoint(bytes, log)).size == kLeaves);
  const Note note = Value(ParseNote(bytes));
  REQUIRE(note.signatures.size() == 2);
  REQUIRE(FormatNote(note) == bytes);
}

}  // namespace crowdteach::ledger
