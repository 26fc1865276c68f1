#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <utility>

#include "ledger/audit/artifact_list.h"
#include "ledger/audit/commands.h"
#include "ledger/audit/earlier_head.h"
#include "ledger/audit/fetch_artifacts.h"
#include "ledger/audit/fetch_progress.h"
#include "ledger/audit/fetch_session.h"
#include "ledger/audit/fetch_trust.h"
#include "ledger/audit/replay.h"
#include "ledger/file_io.h"
#include "ledger/http_fetch.h"
#include "proto/wire/certificates.h"
#include "proto/wire/invite.h"

namespace crowdteach::audit {
namespace {

namespace fs = std::filesystem;

struct FetchCommandOptions {
  TrustOptions trust;
  std::string output;
  bool artifacts = false;
  std::optional<uint64_t> campaign;
  std::string name;  // empty: AccountName's
  std::string timeout = "10m";
  uint64_t max_bytes = uint64_t{1} << 34;
};

std::string DefaultHome() {
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "." : home) + "/.crowdteach-audit";
}

// One run of the command.
class Fetching {
 public:
  Fetching(const FetchCommandOptions& options, Trust trust)
      : options_(options), trust_(std::move(trust)) {}

  StatusOr<int> Run() {
    CT_ASSIGN_OR_RETURN(timeout_ms_, cli::ParseDuration(options_.timeout));
    CT_RETURN_IF_ERROR(FindOutput());
    CT_ASSIGN_OR_RETURN(const uint64_t bytes, FetchBundle());
    if (!trust_.key) {
      CT_RETURN_IF_ERROR(Publish());
      fmt::print(
          "{}: {} bytes, not verified: run crowdteach-audit verify with --key before you trust "
          "it\n",
          bundle_, bytes);
      return kExitOk;
    }
    CT_ASSIGN_OR_RETURN(const Replay replay, VerifyBundle());
    CT_RETURN_IF_ERROR(CheckEarlierHeads(replay));
    CT_RETURN_IF_ERROR(Publish());
    if (trust_.home) CT_RETURN_IF_ERROR(SaveHead(*trust_.home, replay.verdict.note));
    fmt::print("{}: {} bytes, verified: {} entries\n", bundle_, bytes, replay.verdict.entries);
    return options_.artifacts ? FetchTheArtifacts(replay) : kExitOk;
  }

 private:
  // With artifacts, or where there is a folder: ‹output›/log.bundle; else the file itself.
  Status FindOutput() {
    std::error_code error;
    bundle_ = options_.output;
    if (options_.artifacts || fs::is_directory(options_.output, error)) {
      fs::create_directories(options_.output, error);
      if (error) return ErrnoStatus(error.value(), options_.output);
      bundle_ = (fs::path(options_.output) / "log.bundle").string();
    }
    temporary_ = bundle_ + ".tmp";
    return OkStatus();
  }

  // From the first address that answers; it is the one for the artifacts, too.
  StatusOr<uint64_t> FetchBundle() {
    Status last;
    for (const std::string& text : trust_.addresses) {
      ledger::HttpsClient::Options where;
      CT_ASSIGN_OR_RETURN(where.address, ledger::ParseAddress(text));
      if (trust_.invite) {
        where.ca_pem = trust_.invite->ca_pem;
        where.server_name = wire::kServerName;
      }
      auto client = ledger::HttpsClient::Make(where);
      last = client.status();
      if (!client.ok()) continue;
      client_ = *std::move(client);
      StatusOr<uint64_t> bytes = FetchBundleOnce();
      if (bytes.ok() || !absl::IsUnavailable(bytes.status())) return bytes;
      last = bytes.status();
    }
    return last;
  }

  StatusOr<uint64_t> FetchBundleOnce() {
    FetchProgress progress("bundle", 0, 0);
    uint64_t bytes = 0;
    ledger::HttpRequest request;
    request.path = "/bundle";
    request.max_bytes = options_.max_bytes;
    request.timeout_ms = timeout_ms_;
    return ledger::FetchToFile(client_.get(), request, temporary_, [&](size_t more) {
      bytes += more;
      progress.Show(0, bytes);
    });
  }

  StatusOr<Replay> VerifyBundle() const {
    CT_ASSIGN_OR_RETURN(const ledger::ByteSource source, ledger::FileSource(temporary_));
    CT_ASSIGN_OR_RETURN(Replay replay, ReplayBundle(source, *trust_.key));
    const auto& fault = replay.verdict.fault;
    if (!fault) return replay;
    return DataLoss("what {} sent does not verify (kept as {}): {}{}{}: {}",
                    client_->url("/bundle"), temporary_, fault->region,
                    fault->part.empty() ? "" : " ", fault->part, fault->reason);
  }

