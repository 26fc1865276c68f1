#include "client/joining.h"

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "proto/base/bytes.h"
#include "proto/base/exit_codes.h"
#include "proto/base/file.h"
#include "proto/wire/certificates.h"
#include "proto/wire/invite.h"

namespace crowdteach::client {
namespace {

constexpr size_t kMaxDefaultName = 32;

struct FoundInvite {
  std::string text;
  wire::Invite invite;
  bool is_new = false;  // not the one kept in the home
};

StatusOr<FoundInvite> FindInvite(const JoinOptions& options, const Home& home) {
  FoundInvite found;
  const bool kept = options.invite_path.empty();
  const std::string path = kept ? home.path() + "/invite.toml" : options.invite_path;
  StatusOr<std::string> text = base::ReadFile(path, wire::kMaxInviteBytes);
  if (kept && absl::IsNotFound(text.status())) {
    return InvalidArgument(
        "{} knows no coordinator yet; pass --invite FILE, which the operator "
        "makes with: crowdteachd invite",
        options.home);
  }
  CT_RETURN_IF_ERROR(text.status());
  found.text = *std::move(text);
  found.is_new = !kept && found.text != home.LoadInvite().value_or("");
  CT_ASSIGN_OR_RETURN(found.invite, wire::ParseInvite(found.text, path));
  const Status ca = wire::CaDigest(found.invite.ca_pem).status();
  if (!ca.ok()) return InvalidArgument("{}: ca: {}; get the invite again", path, Message(ca));
  return found;
}

Status CheckRole(const JoinOptions& options, v1::Role wanted, v1::Role role) {
  if (wanted == v1::ROLE_UNSPECIFIED || wanted == role) return OkStatus();
  return FailedPrecondition(
      "this is for the role {}, and {} has the role {}; ask the operator for such an invite and "
      "use "
      "it with another --home",
      wire::RoleName(wanted),
      options.invite_path.empty() ? options.home : fmt::format("{} or its invite", options.home),
      wire::RoleName(role));
}

Status NoAccount(const JoinOptions& options) {
  return FailedPrecondition("{} has no account yet; open one with: crowdteach join", options.home);
}

// With the name asked for. Where none was, two users of one name are told apart by their keys.
Status Register(const JoinOptions& options, const wire::Invite& invite, const Home& home,
                Session* session) {
  CT_ASSIGN_OR_RETURN(const auto token, ledger::SigningKey::FromSeed(invite.token_seed));
  if (!options.name.empty()) return session->Register(token, invite.index, options.name);
  const Status refused = session->Register(token, invite.index, DefaultName());
  if (!absl::IsFailedPrecondition(refused) || !IsFromPeer(refused)) return refused;
  const std::string key = base::Hex(home.key().public_key()).substr(0, 4);
  return session->Register(token, invite.index, fmt::format("{}-{}", DefaultName(), key));
}

}  // namespace

std::string JoinOptions::DefaultHome() {
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "." : home) + "/.crowdteach";
}

std::string DefaultName() {
  const char* user = std::getenv("USER");
  std::string name;
  // As the ledger takes names, with room for what Register may add.
  for (const char c : std::string_view(user == nullptr ? "" : user)) {
    const bool inner_space = c == ' ' && !name.empty();
    if ((inner_space || (c > ' ' && c < 0x7f)) && name.size() < kMaxDefaultName) name += c;
  }
  while (!name.empty() && name.back() == ' ') name.pop_back();
  const bool number = name.find_first_not_of("0123456789") == std::string::npos;
  return number ? "anonymous" : name;
}

StatusOr<Joined> Join(const JoinOptions& options, v1::Role role, Account account) {
  Joined joined;
  if (!options.server.empty()) CT_RETURN_IF_ERROR(wire::CheckPublicAddress(options.server));
  StatusOr<std::unique_ptr<Home>> home =
      account == Account::kLookOn ? Home::Look(options.home) : Home::Open(options.home);
  if (account == Account::kLookOn && absl::IsNotFound(home.status())) return NoAccount(options);
  CT_ASSIGN_OR_RETURN(joined.home, std::move(home));
  CT_ASSIGN_OR_RETURN(const FoundInvite found, FindInvite(options, *joined.home));
  const wire::Invite& invite = found.invite;
  joined.session_options = {options.server, invite.addresses, invite.ca_pem, invite.log_vkey};
  // What the home knows is of its own invite, older than a new one.
  joined.session_options.invite_first = found.is_new;
  CT_ASSIGN_OR_RETURN(joined.session, Session::Connect(joined.home.get(), joined.session_options));
  Session* const session = joined.session.get();
  if (account == Account::kNotNeeded) {
    CT_RETURN_IF_ERROR(
        CheckRole(options, role, session->account() == 0 ? invite.role : session->role()));
    return joined;
  }
  if (session->account() == 0) {
    if (account == Account::kMustExist || account == Account::kLookOn) {
      return NoAccount(options);
    }
    // Before the invite is used up for something else.
    CT_RETURN_IF_ERROR(CheckRole(options, role, invite.role));
    CT_RETURN_IF_ERROR(Register(options, invite, *joined.home, session));
  }
  // Only now: an invite that is no good must not replace one that is.
  if (found.is_new) {
    CT_RETURN_IF_ERROR(joined.home->SaveInvite(found.text));
    CT_RETURN_IF_ERROR(joined.home->SaveServer(options.server));  // an older one is out of date
  }
  CT_RETURN_IF_ERROR(CheckRole(options, role, session->role()));
  return joined;
}

}  // namespace crowdteach::client
