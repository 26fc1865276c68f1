#include "client/commands/own_state.h"

#include <fmt/format.h>

#include "proto/base/exit_codes.h"
#include "proto/base/file.h"
#include "proto/base/utc_time.h"
#include "proto/wire/invite.h"
#include "proto/wire/retry.h"

namespace crowdteach::client {
namespace {

// Fetches what is new; what cannot be had is said in `state->fresh`.
Status Refresh(const OwnOptions& options, OwnState* state) {
  if (options.offline) {
    state->fresh = absl::CancelledError("not asked: --offline");
    return OkStatus();
  }
  const StatusOr<Joined> joined = Join(options.join, v1::ROLE_UNSPECIFIED, Account::kLookOn);
  state->fresh = joined.status();
  if (joined.ok()) {
    state->fresh = joined->session->FetchReceipts();
    StatusOr<v1::ListCampaignsReply> campaigns = joined->session->ListCampaigns();
    if (state->fresh.ok()) state->fresh = campaigns.status();
    if (campaigns.ok()) state->campaigns = *std::move(campaigns);
  }
  return absl::IsDataLoss(state->fresh) ? state->fresh : OkStatus();
}

}  // namespace

void AddOwnOptions(CLI::App* command, OwnOptions* options, bool may_ask) {
  AddJoinOptions(command, &options->join);
  command->remove_option(command->get_option("--invite"));
  command->remove_option(command->get_option("--name"));
  if (may_ask) {
    command->add_flag("--offline", options->offline, "Show what the home holds; ask nobody");
  } else {
    command->remove_option(command->get_option("--server"));
  }
  command->add_option("--format", options->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

StatusOr<ledger::VerifierKey> OwnLogKey(const std::string& home) {
  const std::string path = home + "/invite.toml";
  const StatusOr<std::string> text = base::ReadFile(path, wire::kMaxInviteBytes);
  if (absl::IsNotFound(text.status())) {
    return FailedPrecondition(
        "nobody has joined with {} yet; begin with: crowdteach teach --invite FILE --data DATA",
        home);
  }
  CT_RETURN_IF_ERROR(text.status());
  CT_ASSIGN_OR_RETURN(const wire::Invite invite, wire::ParseInvite(*text, path));
  const StatusOr<ledger::VerifierKey> key = ledger::ParseVkey(invite.log_vkey);
  if (!key.ok()) return InvalidArgument("{}: log_vkey: {}", path, Message(key.status()));
  return *key;
}

int OwnState::exit_code() const {
  return fresh.ok() || absl::IsCancelled(fresh) ? kExitOk : ExitCodeOf(fresh);
}

std::string OwnState::Freshness() const {
  return fresh.ok() ? "up to date" : fmt::format("as the home has it: {}", Message(fresh));
}

StatusOr<OwnState> LoadOwnState(const OwnOptions& options) {
  CT_ASSIGN_OR_RETURN(const ledger::VerifierKey log, OwnLogKey(options.join.home));
  OwnState state;
  CT_RETURN_IF_ERROR(Refresh(options, &state));
  CT_ASSIGN_OR_RETURN(state.records, ReadRecords(options.join.home, log));
  for (const KeptReceipt& kept : state.records.receipts) {
    if (kept.fault.ok()) continue;
    return DataLoss("{}: {}; remove it and {}/fetched, and this command fetches it again",
                    kept.path, Message(kept.fault), options.join.home);
  }
  const ledger::LoggedEntry* account = state.records.Account();
  if (account != nullptr) state.account = account->entry.index();
  return state;
}

std::string ShortTime(uint64_t time_ms) {
  const std::string text = base::UtcTime(time_ms);
  const size_t point = text.find('.');
  return point == std::string::npos ? text : text.substr(0, point) + " UTC";
}

}  // namespace crowdteach::client