  // The head that the home remembers, and that of the bundle which is about to be replaced.
  Status CheckEarlierHeads(const Replay& replay) const {
    std::vector<std::pair<std::string, ledger::Checkpoint>> earlier;
    if (trust_.home) {
      CT_ASSIGN_OR_RETURN(const std::string note, LoadHead(*trust_.home));
      const std::string file = trust_.home->path() + "/head";
      if (!note.empty()) {
        StatusOr<ledger::Checkpoint> head = ledger::OpenCheckpoint(note, *trust_.key);
        if (!head.ok()) {
          return FailedPrecondition("{} is of another log ({}); use another --home for this one",
                                    file, Message(head.status()));
        }
        earlier.emplace_back(file, *std::move(head));
      }
    }
    if (fs::exists(bundle_)) {
      StatusOr<ledger::Checkpoint> head = HeadOf(bundle_, *trust_.key);
      if (!head.ok()) {
        return FailedPrecondition("{} is there and is no bundle of this log; move it away ({})",
                                  bundle_, Message(head.status()));
      }
      earlier.emplace_back(bundle_, *std::move(head));
    }
    for (const auto& [file, head] : earlier) {
      if (head == replay.verdict.checkpoint) continue;
      const Status continues = CheckContinues(temporary_, *trust_.key, head);
      CT_RETURN_IF_ERROR(
          Annotate(continues,
                   fmt::format("stop, keep {} and {} (two heads signed by the log's key) and show "
                               "them to others",
                               file, temporary_)));
    }
    return OkStatus();
  }

  Status Publish() const {
    if (std::rename(temporary_.c_str(), bundle_.c_str()) != 0) return ErrnoStatus(errno, bundle_);
    return ledger::SyncParentOf(bundle_);
  }

  // A coordinator gives each name once, so one that nobody chose says whose key it is.
  std::string AccountName() const {
    if (!options_.name.empty()) return options_.name;
    return "auditor-" + base::Hex(trust_.home->key().public_key()).substr(0, 4);
  }

  // Empty: there is no account to ask with, only what all may read.
  StatusOr<std::optional<FetchSession>> OpenSession(const Replay& replay) {
    if (!trust_.invite) return std::optional<FetchSession>();
    const wire::Invite& invite = *trust_.invite;
    FetchSession::Parties parties{
        client_.get(), &*trust_.home, *trust_.key, replay.state.genesis_hash(), {}};
    CT_ASSIGN_OR_RETURN(parties.ca_digest, wire::CaDigest(invite.ca_pem));
    std::optional<AccountOffer> offer;
    if (invite.role == v1::AUDITOR) {
      offer = AccountOffer{invite.token_seed, invite.index, AccountName()};
    }
    std::optional<FetchSession> session;
    session.emplace(parties, std::move(offer));
    const Status opened = session->Open();
    if (absl::IsNotFound(opened)) {
      return FailedPrecondition(
          "{} has no account, and an invite for the role {} is not used up here: ask the operator "
          "for one with --role auditor, or leave --invite and --home out for what all may read",
          trust_.home->path(), wire::RoleName(invite.role));
    }
    CT_RETURN_IF_ERROR(opened);
    CT_RETURN_IF_ERROR(KeepInvite(trust_));
    if (session->opened_entry() > 0) {
      CT_RETURN_IF_ERROR(SaveReceipt(*trust_.home, session->opened_entry(), session->receipt()));
      fmt::print("opened account {} ({}) with the key in {}\n", session->account(), AccountName(),
                 trust_.home->path());
    }
    return session;
  }

