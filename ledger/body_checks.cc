#include "ledger/body_checks.h"

#include <google/protobuf/repeated_field.h>

#include <algorithm>

namespace crowdteach::ledger {
namespace {

constexpr size_t kDigest = 32;
constexpr size_t kKey = 32;
constexpr size_t kSignature = 64;
constexpr size_t kWideBytes = 16;  // every wide integer of the rules fits 128 bits
constexpr size_t kNameBytes = 40;
constexpr size_t kCampaignNameBytes = 80;
constexpr size_t kReferenceBytes = 200;
constexpr size_t kOriginBytes = 255;

Status CheckPresent(std::string_view field, uint64_t number) {
  return number != 0 ? OkStatus() : InvalidArgument("{} is absent", field);
}

// Shown on terminals and inside signed notes: nothing that could play tricks there.
Status CheckPrintable(std::string_view field, std::string_view text, size_t min, size_t max) {
  if (text.size() < min || text.size() > max) {
    return InvalidArgument("{} has {} bytes, expected {} to {}", field, text.size(), min, max);
  }
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; })) {
    return InvalidArgument("{} is not printable ASCII", field);
  }
  return OkStatus();
}

// Minimal two's-complement big-endian, empty = 0.
Status CheckWide(std::string_view field, std::string_view bytes) {
  if (bytes.size() > kWideBytes) {
    return InvalidArgument("{} has {} bytes, at most {} are allowed", field, bytes.size(),
                           kWideBytes);
  }
  const auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const bool zero = bytes.size() == 1 && at(0) == 0;
  const bool padded =
      bytes.size() > 1 && ((at(0) == 0x00 && at(1) < 0x80) || (at(0) == 0xff && at(1) >= 0x80));
  if (zero || padded) return InvalidArgument("{} is not in its shortest form", field);
  return OkStatus();
}

Status CheckAccounts(std::string_view field,
                     const google::protobuf::RepeatedField<uint64_t>& accounts) {
  if (std::adjacent_find(accounts.begin(), accounts.end(), std::greater_equal<>()) !=
      accounts.end()) {
    return InvalidArgument("{} is not in ascending account order", field);
  }
  return OkStatus();
}

template <typename Line>
Status CheckLine(const Line& line) {
  CT_RETURN_IF_ERROR(CheckPresent("lines.account", line.account()));
  CT_RETURN_IF_ERROR(CheckPresent("lines.weight", line.weight()));
  return CheckBytes("lines.update_digest", line.update_digest(), kDigest);
}

template <typename Lines>
Status CheckLines(const Lines& lines) {
  if (lines.empty() || lines.size() > kMaxTeachersPerPart) {
    return InvalidArgument("{} lines, expected 1 to {}", lines.size(), kMaxTeachersPerPart);
  }
  uint64_t last = 0;
  for (const auto& line : lines) {
    CT_RETURN_IF_ERROR(CheckLine(line));
    if (line.account() <= last) return InvalidArgument("lines are not in ascending account order");
    last = line.account();
  }
  return OkStatus();
}

template <typename Body>
Status CheckRound(const Body& body) {
  CT_RETURN_IF_ERROR(CheckPresent("campaign", body.campaign()));
  return CheckPresent("round", body.round());
}

template <typename Body>
Status CheckPart(const Body& body) {
  if (body.part() < body.parts()) return OkStatus();
  return InvalidArgument("part {} of {}", body.part(), body.parts());
}

Status Check(const v1::Genesis& body) {
  CT_RETURN_IF_ERROR(CheckPrintable("origin", body.origin(), 1, kOriginBytes));
  CT_RETURN_IF_ERROR(CheckPrintable("log_vkey", body.log_vkey(), 1, 2 * kOriginBytes));
  CT_RETURN_IF_ERROR(CheckBytes("operator_key", body.operator_key(), kKey));
  CT_RETURN_IF_ERROR(CheckBytes("issuer_key", body.issuer_key(), kKey));
  return CheckPrintable("asset", body.asset(), 1, kNameBytes);
}

Status Check(const v1::AccountOpen& body) {
  CT_RETURN_IF_ERROR(CheckBytes("key", body.key(), kKey));
  CT_RETURN_IF_ERROR(
      CheckBytes("token_signature", body.token_signature(), body.invite() == 0 ? 0 : kSignature));
  return CheckPrintable("name", body.name(), 1, kNameBytes);
}

