// Session::Connect: where the coordinator is, and whether it is the right one.
#include <algorithm>
#include <chrono>
#include <utility>

#include "client/grpc_session.h"
#include "proto/base/exit_codes.h"
#include "proto/base/utc_time.h"
#include "proto/wire/retry.h"

namespace crowdteach::client {
namespace {

uint64_t WallMs() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  return static_cast<uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

// gRPC reports a server with another certificate as unavailable; trying again would not help.
Status ExplainCertificate(const Status& status) {
  const std::string text = Message(status);
  for (const char* sign : {"certificate verify failed", "CERTIFICATE_VERIFY_FAILED"}) {
    if (text.find(sign) == std::string::npos) continue;
    return FromPeer(PermissionDenied(
        "this is not the coordinator of the invite: its certificate is not signed by the "
        "invite's; ask the operator for a new invite. Unless this machine's clock is wrong, which "
        "says {}: then set it",
        base::UtcTime(WallMs())));
  }
  return status;
}

// Nobody is there, or somebody else by now: the coordinator may be at the next address.
bool MayBeElsewhere(const Status& failed) {
  return IsFromPeer(failed) &&
         (wire::IsTransient(failed) || absl::IsPermissionDenied(failed) ||
          absl::IsUnimplemented(failed) || absl::IsInternal(failed) || absl::IsUnknown(failed));
}

// Where to look for the coordinator, each address once.
StatusOr<std::vector<std::string>> Candidates(const Home& home, const SessionOptions& options) {
  std::vector<std::string> all;
  if (!options.server.empty()) all.push_back(options.server);
  CT_ASSIGN_OR_RETURN(const std::vector<std::string> kept, home.LoadAddresses());
  for (const bool invites : {options.invite_first, !options.invite_first}) {
    const std::vector<std::string>& next = invites ? options.addresses : kept;
    all.insert(all.end(), next.begin(), next.end());
  }
  std::vector<std::string> candidates;
  for (std::string& address : all) {
    if (std::find(candidates.begin(), candidates.end(), address) == candidates.end()) {
      candidates.push_back(std::move(address));
    }
  }
  return candidates;
}

}  // namespace

StatusOr<std::unique_ptr<Session>> Session::Connect(Home* home, const SessionOptions& options) {
  CT_ASSIGN_OR_RETURN(const ledger::VerifierKey log_key, ledger::ParseVkey(options.log_vkey));
  CT_ASSIGN_OR_RETURN(const std::vector<std::string> addresses, Candidates(*home, options));
  Status last = Unavailable("the invite names no address");
  std::string said;
  for (const std::string& address : addresses) {
    auto session = std::make_unique<GrpcSession>(home, log_key, options.ca_pem);
    last = ExplainCertificate(session->Open(address));
    if (last.ok()) {
      if (address == options.server) CT_RETURN_IF_ERROR(home->SaveServer(address));
      return StatusOr<std::unique_ptr<Session>>(std::move(session));
    }
    said += fmt::format("{}{}: {}", said.empty() ? "" : "; ", address, Message(last));
    if (!MayBeElsewhere(last)) return Annotate(last, address);
  }
  return FromPeer(Status(last.code(), said));
}

}  // namespace crowdteach::client
