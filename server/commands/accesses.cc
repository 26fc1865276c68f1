// accesses: who fetched which blob, from the coordinator's own record; it need not be running.
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "proto/base/utc_time.h"
#include "server/access_log.h"
#include "server/commands/commands.h"
#include "server/home.h"

namespace crowdteach::server {
namespace {

struct AccessesOptions {
  std::string home;
  std::optional<uint64_t> account;
  std::optional<uint64_t> campaign;
  std::string digest;
  std::string format = "text";
};

bool Fits(const AccessesOptions& options, const Access& access) {
  return (!options.account || access.account == options.account) &&
         (!options.campaign || access.campaign == *options.campaign) &&
         base::Hex(access.digest).starts_with(options.digest);
}

void Print(const Access& access) {
  fmt::print("{}  {:>8}  {:<10}  {:>8}  {:>14}  {:>14}  {}\n", base::UtcTime(access.time_ms),
             access.account ? fmt::format("{}", *access.account) : "anybody",
             base::BlobKindName(access.kind), access.campaign, access.first_byte, access.bytes,
             base::Hex(access.digest));
}

void PrintJson(const Access& access) {
  nlohmann::ordered_json json = {{"time_ms", access.time_ms}};
  json["account"] = access.account ? nlohmann::ordered_json(*access.account) : nullptr;
  json["kind"] = base::BlobKindName(access.kind);
  json["digest"] = base::Hex(access.digest);
  json["campaign"] = access.campaign;
  json["first_byte"] = access.first_byte;
  json["bytes"] = access.bytes;
  fmt::print("{}\n", json.dump());
}

StatusOr<int> ListAccesses(const AccessesOptions& options) {
  const bool as_json = options.format == "json";
  if (!as_json) {
    fmt::print("{:<27}  {:>8}  {:<10}  {:>8}  {:>14}  {:>14}  {}\n", "time", "account", "kind",
               "campaign", "first byte", "bytes", "digest");
  }
  const Status read = ReadAccesses(AccessLogPath(options.home), [&](const Access& access) {
    if (Fits(options, access)) as_json ? PrintJson(access) : Print(access);
    return OkStatus();
  });
  CT_RETURN_IF_ERROR(absl::IsNotFound(read)
                         ? Annotate(read, "no coordinator has served from this home yet")
                         : read);
  return kExitOk;
}

}  // namespace

void AddAccesses(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<AccessesOptions>();
  CLI::App* command =
      app.add_subcommand("accesses", "Lists who fetched which model, update or gradient");
  command->add_option("--home", options->home, "Home directory of a coordinator, running or not")
      ->required()
      ->type_name("DIR");
  command->add_option("--account", options->account, "Only what this account fetched");
  command->add_option("--campaign", options->campaign, "Only blobs of this campaign");
  command->add_option("--digest", options->digest, "Only blobs whose digest begins so")
      ->type_name("HEX");
  command->add_option("--format", options->format, "text, or json (an object a line)")
      ->capture_default_str()
      ->check(CLI::IsMember({"text", "json"}));
  cli::SetExamples(command,
                   "  crowdteachd accesses --home /var/lib/crowdteach --campaign 9\n"
                   "A line stands there before the first byte is sent. A download that was resumed "
                   "has several.\n");
  command->callback([options, &action] { action = [options] { return ListAccesses(*options); }; });
}

}  // namespace crowdteach::server