Status Check(const v1::Invite& body) {
  CT_RETURN_IF_ERROR(CheckBytes("token_key", body.token_key(), kKey));
  if (body.role() != v1::TEACHER && body.role() != v1::OWNER && body.role() != v1::AUDITOR) {
    return InvalidArgument("role {}: an invite is for TEACHER, OWNER or AUDITOR",
                           v1::Role_Name(body.role()));
  }
  CT_RETURN_IF_ERROR(CheckPresent("uses", body.uses()));
  return CheckPresent("expires_ms", body.expires_ms());
}

Status Check(const v1::Enrol& body) {
  CT_RETURN_IF_ERROR(CheckPresent("campaign", body.campaign()));
  return CheckPresent("examples", body.examples());
}

Status Check(const v1::Issue& body) {
  CT_RETURN_IF_ERROR(CheckPresent("amount", body.amount()));
  return CheckPrintable("reference", body.reference(), 0, kReferenceBytes);
}

// Ranges and sums of the terms are the state's to check: they need the rules.
Status CheckTerms(const v1::Terms& terms) {
  CT_RETURN_IF_ERROR(CheckPrintable("terms.name", terms.name(), 1, kCampaignNameBytes));
  CT_RETURN_IF_ERROR(CheckPresent("terms.model_toml", terms.model_toml().size()));
  if (!terms.has_data()) return InvalidArgument("terms.data is absent");
  if (!terms.has_local()) return InvalidArgument("terms.local is absent");
  CT_RETURN_IF_ERROR(CheckPresent("terms.data.feature_type", terms.data().feature_type()));
  CT_RETURN_IF_ERROR(CheckPresent("terms.local.optimizer", terms.local().optimizer()));
  CT_RETURN_IF_ERROR(CheckPresent("terms.weighting", terms.weighting()));
  CT_RETURN_IF_ERROR(CheckPresent("terms.norm_rule", terms.norm_rule()));
  CT_RETURN_IF_ERROR(CheckPresent("terms.scorer", terms.scorer()));
  CT_RETURN_IF_ERROR(CheckPresent("terms.reward", terms.reward()));
  CT_RETURN_IF_ERROR(CheckPresent("terms.update_readers", terms.update_readers()));
  return CheckPresent("terms.validation_readers", terms.validation_readers());
}

Status Check(const v1::CampaignOpen& body) {
  if (!body.has_terms()) return InvalidArgument("terms is absent");
  CT_RETURN_IF_ERROR(CheckTerms(body.terms()));
  CT_RETURN_IF_ERROR(CheckBytes("model_digest", body.model_digest(), kDigest));
  CT_RETURN_IF_ERROR(CheckPresent("model_size_bytes", body.model_size_bytes()));
  CT_RETURN_IF_ERROR(CheckPresent("parameters", body.parameters()));
  CT_RETURN_IF_ERROR(CheckBytes("validation_root", body.validation_root(), kDigest));
  CT_RETURN_IF_ERROR(CheckPresent("validation_count", body.validation_count()));
  return CheckBytes("validation_digest", body.validation_digest(), kDigest);
}

Status Check(const v1::CampaignClose& body) {
  CT_RETURN_IF_ERROR(CheckPresent("campaign", body.campaign()));
  const bool forced = body.validation_digest().empty();
  return CheckBytes("validation_digest", body.validation_digest(), forced ? 0 : kDigest);
}

Status Check(const v1::Release& body) {
  CT_RETURN_IF_ERROR(CheckPresent("campaign", body.campaign()));
  return CheckPart(body);
}

Status Check(const v1::Refund& body) { return CheckPresent("campaign", body.campaign()); }

Status Check(const v1::RoundOpen& body) {
  CT_RETURN_IF_ERROR(CheckRound(body));
  CT_RETURN_IF_ERROR(CheckBytes("base_digest", body.base_digest(), kDigest));
  CT_RETURN_IF_ERROR(CheckBytes("seed", body.seed(), kDigest));
  CT_RETURN_IF_ERROR(CheckAccounts("candidates", body.candidates()));
  CT_RETURN_IF_ERROR(CheckAccounts("selected", body.selected()));
  if (body.selected().empty() || body.selected_size() > kMaxTeachersPerPart) {
    return InvalidArgument("{} selected, expected 1 to {}", body.selected_size(),
                           kMaxTeachersPerPart);
  }
  if (body.weights_size() != body.selected_size()) {
    return InvalidArgument("{} weights for {} selected", body.weights_size(), body.selected_size());
  }
  return OkStatus();
}

Status Check(const v1::UpdateCommit& body) {
  CT_RETURN_IF_ERROR(CheckRound(body));
  return CheckBytes("commitment", body.commitment(), kDigest);
}

