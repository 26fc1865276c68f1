// serve: the coordinator itself, until SIGINT or SIGTERM.
#include <fcntl.h>
#include <fmt/ranges.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ledger/file_io.h"
#include "proto/base/file.h"
#include "proto/wire/credentials.h"
#include "server/commands/commands.h"
#include "server/coordinator.h"
#include "server/home.h"
#include "server/rpc/rpc_server.h"
#include "server/web/web_server.h"

namespace crowdteach::server {
namespace {

struct ServeOptions {
  CoordinatorOptions coordinator;
  uint64_t worker_memory_mib = 4096;
  bool no_sandbox = false;
  bool new_ca = false;
  std::string listen = "127.0.0.1:7700";
  std::string web_listen = "127.0.0.1:7701";
  std::vector<std::string> advertise;
  std::vector<std::string> web_advertise;
  bool verbose = false;
};

// A pipe that the signal handler writes to, so that the main thread can wait for it. Signals are
// not blocked: children would inherit that.
int stop_pipe[2] = {-1, -1};

void OnStopSignal(int signal) {
  const int saved_errno = errno;
  const char byte = static_cast<char>(signal);
  [[maybe_unused]] const ssize_t written = ::write(stop_pipe[1], &byte, 1);
  errno = saved_errno;
}

Status CatchStopSignals() {
  if (::pipe2(stop_pipe, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make a pipe");
  struct sigaction stop = {};
  stop.sa_handler = OnStopSignal;
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  if (::sigaction(SIGINT, &stop, nullptr) != 0 || ::sigaction(SIGTERM, &stop, nullptr) != 0 ||
      ::sigaction(SIGPIPE, &ignore, nullptr) != 0) {
    return ErrnoStatus(errno, "cannot catch signals");
  }
  return OkStatus();
}

int WaitForStopSignal() {
  char byte = 0;
  while (::read(stop_pipe[0], &byte, 1) < 0 && errno == EINTR) {
  }
  return byte;
}

// One process a home. Held while the handle is open; the kernel releases it, whatever our end.
StatusOr<ledger::FileHandle> LockHome(const std::string& home) {
  CT_RETURN_IF_ERROR(MakeHome(home));
  const std::string path = home + "/lock";
  CT_ASSIGN_OR_RETURN(ledger::FileHandle file, ledger::OpenFile(path, O_RDWR | O_CREAT));
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) == 0) return file;
  if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "cannot lock " + path);
  return Unavailable("another crowdteachd runs in {}: stop it first, or take another --home", home);
}

// Beside this program, else on the PATH.
StatusOr<std::string> FindWorker() {
  constexpr char kName[] = "crowdteach-worker";
  std::vector<std::filesystem::path> folders;
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) folders.push_back(self.parent_path());
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    if (colon != 0) folders.emplace_back(rest.substr(0, colon));
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
  }
  for (const auto& folder : folders) {
    const std::string candidate = (folder / kName).string();
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return NotFound("{} is neither beside crowdteachd nor on the PATH: name it with --worker", kName);
}

// What people are told to connect to: as advertised, else where we listen. Nothing when that is
// every address (invites are then refused with the reason).
std::vector<std::string> PublicAddresses(const std::vector<std::string>& advertised,
                                         const wire::HostPort& actual) {
  if (!advertised.empty()) return advertised;
  if (wire::IsAnyAddress(actual.host)) return {};
  return {wire::FormatHostPort(actual)};
}

// --web-advertise, else the hosts of --advertise with the actual web port.
StatusOr<std::vector<std::string>> WebAddresses(const ServeOptions& options,
                                                const wire::HostPort& actual) {
  if (!options.web_advertise.empty() || options.advertise.empty()) {
    return PublicAddresses(options.web_advertise, actual);
  }
  std::vector<std::string> addresses;
  for (const std::string& text : options.advertise) {
    CT_ASSIGN_OR_RETURN(wire::HostPort address, wire::ParseHostPort(text));
    address.port = actual.port;
    addresses.push_back(wire::FormatHostPort(address));
  }
  return addresses;
}

