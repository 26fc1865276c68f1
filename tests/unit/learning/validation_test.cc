#include "learning/data/validation.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "proto/base/bytes.h"
#include "tests/support/catch.h"
#include "tests/unit/learning/data_terms.h"

namespace crowdteach::learning {
namespace {

v1::DataTerms Terms() { return SmallTerms({2}, v1::U8, {"a", "b"}); }

StatusOr<ExamplesFile> ThreeExamples() {
  CT_ASSIGN_OR_RETURN(ExamplesWriter writer, ExamplesWriter::InMemory(Terms(), "three"));
  CT_RETURN_IF_ERROR(writer.Append(0, "ab"));
  CT_RETURN_IF_ERROR(writer.Append(1, "cd"));
  CT_RETURN_IF_ERROR(writer.Append(1, "ef"));
  return std::move(writer).Finish();
}

std::string TempPath(const std::string& name) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("{}-{}", getpid(), name);
  std::filesystem::remove(path);
  return path.string();
}

}  // namespace

TEST_CASE("the commitment is RFC 6962 over salted records, and the file's blob digest") {
  const auto dataset = ThreeExamples();
  REQUIRE(dataset.ok());
  const std::string path = TempPath("validation");
  const std::string salts = std::string(16, 'x') + std::string(16, 'y') + std::string(16, 'z');
  const auto made = MakeValidationSet(*dataset, salts, path, Terms());
  REQUIRE(made.status() == OkStatus());
  const ValidationCommitment commitment = CommitmentOf(*made);
  const auto leaf = [](char salt, char label, const char* features) {
    return base::LeafHash(std::string(16, salt) + std::string(3, '\0') + label + features);
  };
  REQUIRE(commitment.root == base::NodeHash(base::NodeHash(leaf('x', 0, "ab"), leaf('y', 1, "cd")),
                                            leaf('z', 1, "ef")));
  REQUIRE(commitment.count == 3);
  REQUIRE(commitment.digest == *base::BlobDigestOfFile(base::BlobKind::kValidation, path));

  v1::CampaignOpen open;
  open.set_validation_root(base::Bytes(commitment.root));
  open.set_validation_digest(base::Bytes(commitment.digest));
  open.set_validation_count(3);
  REQUIRE(*CommitmentOf(open) == commitment);
  REQUIRE(VerifyValidationSet(path, commitment, Terms()).ok());

  // Other salts, another commitment: labels cannot be guessed from it.
  const std::string other = TempPath("validation2");
  const auto again = MakeValidationSet(*dataset, base::RandomBytes(48), other, Terms());
  REQUIRE(again.ok());
  REQUIRE(CommitmentOf(*again).root != commitment.root);
  REQUIRE(VerifyValidationSet(other, commitment, Terms()).status().code() ==
          absl::StatusCode::kDataLoss);
  std::filesystem::remove(path);
  std::filesystem::remove(other);
}

TEST_CASE("any changed byte of a validation set is found") {
  const auto dataset = ThreeExamples();
  const std::string path = TempPath("mutated");
  ValidationCommitment commitment;
  std::string bytes;
  {
    const auto made = MakeValidationSet(*dataset, std::string(48, 's'), path, Terms());
    REQUIRE(made.ok());
    commitment = CommitmentOf(*made);
    bytes = std::string(made->bytes());
  }
  const auto verified = [&](const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    return VerifyValidationSet(path, commitment, Terms()).status();
  };
  REQUIRE(verified(bytes).ok());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string mutated = bytes;
    mutated[i] = static_cast<char>(mutated[i] ^ 1);
    REQUIRE_FALSE(verified(mutated).ok());
  }
  REQUIRE(
      Message(verified(bytes.substr(0, 44))).find("2 examples, but the campaign committed to 3") !=
      std::string::npos);
  ValidationCommitment contradictory = commitment;
  contradictory.digest[0] ^= 1;
  REQUIRE(verified(bytes).ok());
  REQUIRE(Message(VerifyValidationSet(path, contradictory, Terms()).status())
              .find("contradicts itself") != std::string::npos);
  std::filesystem::remove(path);
  REQUIRE(Message(MakeValidationSet(*dataset, "short", path, Terms()).status()) ==
          "5 bytes of salt for 3 examples; must be 48");
  REQUIRE_FALSE(std::filesystem::exists(path));
}

}  // namespace crowdteach::learning
