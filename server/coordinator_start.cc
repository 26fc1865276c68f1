// Starting: keys, database, GENESIS, replay.
#include <spdlog/spdlog.h>

#include <chrono>
#include <filesystem>
#include <utility>

#include "ledger/checkpoint.h"
#include "ledger/note.h"
#include "proto/base/assert.h"
#include "proto/base/bytes.h"
#include "server/coordinator_impl.h"

namespace crowdteach::server {
namespace {

uint64_t WallClockMs() {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  return static_cast<uint64_t>(
      duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count());
}

}  // namespace

Status Coordinator::Impl::WriteGenesis() {
  Batch batch;
  batch.now_ms = options.now_ms();
  const std::string origin = ledger::DefaultOrigin(keys->log_key.public_key());
  v1::Intent genesis;
  v1::Genesis* body = genesis.mutable_genesis_body();
  body->set_origin(origin);
  body->set_rules_version(ledger::kRulesVersion);
  body->set_log_vkey(
      ledger::FormatVkey(ledger::MakeVerifierKey(origin, keys->log_key.public_key())));
  body->set_operator_key(keys->operator_key.public_key());
  body->set_issuer_key(keys->issuer_key.public_key());
  body->set_asset(options.asset);
  CT_RETURN_IF_ERROR(engine->DraftOwn(std::move(genesis), &batch).status());

  v1::Intent issuer;
  issuer.set_genesis(base::Bytes(log->state().genesis_hash()));
  issuer.set_not_after_ms(batch.now_ms + ledger::kMaxNotAfterMs / 2);
  issuer.mutable_account_open()->set_key(keys->issuer_key.public_key());
  issuer.mutable_account_open()->set_name("issuer");
  CT_RETURN_IF_ERROR(
      log->Draft(ledger::SignIntent(issuer, keys->issuer_key), batch.now_ms).status());
  return log->Commit({});
}

Status Coordinator::Impl::Open() {
  CT_RETURN_IF_ERROR(MakeHome(options.home));
  CT_ASSIGN_OR_RETURN(Keys loaded, LoadOrMakeKeys(options.home));
  keys = std::make_unique<Keys>(std::move(loaded));
  if (options.head_path.empty()) options.head_path = options.home + "/head";
  if (!options.now_ms) options.now_ms = WallClockMs;

  ledger::SqliteLogStore::Options database;
  database.path = options.home + "/coordinator.db";
  CT_ASSIGN_OR_RETURN(store, ledger::SqliteLogStore::Open(database));
  uploads = std::make_unique<Uploads>(Uploads::Limits{options.unnamed_bytes_of_account});
  CT_ASSIGN_OR_RETURN(artifacts, ledger::ArtifactStore::Open(options.home + "/artifacts"));
  CT_ASSIGN_OR_RETURN(accesses, AccessLog::Open(AccessLogPath(options.home)));
  ledger::Log::Options log_options;
  log_options.head_path = options.head_path;
  CT_ASSIGN_OR_RETURN(
      log, ledger::Log::Open(store.get(), keys->log_key,
                             ledger::DefaultOrigin(keys->log_key.public_key()), log_options));
  engine = std::make_unique<Engine>(log.get(), keys->operator_key);
  if (log->size() == 0) CT_RETURN_IF_ERROR(WriteGenesis());
  if (log->state().genesis().operator_key() != keys->operator_key.public_key() ||
      log->state().genesis().issuer_key() != keys->issuer_key.public_key()) {
    return DataLoss(
        "the keys in {} are not those of the log in its database; restore both from the "
        "same backup",
        options.home);
  }
  CT_RETURN_IF_ERROR(store->ReadEntries(0, log->size(), [&](uint64_t, std::string_view bytes) {
    CT_ASSIGN_OR_RETURN(const ledger::LoggedEntry logged, ledger::DecodeEntry(bytes));
    marks.Take(logged);
    return OkStatus();
  }));
  genesis_hash = log->state().genesis_hash();
  log_vkey = log->state().genesis().log_vkey();
  const uint64_t now = options.now_ms();
  const uint64_t last = log->state().last_time_ms();
  CT_ASSIGN_OR_RETURN(const std::vector<ledger::RowWrite> rows, store->ReadRows("engine/"));
  return engine->Resume(rows, now > last ? now - last : 0);
}

StatusOr<std::unique_ptr<Coordinator>> Coordinator::Start(CoordinatorOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->options = std::move(options);
  CT_RETURN_IF_ERROR(impl->Open());
  JobsOptions jobs;
  jobs.worker_path = impl->options.worker_path;
  jobs.worker_memory_bytes = impl->options.worker_memory_bytes;
  jobs.threads = impl->options.worker_threads;
  jobs.sandbox = impl->options.sandbox;
  jobs.allow_model_code = impl->options.allow_model_code;
  jobs.scratch = impl->options.home + "/scratch";
  impl->jobs = std::make_unique<RoundJobs>(std::move(jobs), impl->artifacts.get());
  spdlog::info("log {} of {} entries in {}", impl->log->state().genesis().origin(),
               impl->log->size(), impl->options.home);
  Impl* const raw = impl.get();
  impl->writer = std::make_unique<Writer>(
      [raw](const std::vector<Command>& commands) { return raw->Process(commands); },
      raw->options.now_ms);
  impl->writer->Start();  // last: its thread calls into all of the above
  return std::unique_ptr<Coordinator>(new Coordinator(std::move(impl)));
}

Coordinator::Coordinator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Coordinator::~Coordinator() {
  impl_->writer->Stop();
  impl_->jobs.reset();  // a job that ends now posts to a writer that no longer runs
}

}  // namespace crowdteach::server