uint64_t WallClockMs() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  return static_cast<uint64_t>(
      duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

// Every invite and every client pins the CA, so one that was lost is not quietly replaced. A log of
// two entries has invited nobody yet.
Status CheckCa(const std::string& home, uint64_t log_size, bool new_ca) {
  const std::string path = home + "/tls/ca.pem";
  std::error_code error;
  if (new_ca || log_size <= 2 || std::filesystem::exists(path, error)) return OkStatus();
  return DataLoss(
      "{} is missing, and every client trusts nothing else: restore it from a backup. If it is "
      "lost for good, --new-ca makes another; then give everybody a new invite (their accounts "
      "and credits stay)",
      path);
}

// Everything is up: says so on standard output and in ‹home›/addresses.
Status Announce(const std::string& home, const wire::HostPort& rpc, const wire::HostPort& web,
                const Advertised& advertised) {
  const std::string rpc_text = wire::FormatHostPort(rpc);
  const std::string web_text = wire::FormatHostPort(web);
  CT_RETURN_IF_ERROR(base::WriteFileDurably(
      home + "/addresses", fmt::format("grpc={}\nweb=https://{}\n", rpc_text, web_text), 0600));
  fmt::print("listening on {} (teachers, owners) and https://{} (auditors)\n", rpc_text, web_text);
  if (!advertised.addresses.empty()) {
    fmt::print("invites name {}\n", fmt::join(advertised.addresses, ", "));
  } else {
    fmt::print(
        "nobody can be invited: {} is every address of this machine. Say which one people reach: "
        "--advertise HOST:{}\n",
        rpc.host, rpc.port);
  }
  if (std::fflush(stdout) != 0) spdlog::warn("standard output is closed");
  return OkStatus();
}

StatusOr<int> Serve(ServeOptions options) {
  CT_ASSIGN_OR_RETURN(wire::HostPort rpc_address, wire::ParseHostPort(options.listen));
  CT_ASSIGN_OR_RETURN(wire::HostPort web_address, wire::ParseHostPort(options.web_listen));
  if (options.coordinator.worker_path.empty()) {
    CT_ASSIGN_OR_RETURN(options.coordinator.worker_path, FindWorker());
  } else if (::access(options.coordinator.worker_path.c_str(), X_OK) != 0) {
    return ErrnoStatus(errno, "--worker " + options.coordinator.worker_path);
  }
  options.coordinator.sandbox = !options.no_sandbox;
  options.coordinator.worker_memory_bytes = options.worker_memory_mib << 20;
  spdlog::set_default_logger(spdlog::stderr_color_mt("crowdteachd"));
  spdlog::set_level(options.verbose ? spdlog::level::debug : spdlog::level::info);
  CT_RETURN_IF_ERROR(CatchStopSignals());
  CT_ASSIGN_OR_RETURN(const uint64_t open_files, wire::RaiseFileLimit());
  spdlog::debug("up to {} open files", open_files);

  const std::string home = options.coordinator.home;
  CT_ASSIGN_OR_RETURN(const ledger::FileHandle lock, LockHome(home));
  Status broken;  // written by the writer thread before it wakes us
  options.coordinator.on_broken = [&broken](const Status& status) {
    broken = status;
    OnStopSignal(SIGTERM);
  };
  CT_ASSIGN_OR_RETURN(const auto coordinator, Coordinator::Start(std::move(options.coordinator)));
  CT_RETURN_IF_ERROR(CheckCa(home, coordinator->log_size(), options.new_ca));
  CT_ASSIGN_OR_RETURN(const wire::ServerIdentity identity,
                      wire::LoadOrCreateIdentity(home + "/tls", WallClockMs()));
  CT_ASSIGN_OR_RETURN(const auto rpc,
                      RpcServer::Listen(coordinator.get(), identity,
                                        {rpc_address, options.advertise, WallClockMs}));
  CT_ASSIGN_OR_RETURN(const auto web, WebServer::Listen(coordinator.get(), identity, web_address));
  rpc_address.port = rpc->port();
  web_address.port = web->port();
  CT_ASSIGN_OR_RETURN(const auto web_addresses, WebAddresses(options, web_address));
  const Advertised advertised{PublicAddresses(options.advertise, rpc_address), web_addresses,
                              identity.ca_pem};
  CT_RETURN_IF_ERROR(rpc->StartAdmin(home, advertised));
  CT_RETURN_IF_ERROR(Announce(home, rpc_address, web_address, advertised));
  spdlog::info("stopping: signal {}", WaitForStopSignal());
  ::unlink((home + "/addresses").c_str());  // nobody listens there now
  CT_RETURN_IF_ERROR(broken);
  return kExitOk;
}

std::string CheckAddress(const std::string& text) {
  const auto address = wire::ParseHostPort(text);
  return address.ok() ? std::string() : Message(address.status());
}

std::string CheckAdvertised(const std::string& text) {
  return Message(wire::CheckPublicAddress(text));
}

}  // namespace

