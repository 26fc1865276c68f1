// issue, invite, export, status: each one call to the coordinator running in --home.
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "proto/base/file.h"
#include "proto/wire/invite.h"
#include "server/commands/commands.h"
#include "server/rpc/admin_client.h"

namespace crowdteach::server {
namespace {

void AddHome(CLI::App* command, std::string& home) {
  command->add_option("--home", home, "Home directory of the running coordinator")
      ->required()
      ->type_name("DIR");
}

struct IssueOptions {
  std::string home;
  std::string to;
  uint64_t amount = 0;
  std::string reference;
};

StatusOr<int> Issue(const IssueOptions& options) {
  CT_ASSIGN_OR_RETURN(const AdminClient admin, AdminClient::Of(options.home));
  v1::IssueCreditsRequest request;
  request.set_to(options.to);
  request.set_amount(options.amount);
  request.set_reference(options.reference);
  CT_ASSIGN_OR_RETURN(const v1::IssueCreditsReply reply, admin.IssueCredits(request));
  fmt::print("issued {} to account {} (entry {}); it now has {} available\n", options.amount,
             reply.account(), reply.index(), reply.available());
  return kExitOk;
}

struct InviteOptions {
  std::string home;
  std::string role;
  uint32_t uses = 1;
  std::string expires = "7d";
  uint64_t stake = 0;
  std::string output;
};

// An invite is the only copy of its token: none is written over.
Status CheckOutput(const std::string& path) {
  if (path.empty()) return OkStatus();
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) {
    return InvalidArgument(
        "-o {}: is there already, and may be an invite in use; choose another name", path);
  }
  const std::string folder = std::filesystem::path(path).parent_path().string();
  if (::access(folder.empty() ? "." : folder.c_str(), W_OK) != 0) return ErrnoStatus(errno, folder);
  return OkStatus();
}

StatusOr<int> Invite(const InviteOptions& options) {
  CT_ASSIGN_OR_RETURN(const AdminClient admin, AdminClient::Of(options.home));
  v1::MakeInviteRequest request;
  CT_ASSIGN_OR_RETURN(const v1::Role role, wire::ParseRole(options.role));
  CT_ASSIGN_OR_RETURN(const uint64_t valid_ms, cli::ParseDuration(options.expires));
  request.set_role(role);
  request.set_uses(options.uses);
  request.set_valid_ms(valid_ms);
  request.set_stake_grant(options.stake);
  // Before anything is logged.
  CT_RETURN_IF_ERROR(CheckOutput(options.output));
  CT_ASSIGN_OR_RETURN(const v1::MakeInviteReply reply, admin.MakeInvite(request));
  if (options.output.empty()) {
    fmt::print("{}", reply.invite());
    return kExitOk;
  }
  CT_RETURN_IF_ERROR(
      Annotate(base::WriteFileDurably(options.output, reply.invite(), 0600),
               fmt::format("the invite is logged (entry {}) but its file was not written, make "
                           "another one",
                           reply.index())));
  fmt::print("{}: an invite for {} {}{}, good for {} (entry {}). Keep it secret.\n", options.output,
             options.uses, options.role, options.uses == 1 ? "" : "s", options.expires,
             reply.index());
  return kExitOk;
}

struct ExportOptions {
  std::string home;
  std::string directory;
  bool artifacts = false;
};

StatusOr<int> Export(const ExportOptions& options) {
  CT_ASSIGN_OR_RETURN(const AdminClient admin, AdminClient::Of(options.home));
  std::error_code error;
  const auto directory = std::filesystem::absolute(options.directory, error);
  if (error) return ErrnoStatus(error.value(), options.directory);
  v1::ExportRequest request;
  request.set_directory(directory.lexically_normal().string());
  request.set_with_artifacts(options.artifacts);
  CT_ASSIGN_OR_RETURN(const v1::ExportReply reply, admin.Export(request));
  const std::string artifacts =
      options.artifacts ? fmt::format(", {} artifacts", reply.artifacts()) : "";
  fmt::print("{}: {} entries{}\n", (directory / "log.bundle").lexically_normal().string(),
             reply.entries(), artifacts);
  if (reply.lapsed() > 0) {
    fmt::print("{} updates are not here any more: the retention of their campaigns is over\n",
               reply.lapsed());
  }
  return kExitOk;
}

struct StatusOptions {
  std::string home;
  std::string format = "text";
};

StatusOr<int> ShowStatus(const StatusOptions& options) {
  CT_ASSIGN_OR_RETURN(const AdminClient admin, AdminClient::Of(options.home));
  CT_ASSIGN_OR_RETURN(const v1::GetStatusReply reply, admin.GetStatus());
  if (options.format == "json") {
    const nlohmann::json json = {{"log_size", reply.log_size()},
                                 {"checkpoint", reply.checkpoint()},
                                 {"sessions", reply.sessions()},
                                 {"addresses", std::vector<std::string>(reply.addresses().begin(),
                                                                        reply.addresses().end())}};
    fmt::print("{}\n", json.dump(2));
    return kExitOk;
  }
  fmt::print("entries   {}\nsessions  {}\n", reply.log_size(), reply.sessions());
  for (const std::string& address : reply.addresses()) fmt::print("address   {}\n", address);
  fmt::print("\n{}", reply.checkpoint());
  return kExitOk;
}

}  // namespace

