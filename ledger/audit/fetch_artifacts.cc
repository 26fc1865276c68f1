#include "ledger/audit/fetch_artifacts.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>
#include <utility>

#include "ledger/words.h"
#include "proto/base/exit_codes.h"
#include "proto/base/utc_time.h"

namespace crowdteach::audit {
namespace {

constexpr int kAttempts = 3;  // without a new chunk between them
constexpr std::chrono::seconds kPause{1};

std::string NameOf(const NamedArtifact& artifact) {
  return fmt::format("the {} {}", base::BlobKindName(artifact.kind), base::Hex(artifact.digest));
}

// Pieces of any size, written as the store's chunks.
class ChunkFiller {
 public:
  ChunkFiller(ledger::ArtifactStore::Writer writer, uint64_t size_bytes)
      : writer_(std::move(writer)), size_bytes_(size_bytes) {}

  uint64_t whole_bytes() const {
    return std::min(writer_.next_chunk() * base::kChunkBytes, size_bytes_);
  }
  bool complete() const { return writer_.next_chunk() == writer_.chunks(); }
  void Drop() { chunk_.clear(); }  // what is not a whole chunk is asked for again

  // kDataLoss: more than the whole size.
  Status Take(std::string_view piece) {
    while (!piece.empty()) {
      if (complete()) return DataLoss("more bytes come than it has");
      const uint64_t length = std::min<uint64_t>(base::kChunkBytes, size_bytes_ - whole_bytes());
      const size_t part = std::min<size_t>(piece.size(), length - chunk_.size());
      chunk_ += piece.substr(0, part);
      piece.remove_prefix(part);
      if (chunk_.size() < length) continue;
      CT_RETURN_IF_ERROR(writer_.Write(writer_.next_chunk(), chunk_));
      chunk_.clear();
    }
    return OkStatus();
  }
  Status Finish() && { return std::move(writer_).Finish(); }

 private:
  ledger::ArtifactStore::Writer writer_;
  uint64_t size_bytes_;
  std::string chunk_;
};

class Fetcher {
 public:
  Fetcher(ledger::ArtifactStore* store, ArtifactOptions options)
      : store_(store), options_(std::move(options)) {}

  Status Fetch(const NamedArtifact& artifact) {
    if (store_->Exists(artifact.digest)) {
      result_.present++;
    } else if (!artifact.secret.empty()) {
      Leave(artifact, artifact.secret, false);
    } else if (artifact.bytes > options_.max_bytes) {
      Leave(artifact, fmt::format("{} bytes, see --max-bytes", artifact.bytes), true);
    } else {
      CT_RETURN_IF_ERROR(Annotate(FetchOne(artifact), NameOf(artifact)));
    }
    done_bytes_ += artifact.bytes;
    Show(0, ++files_);
    return OkStatus();
  }

  FetchedArtifacts Result() && { return std::move(result_); }

 private:
  void Show(uint64_t of_this, uint64_t files) const {
    if (options_.progress) options_.progress(files, done_bytes_ + of_this);
  }
  void Leave(const NamedArtifact& artifact, std::string why, bool missing) {
    result_.left.push_back({artifact, std::move(why), missing});
  }

  Status FetchOne(const NamedArtifact& artifact) {
    std::optional<ChunkFiller> filler;
    // An update of unknown size is small, or wrong: it begins anew each time.
    if (!artifact.at_most) CT_RETURN_IF_ERROR(Begin(artifact, artifact.bytes, &filler));
    bool renewed = false;
    for (int attempt = 0; !filler || !filler->complete();) {
      const uint64_t before = filler ? filler->whole_bytes() : 0;
      const StatusOr<ledger::HttpAnswer> answer = Ask(artifact, before, &filler);
      if (filler) filler->Drop();
      attempt = filler && filler->whole_bytes() > before ? 0 : attempt + 1;
      if (!answer.ok()) {
        if (!IsFromPeer(answer.status()) || attempt == kAttempts) return answer.status();
        if (!absl::IsUnavailable(answer.status())) return answer.status();
        std::this_thread::sleep_for(kPause);
      } else if (answer->code == 401 && options_.renew && !std::exchange(renewed, true)) {
        CT_ASSIGN_OR_RETURN(options_.token, options_.renew());
      } else if (answer->code != 200 && answer->code != 206) {
        return Refused(artifact, *answer);
      } else if (!filler || !filler->complete()) {
        if (attempt < kAttempts) continue;
        return DataLoss("the coordinator sends {} bytes of {}", before, artifact.bytes);
      }
    }
    const Status finished = std::move(*filler).Finish();
    if (absl::IsInvalidArgument(finished)) {
      return DataLoss("the coordinator sends other bytes than the ledger names: {}",
                      Message(finished));
    }
    CT_RETURN_IF_ERROR(finished);
    result_.fetched++;
    return OkStatus();
  }

