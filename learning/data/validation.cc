#include "learning/data/validation.h"

namespace crowdteach::learning {

ValidationCommitment CommitmentOf(const ExamplesFile& file) {
  base::RootBuilder root;
  for (uint64_t i = 0; i < file.count(); ++i) root.Append(base::LeafHash(file.record(i)));
  return {.root = root.Root(),
          .digest = base::BlobDigest(base::BlobKind::kValidation, file.bytes()),
          .count = file.count()};
}

StatusOr<ValidationCommitment> CommitmentOf(const v1::CampaignOpen& open) {
  ValidationCommitment commitment;
  CT_ASSIGN_OR_RETURN(commitment.root, base::HashFromBytes(open.validation_root()));
  CT_ASSIGN_OR_RETURN(commitment.digest, base::HashFromBytes(open.validation_digest()));
  commitment.count = open.validation_count();
  return commitment;
}

StatusOr<ExamplesFile> MakeValidationSet(const ExamplesFile& dataset, std::string_view salts,
                                         const std::string& path, const v1::DataTerms& terms) {
  if (salts.size() != dataset.count() * kSaltBytes) {
    return InvalidArgument("{} bytes of salt for {} examples; must be {}", salts.size(),
                           dataset.count(), dataset.count() * kSaltBytes);
  }
  CT_ASSIGN_OR_RETURN(ExamplesWriter writer, ExamplesWriter::Create(path, terms));
  for (uint64_t i = 0; i < dataset.count(); ++i) {
    CT_RETURN_IF_ERROR(writer.Append(salts.substr(i * kSaltBytes, kSaltBytes), dataset.label(i),
                                     dataset.features(i)));
  }
  return std::move(writer).Finish();
}

StatusOr<ExamplesFile> VerifyValidationSet(const std::string& path,
                                           const ValidationCommitment& commitment,
                                           const v1::DataTerms& terms) {
  CT_ASSIGN_OR_RETURN(ExamplesFile file, ExamplesFile::Open(path, terms));
  const ValidationCommitment found = CommitmentOf(file);
  if (found.count != commitment.count) {
    return DataLoss(
        "{}: {} examples, but the campaign committed to {}: it is another validation set", path,
        found.count, commitment.count);
  }
  if (found.root != commitment.root) {
    return DataLoss("{}: root {}, but the campaign committed to {}: it is another validation set",
                    path, base::Hex(found.root), base::Hex(commitment.root));
  }
  if (found.digest != commitment.digest) {
    return DataLoss(
        "{}: digest {}, but the campaign committed to {}, beside a matching root: the "
        "commitment contradicts itself",
        path, base::Hex(found.digest), base::Hex(commitment.digest));
  }
  return file;
}

}  // namespace crowdteach::learning
