// Which artifacts an auditor asks for, and whether a log continues what was seen before.
#include "ledger/audit/artifact_list.h"

#include <algorithm>

#include "ledger/audit/earlier_head.h"
#include "proto/base/exit_codes.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/audit/audit_world.h"

namespace crowdteach::audit {
namespace {

using base::BlobKind;

size_t CountOf(const std::vector<NamedArtifact>& named, BlobKind kind) {
  return static_cast<size_t>(std::count_if(
      named.begin(), named.end(), [&](const auto& artifact) { return artifact.kind == kind; }));
}

TEST_CASE("an audit's artifacts, with the sizes they have and what is secret") {
  RealCampaign real;
  real.RunRound();
  real.RunRound();
  const auto list = [&] {
    return ArtifactsOf(Replayed(BundleOf(real.log), KeyOf(real.log)), std::nullopt);
  };
  const std::vector<NamedArtifact> open = list();
  CHECK(CountOf(open, BlobKind::kWeights) == 3);
  CHECK(CountOf(open, BlobKind::kUpdate) == 6);
  CHECK(CountOf(open, BlobKind::kGradient) == 2);
  CHECK(CountOf(open, BlobKind::kValidation) == 1);
  for (const NamedArtifact& artifact : open) {
    INFO(base::BlobKindName(artifact.kind));
    CHECK(std::filesystem::file_size(real.Path(artifact.digest)) == artifact.bytes);
    CHECK_FALSE(artifact.at_most);
    const bool secret =
        artifact.kind == BlobKind::kGradient || artifact.kind == BlobKind::kValidation;
    CHECK(artifact.secret.empty() != secret);
    CHECK(artifact.kept_to_ms == 0);
  }
  real.log.CloseAndRefund(real.campaign);
  const uint64_t closed_ms = real.log.Campaign(real.campaign).closed_ms;
  for (const NamedArtifact& artifact : list()) {
    CHECK(artifact.secret.empty());
    CHECK(artifact.kept_to_ms == (artifact.kind == BlobKind::kUpdate ? closed_ms + 2000 : 0));
  }
  const Replay replay = Replayed(BundleOf(real.log), KeyOf(real.log));
  CHECK(ArtifactsOf(replay, real.campaign).size() == open.size());
  CHECK(ArtifactsOf(replay, real.campaign + 1).empty());
}

TEST_CASE("a bundle must continue the head that was seen") {
  SmallLog small(2, 3);
  const learning::TestFolder folder;
  const ledger::VerifierKey key = KeyOf(small.log);
  const auto write = [&](const std::string& name, const std::string& bundle) {
    std::ofstream(folder.File(name), std::ios::binary) << bundle;
    return folder.File(name);
  };
  const std::string first = write("first", BundleOf(small.log));
  SmallLog other(2, 3);
  small.log.RunRound(small.campaign, {});
  other.log.now_ms += 5;
  other.log.RunRound(other.campaign, {});
  const std::string later = write("later", BundleOf(small.log));
  const std::string fork = write("fork", BundleOf(other.log));
  const ledger::Checkpoint seen = Value(HeadOf(first, key));
  CHECK(CheckContinues(first, key, seen).ok());
  CHECK(CheckContinues(later, key, seen).ok());
  const Status rolled_back = CheckContinues(first, key, Value(HeadOf(later, key)));
  CHECK(testing::Refused(rolled_back, absl::StatusCode::kDataLoss, "rolled back"));
  CHECK(ExitCodeOf(rolled_back) == kExitFork);
  const Status forked = CheckContinues(fork, key, Value(HeadOf(later, key)));
  CHECK(testing::Refused(forked, absl::StatusCode::kDataLoss, "changed or forked"));
  CHECK(IsFork(forked));
  CHECK_FALSE(HeadOf(write("text", "hello"), key).ok());
}

}  // namespace
}  // namespace crowdteach::audit