void AddServe(CLI::App& app, cli::Action& action) {
  auto options = std::make_shared<ServeOptions>();
  CoordinatorOptions& coordinator = options->coordinator;
  CLI::App* serve = app.add_subcommand("serve", "Runs the coordinator until SIGINT or SIGTERM");
  serve->add_option("--home", coordinator.home, "Keys, ledger and artifacts; made if missing")
      ->required()
      ->type_name("DIR");
  serve->add_option("--listen", options->listen, "For teachers and owners; port 0: any free one")
      ->capture_default_str()
      ->check(CheckAddress)
      ->type_name("HOST:PORT");
  serve->add_option("--web-listen", options->web_listen, "For auditors (HTTPS)")
      ->capture_default_str()
      ->check(CheckAddress)
      ->type_name("HOST:PORT");
  serve
      ->add_option("--advertise", options->advertise,
                   "Address that invites name instead of --listen's, and clients learn when they "
                   "connect; tried in order; may be repeated")
      ->check(CheckAdvertised)
      ->type_name("HOST:PORT");
  serve
      ->add_option("--web-advertise", options->web_advertise,
                   "Likewise for auditors (default: --advertise's hosts, --web-listen's port)")
      ->check(CheckAdvertised)
      ->type_name("HOST:PORT");
  serve->add_option("--asset", coordinator.asset, "What the credits are called (first start only)")
      ->capture_default_str();
  serve
      ->add_option("--head-file", coordinator.head_path,
                   "Where the last signed head is kept (default: DIR/head). On another volume it "
                   "shows when a backup of DIR was restored")
      ->type_name("FILE");
  serve
      ->add_option("--worker", coordinator.worker_path,
                   "crowdteach-worker (default: beside crowdteachd, else on the PATH)")
      ->type_name("FILE");
  serve->add_option("--worker-threads", coordinator.worker_threads, "For scoring")
      ->capture_default_str()
      ->check(cli::InRange(1u, 1024u));
  serve->add_option("--worker-memory", options->worker_memory_mib, "Its memory limit in MiB")
      ->capture_default_str()
      ->check(cli::InRange(uint64_t{256}, uint64_t{1} << 24));
  auto* no_sandbox =
      serve->add_flag("--no-sandbox", options->no_sandbox,
                      "Runs the worker without its sandbox, on a kernel that refuses it");
  serve
      ->add_flag("--allow-model-code", coordinator.allow_model_code,
                 "Takes campaigns whose model is TorchScript code; it runs in the sandbox")
      ->excludes(no_sandbox);
  serve->add_flag("--new-ca", options->new_ca,
                  "Makes another TLS authority where the old one is lost; everybody needs a new "
                  "invite then");
  serve->add_flag("-v,--verbose", options->verbose, "Logs more");
  cli::SetExamples(serve,
                   "  crowdteachd serve --home /var/lib/crowdteach\n"
                   "  crowdteachd serve --home /var/lib/crowdteach --listen [::]:7700 "
                   "--web-listen [::]:7701 --advertise teach.example.org:7700\n");
  serve->callback([options, &action] { action = [options] { return Serve(*options); }; });
}

}  // namespace crowdteach::server
