#include "ledger/audit/replay.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "learning/score/rational.h"
#include "ledger/signatures_ahead.h"
#include "proto/base/file.h"
#include "proto/base/wide.h"

namespace crowdteach::audit {
namespace {

constexpr size_t kMaxKeyFileBytes = size_t{64} << 10;  // an invite, at most

std::string Trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.pop_back();
  }
  return text;
}

// The key in a file's text: by itself, or as an invite has it.
std::string KeyIn(std::string text) {
  constexpr std::string_view kInviteKey = "\nlog_vkey = \"";
  const size_t at = text.find(kInviteKey);
  if (at == std::string::npos) return Trimmed(std::move(text));
  const size_t begin = at + kInviteKey.size();
  return text.substr(begin, text.find('"', begin) - begin);
}

}  // namespace

Status CheckScores(const v1::Score& score, const v1::Terms& terms) {
  if (score.path_nodes() == 0) return OkStatus();
  std::vector<learning::TeacherProducts> teachers;
  learning::RoundScale scale;
  scale.scale_bits = terms.scale_bits();
  scale.gradient_bits = score.gradient_bits();
  scale.value_q32 =
      static_cast<int64_t>(score.loss_before_q32()) - static_cast<int64_t>(score.loss_after_q32());
  for (const v1::ScoreLine& line : score.lines()) {
    learning::TeacherProducts& teacher = teachers.emplace_back();
    teacher.account = line.account();
    CT_ASSIGN_OR_RETURN(teacher.update_digest, base::HashFromBytes(line.update_digest()));
    CT_ASSIGN_OR_RETURN(teacher.d, base::DecodeWide(line.d()));
    CT_ASSIGN_OR_RETURN(teacher.e, base::DecodeWide(line.e()));
    scale.total_weight += line.weight();
  }
  const StatusOr<std::vector<int64_t>> scores = learning::FinishScores(teachers, scale);
  if (!scores.ok()) {
    return FailedPrecondition("no scores follow from the recorded D and E: {}",
                              Message(scores.status()));
  }
  for (int i = 0; i < score.lines_size(); ++i) {
    const int64_t expected = (*scores)[static_cast<size_t>(i)];
    if (score.lines(i).phi_q32() == expected) continue;
    return FailedPrecondition(
        "the score of account {} is {}·2^-32 nat; from the recorded D and E follows {}·2^-32",
        score.lines(i).account(), score.lines(i).phi_q32(), expected);
  }
  return OkStatus();
}

StatusOr<Replay> ReplayBundle(const ledger::ByteSource& source, const ledger::VerifierKey& log) {
  Replay replay;
  ledger::SignaturesAhead signatures(std::max(1U, std::thread::hardware_concurrency()));
  const auto ahead = [&](std::span<const ledger::LoggedEntry* const> entries) {
    signatures.Check(entries);
  };
  const auto visit = [&](const ledger::LoggedEntry& entry) -> Status {
    const std::optional<ledger::CheckedSignature> checked = signatures.Take(entry);
    CT_RETURN_IF_ERROR(replay.state.Apply(entry, checked ? &*checked : nullptr));
    const v1::Intent& intent = entry.intent;
    if (intent.has_genesis_body() && intent.genesis_body().log_vkey() != FormatVkey(log)) {
      return FailedPrecondition("this is another log: its key is {}, the pinned one is {}",
                                intent.genesis_body().log_vkey(), FormatVkey(log));
    }
    if (intent.has_score()) {
      const v1::Score& score = intent.score();
      CT_RETURN_IF_ERROR(
          CheckScores(score, replay.state.FindCampaign(score.campaign())->open.terms()));
      replay.passes++;
      replay.scores += static_cast<uint64_t>(score.lines_size());
    }
    replay.postings += static_cast<uint64_t>(entry.entry.postings_size());
    replay.history.Add(entry, replay.state);
    return OkStatus();
  };
  CT_ASSIGN_OR_RETURN(replay.verdict, ledger::VerifyBundle(source, log, visit, ahead));
  return replay;
}

StatusOr<Evidence> FindEvidence(const std::string& path, const std::string& artifacts) {
  namespace fs = std::filesystem;
  std::error_code error;
  Evidence evidence{path, artifacts};
  if (fs::is_directory(path, error)) {
    evidence.bundle_path = (fs::path(path) / "log.bundle").string();
    const std::string folder = (fs::path(path) / "artifacts").string();
    if (artifacts.empty() && fs::is_directory(folder, error)) evidence.artifacts_path = folder;
  }
  if (!fs::exists(evidence.bundle_path, error)) {
    if (error) return ErrnoStatus(error.value(), evidence.bundle_path);
    return NotFound("{}: there is no such file; give a bundle, or the folder of an export",
                    evidence.bundle_path);
  }
  if (!artifacts.empty() && !fs::is_directory(artifacts, error)) {
    return NotFound("{}: there is no such folder of artifacts", artifacts);
  }
  return evidence;
}

StatusOr<ledger::VerifierKey> PinnedKey(const std::string& key) {
  if (key.empty()) {
    return InvalidArgument(
        "--key is missing: a bundle proves nothing unless the log's verifier key comes from "
        "somewhere you trust (your invite, or log.vkey of a coordinator you know), never from the "
        "bundle or the server that is to be checked");
  }
  StatusOr<ledger::VerifierKey> parsed = ledger::ParseVkey(key);
  std::error_code error;
  if (parsed.ok() || !std::filesystem::exists(key, error)) {
    return parsed.ok() ? std::move(parsed)
                       : InvalidArgument("--key {}: neither a file nor a verifier key: {}", key,
                                         Message(parsed.status()));
  }
  StatusOr<std::string> text = base::ReadFile(key, kMaxKeyFileBytes);
  if (!text.ok()) {
    return Annotate(
        text.status(),
        "--key must be the log's verifier key, or a file that holds it, as your invite does");
  }
  StatusOr<ledger::VerifierKey> from_file = ledger::ParseVkey(KeyIn(*std::move(text)));
  if (from_file.ok()) return from_file;
  return Annotate(from_file.status(),
                  fmt::format("--key {} holds no verifier key (of an invite, the value of its "
                              "log_vkey line is meant)",
                              key));
}

}  // namespace crowdteach::audit