Status Check(const v1::RoundCommitClose& body) { return CheckRound(body); }

Status Check(const v1::UpdateReveal& body) {
  CT_RETURN_IF_ERROR(CheckRound(body));
  CT_RETURN_IF_ERROR(CheckBytes("update_digest", body.update_digest(), kDigest));
  return CheckBytes("salt", body.salt(), kDigest);
}

Status Check(const v1::UpdateReject& body) {
  CT_RETURN_IF_ERROR(CheckRound(body));
  CT_RETURN_IF_ERROR(CheckPresent("account", body.account()));
  return CheckPresent("reason", body.reason());
}

Status Check(const v1::Aggregate& body) {
  CT_RETURN_IF_ERROR(CheckRound(body));
  CT_RETURN_IF_ERROR(CheckPresent("pass", body.pass()));
  CT_RETURN_IF_ERROR(CheckBytes("model_digest", body.model_digest(), kDigest));
  for (const v1::AggregateLine& line : body.lines()) {
    CT_RETURN_IF_ERROR(CheckWide("lines.norm_squared", line.norm_squared()));
    if (!line.norm_squared().empty() && (line.norm_squared()[0] & 0x80) != 0) {
      return InvalidArgument("lines.norm_squared is negative");
    }
  }
  return CheckLines(body.lines());
}

Status Check(const v1::Score& body) {
  CT_RETURN_IF_ERROR(CheckRound(body));
  CT_RETURN_IF_ERROR(CheckPresent("pass", body.pass()));
  CT_RETURN_IF_ERROR(CheckPresent("scorer", body.scorer()));
  const bool void_step = body.gradient_digest().empty();
  CT_RETURN_IF_ERROR(
      CheckBytes("gradient_digest", body.gradient_digest(), void_step ? 0 : kDigest));
  for (const v1::ScoreLine& line : body.lines()) {
    CT_RETURN_IF_ERROR(CheckWide("lines.d", line.d()));
    CT_RETURN_IF_ERROR(CheckWide("lines.e", line.e()));
  }
  return CheckLines(body.lines());
}

Status Check(const v1::Settle& body) {
  CT_RETURN_IF_ERROR(CheckRound(body));
  CT_RETURN_IF_ERROR(CheckPresent("pass", body.pass()));
  return CheckPart(body);
}

Status Check(const v1::RoundAbort& body) {
  CT_RETURN_IF_ERROR(CheckRound(body));
  return CheckPresent("reason", body.reason());
}

}  // namespace

Status CheckBytes(std::string_view field, std::string_view bytes, size_t size) {
  if (bytes.size() == size) return OkStatus();
  if (size == 0) return InvalidArgument("{} has {} bytes, must be absent", field, bytes.size());
  return InvalidArgument("{} has {} bytes, not {}", field, bytes.size(), size);
}

Status CheckBody(const v1::Intent& intent) {
  switch (intent.body_case()) {
    case v1::Intent::kGenesisBody:
      return Check(intent.genesis_body());
    case v1::Intent::kAccountOpen:
      return Check(intent.account_open());
    case v1::Intent::kInvite:
      return Check(intent.invite());
    case v1::Intent::kEnrol:
      return Check(intent.enrol());
    case v1::Intent::kIssue:
      return Check(intent.issue());
    case v1::Intent::kCampaignOpen:
      return Check(intent.campaign_open());
    case v1::Intent::kCampaignClose:
      return Check(intent.campaign_close());
    case v1::Intent::kRelease:
      return Check(intent.release());
    case v1::Intent::kRefund:
      return Check(intent.refund());
    case v1::Intent::kRoundOpen:
      return Check(intent.round_open());
    case v1::Intent::kUpdateCommit:
      return Check(intent.update_commit());
    case v1::Intent::kRoundCommitClose:
      return Check(intent.round_commit_close());
    case v1::Intent::kUpdateReveal:
      return Check(intent.update_reveal());
    case v1::Intent::kUpdateReject:
      return Check(intent.update_reject());
    case v1::Intent::kAggregate:
      return Check(intent.aggregate());
    case v1::Intent::kScore:
      return Check(intent.score());
    case v1::Intent::kSettle:
      return Check(intent.settle());
    case v1::Intent::kRoundAbort:
      return Check(intent.round_abort());
    case v1::Intent::BODY_NOT_SET:
      break;
  }
  return InvalidArgument("an intent without a body");
}

}  // namespace crowdteach::ledger