  Status Begin(const NamedArtifact& artifact, uint64_t size, std::optional<ChunkFiller>* filler) {
    if (artifact.at_most) CT_RETURN_IF_ERROR(store_->Forget(artifact.digest));
    CT_ASSIGN_OR_RETURN(auto writer, store_->Receive({artifact.kind, artifact.digest, size}));
    filler->emplace(std::move(writer), size);
    return OkStatus();
  }

  StatusOr<ledger::HttpAnswer> Ask(const NamedArtifact& artifact, uint64_t from,
                                   std::optional<ChunkFiller>* filler) {
    ledger::HttpRequest request;
    request.path = "/artifact/" + base::Hex(artifact.digest);
    request.token = options_.token;
    request.first_byte = from;
    request.max_bytes = artifact.bytes - from + base::kChunkBytes;  // Take is stricter
    request.timeout_ms = options_.timeout_ms;
    request.announced = [&](uint64_t bytes) -> Status {
      const uint64_t size = from + bytes;
      if (artifact.at_most && !filler->has_value() && size <= artifact.bytes && size > 0) {
        return Begin(artifact, size, filler);
      }
      if (!artifact.at_most && size == artifact.bytes) return OkStatus();
      return DataLoss("the coordinator's file has {} bytes, by the ledger it has {}{}", size,
                      artifact.at_most ? "at most " : "", artifact.bytes);
    };
    return options_.client->Send(request, [&](std::string_view piece) -> Status {
      if (!filler->has_value()) return DataLoss("the coordinator does not say how long it is");
      CT_RETURN_IF_ERROR((*filler)->Take(piece));
      result_.bytes += piece.size();
      Show((*filler)->whole_bytes(), files_);
      return OkStatus();
    });
  }

  // Listed, unless it is no answer to our question.
  Status Refused(const NamedArtifact& artifact, const ledger::HttpAnswer& answer) {
    if (answer.code == 403) {
      Leave(artifact, fmt::format("by the terms for {}", ledger::InWords(artifact.readers)), false);
      return OkStatus();
    }
    if (answer.code == 404) {
      const bool lapsed = artifact.kept_to_ms > 0 && options_.now_ms >= artifact.kept_to_ms;
      Leave(artifact,
            lapsed ? fmt::format("gone: its retention ended {}", base::UtcTime(artifact.kept_to_ms))
                   : "not there, though the terms keep it",
            !lapsed);
      return OkStatus();
    }
    const std::string what =
        fmt::format("the coordinator answers {}: {}", answer.code, answer.text);
    if (answer.code == 401) return FromPeer(Unauthenticated("{}", what));
    if (answer.code == 429 || answer.code == 503) return FromPeer(Unavailable("{}", what));
    return FromPeer(FailedPrecondition("{}", what));
  }

  ledger::ArtifactStore* const store_;
  ArtifactOptions options_;
  FetchedArtifacts result_;
  uint64_t files_ = 0;       // done
  uint64_t done_bytes_ = 0;  // of those
};

}  // namespace

StatusOr<FetchedArtifacts> FetchArtifacts(const std::vector<NamedArtifact>& wanted,
                                          const std::string& folder, ArtifactOptions options) {
  CT_ASSIGN_OR_RETURN(const auto store, ledger::ArtifactStore::Open(folder));
  Fetcher fetcher(store.get(), std::move(options));
  for (const NamedArtifact& artifact : wanted) CT_RETURN_IF_ERROR(fetcher.Fetch(artifact));
  // Nothing is half here; where something is, the store's folder of parts stays.
  std::error_code error;
  std::filesystem::remove(folder + "/part", error);
  return std::move(fetcher).Result();
}

}  // namespace crowdteach::audit