  StatusOr<int> FetchTheArtifacts(const Replay& replay) {
    CT_ASSIGN_OR_RETURN(std::optional<FetchSession> session, OpenSession(replay));
    if (options_.campaign && replay.state.FindCampaign(*options_.campaign) == nullptr) {
      return InvalidArgument("this log has no campaign {}", *options_.campaign);
    }
    const std::vector<NamedArtifact> wanted = ArtifactsOf(replay, options_.campaign);
    uint64_t total_bytes = 0;
    for (const NamedArtifact& artifact : wanted) total_bytes += artifact.bytes;
    FetchProgress progress("artifacts", wanted.size(), total_bytes);
    ArtifactOptions how;
    how.client = client_.get();
    how.max_bytes = options_.max_bytes;
    how.timeout_ms = timeout_ms_;
    using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
    how.now_ms = static_cast<uint64_t>(
        duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
    how.progress = [&](uint64_t files, uint64_t bytes) { progress.Show(files, bytes); };
    if (session) {
      how.token = session->token();
      how.renew = [&]() -> StatusOr<std::string> {
        CT_RETURN_IF_ERROR(session->Open());
        return session->token();
      };
    }
    const std::string folder = (fs::path(options_.output) / "artifacts").string();
    CT_ASSIGN_OR_RETURN(const FetchedArtifacts fetched,
                        FetchArtifacts(wanted, folder, std::move(how)));
    progress.End();
    return Tell(fetched, folder);
  }

  // What is here, and what is not, by reason.
  int Tell(const FetchedArtifacts& fetched, const std::string& folder) const {
    fmt::print("{}: {} artifacts fetched ({}), {} were here\n", folder, fetched.fetched,
               BytesInWords(fetched.bytes), fetched.present);
    std::map<std::string, uint64_t> reasons;
    bool missing = false;
    for (const LeftArtifact& left : fetched.left) {
      missing = missing || left.missing;
      reasons[fmt::format("{}{}, campaign {}: {}", left.missing ? "MISSING: " : "",
                          base::BlobKindName(left.artifact.kind), left.artifact.campaign,
                          left.why)]++;
    }
    if (!reasons.empty()) fmt::print("not to be had\n");
    for (const auto& [reason, count] : reasons) fmt::print("  {:>5}  {}\n", count, reason);
    std::string key = options_.trust.key;
    if (key.empty()) key = options_.trust.invite_path;
    if (key.empty()) key = trust_.home->path() + "/invite.toml";
    fmt::print("next: crowdteach-audit verify {} --key {}\n", options_.output, key);
    return missing ? kExitIncomplete : kExitOk;
  }

  const FetchCommandOptions& options_;
  Trust trust_;
  uint64_t timeout_ms_ = 0;
  std::string bundle_;
  std::string temporary_;
  std::unique_ptr<ledger::HttpsClient> client_;
};

StatusOr<int> RunFetch(FetchCommandOptions options) {
  // An account is needed for artifacts only; a home is opened for it, or when one is named.
  const bool with_account =
      options.artifacts && (!options.trust.invite_path.empty() || options.trust.key.empty());
  if (with_account && options.trust.home.empty()) options.trust.home = DefaultHome();
  CT_ASSIGN_OR_RETURN(Trust trust, FindTrust(options.trust));
  if (options.artifacts && !trust.key) {
    CT_RETURN_IF_ERROR(PinnedKey("").status());  // says why it is needed
  }
  return Fetching(options, std::move(trust)).Run();
}

}  // namespace

void AddFetch(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<FetchCommandOptions>();
  CLI::App* command = app.add_subcommand(
      "fetch", "Gets the bundle of a running coordinator, and the artifacts you may read");
  command
      ->add_option("address", options->trust.address,
                   "The coordinator's HTTPS port (default: the invite's)")
      ->type_name("HOST:PORT|URL");
  command
      ->add_option("-o,--output", options->output,
                   "File to write; with --artifacts, or if it is there: a folder")
      ->required()
      ->type_name("FILE|DIR");
  command
      ->add_option("--invite", options->trust.invite_path,
                   "Invite file: whom to ask, its certificate, the log's key")
      ->type_name("FILE");
  AddKeyOption(command, options->trust.key);
  command->add_flag("--artifacts", options->artifacts,
                    "Also models, updates, gradients and validation sets, as the terms let you");
  command->add_option("--campaign", options->campaign, "Only artifacts of this campaign");
  command
      ->add_option("--home", options->trust.home,
                   "Folder of your key (default, with --artifacts: ~/.crowdteach-audit). An "
                   "auditor's invite opens an account for it; crowdteach join makes such a folder, "
                   "too")
      ->type_name("DIR");
  command
      ->add_option("--name", options->name,
                   "What a new account is called (default: auditor, and part of your key)")
      ->capture_default_str();
  command->add_option("--timeout", options->timeout, "For each file: 30s, 10m")
      ->capture_default_str()
      ->check(cli::CheckDuration);
  command->add_option("--max-bytes", options->max_bytes, "Longer files are refused")
      ->capture_default_str();
  cli::SetExamples(
      command,
      "  crowdteach-audit fetch --invite auditor.invite -o evidence --artifacts\n"
      "  crowdteach-audit fetch -o evidence --artifacts       (later: goes on, gets what is new)\n"
      "  crowdteach-audit fetch teach.example.org:7701 -o log.bundle --key log.vkey\n"
      "The log's key proves the bundle, wherever it came from; with an invite the connection is "
      "verified\nas well. A bundle that is there already, and the head your home remembers, must "
      "be "
      "continued by the\nnew one (else exit code 8). The coordinator records who fetches what.\n");
  command->callback([options, &action] { action = [options] { return RunFetch(*options); }; });
}

}  // namespace crowdteach::audit