void AddIssue(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<IssueOptions>();
  CLI::App* command = app.add_subcommand("issue", "Brings credits in, to one account");
  AddHome(command, options->home);
  command->add_option("--to", options->to, "Account number, \"operator\", or a unique name")
      ->required();
  command->add_option("--amount", options->amount, "Credits")
      ->required()
      ->check(cli::InRange(uint64_t{1}, uint64_t{1} << 62));
  command->add_option("--reference", options->reference,
                      "What they were paid with (at most 200 bytes; stands in the ledger)");
  cli::SetExamples(command,
                   "  crowdteachd issue --home /var/lib/crowdteach --to olga --amount 10000 "
                   "--reference \"bank 4711\"\n");
  command->callback([options, &action] { action = [options] { return Issue(*options); }; });
}

void AddInvite(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<InviteOptions>();
  CLI::App* command = app.add_subcommand("invite", "Makes an invite file");
  AddHome(command, options->home);
  command->add_option("--role", options->role, "teacher, owner or auditor")
      ->required()
      ->check(CLI::IsMember({"teacher", "owner", "auditor"}));
  command->add_option("--uses", options->uses, "How many accounts it may open")
      ->capture_default_str()
      ->check(cli::InRange(1u, 1'000'000u));
  command->add_option("--expires", options->expires, "How long it is good: 7d, 12h, 90m")
      ->capture_default_str()
      ->check(cli::CheckDuration);
  command
      ->add_option("--stake", options->stake,
                   "Credits the operator lends to each account for its first enrolment")
      ->capture_default_str();
  command->add_option("-o,--output", options->output, "File, mode 0600 (default: standard output)")
      ->type_name("FILE");
  cli::SetExamples(command,
                   "  crowdteachd invite --home /var/lib/crowdteach --role teacher --uses 6 "
                   "--expires 7d --stake 50 -o teacher.invite\n");
  command->callback([options, &action] { action = [options] { return Invite(*options); }; });
}

void AddExport(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* command = app.add_subcommand("export", "Writes the log as a bundle, for auditors");
  AddHome(command, options->home);
  command->add_option("-o,--output", options->directory, "Directory to write to")
      ->required()
      ->type_name("DIR");
  command->add_flag("--artifacts", options->artifacts, "Models, updates and gradients, too");
  cli::SetExamples(command,
                   "  crowdteachd export --home /var/lib/crowdteach -o evidence --artifacts\n"
                   "  crowdteach-audit verify evidence --key log.vkey\n");
  command->callback([options, &action] { action = [options] { return Export(*options); }; });
}

void AddStatus(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<StatusOptions>();
  CLI::App* command = app.add_subcommand(
      "status", "Shows the size, checkpoint and addresses of a running coordinator");
  AddHome(command, options->home);
  command->add_option("--format", options->format, "text or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"text", "json"}));
  cli::SetExamples(command, "  crowdteachd status --home /var/lib/crowdteach --format json\n");
  command->callback([options, &action] { action = [options] { return ShowStatus(*options); }; });
}

}  // namespace crowdteach::server
