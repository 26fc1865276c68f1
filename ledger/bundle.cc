#include "ledger/bundle.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <deque>
#include <memory>
#include <vector>

#include "ledger/bundle_fault.h"
#include "ledger/canonical.h"
#include "ledger/file_io.h"
#include "ledger/merkle.h"
#include "ledger/rules_version.h"
#include "proto/base/bytes.h"

namespace crowdteach::ledger {
namespace {

constexpr std::string_view kMagic = "crowdteach-bundle/v1\n";
constexpr std::string_view kAnyVersion = "crowdteach-bundle/v";
constexpr char kProgram[] = "crowdteach-audit";

bool IsOfNewerVersion(std::string_view header) {
  if (!header.starts_with(kAnyVersion)) return false;
  const std::string_view rest = header.substr(kAnyVersion.size());
  uint32_t version = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), version);
  return error == std::errc() && version > 1 && end != rest.data() + rest.size() && *end == '\n';
}

// Reads `source` piece by piece; a string shorter than asked for means the end.
class Reader {
 public:
  explicit Reader(const ByteSource& source) : source_(source) {}

  StatusOr<std::string> Take(size_t size) {
    while (buffer_.size() - begin_ < size) {
      CT_ASSIGN_OR_RETURN(const bool more, Fill());
      if (!more) break;
    }
    const size_t got = std::min(size, buffer_.size() - begin_);
    std::string out = buffer_.substr(begin_, got);
    begin_ += got;
    return out;
  }

  // A u32 length and as many bytes. Not more than `max`, so nothing is allocated on a stranger's
  // word. A bad length is a kInvalidArgument value, an error of the source an error.
  StatusOr<StatusOr<std::string>> Record(size_t max) {
    CT_ASSIGN_OR_RETURN(const std::string prefix, Take(4));
    if (prefix.size() < 4)
      return StatusOr<std::string>(
          InvalidArgument("the file ends before it: was it cut short? Get it again"));
    const uint32_t length = base::ReadU32(prefix.data());
    if (length == 0 || length > max) {
      return StatusOr<std::string>(InvalidArgument("its length {} is not in 1 to {}", length, max));
    }
    CT_ASSIGN_OR_RETURN(std::string bytes, Take(length));
    if (bytes.size() < length) {
      return StatusOr<std::string>(
          InvalidArgument("the file ends inside it: was it cut short? Get it again"));
    }
    return StatusOr<std::string>(std::move(bytes));
  }

 private:
  StatusOr<bool> Fill() {
    constexpr size_t kPieceBytes = size_t{1} << 16;
    buffer_.erase(0, std::exchange(begin_, 0));
    const size_t filled = buffer_.size();
    buffer_.resize(filled + kPieceBytes);
    CT_ASSIGN_OR_RETURN(const size_t got, source_(buffer_.data() + filled, kPieceBytes));
    buffer_.resize(filled + got);
    return got > 0;
  }

  const ByteSource& source_;
  std::string buffer_;
  size_t begin_ = 0;
};

// One verification: a window of three entries, or more, slides over the bundle.
class Verifier {
 public:
  Verifier(const ByteSource& source, const VerifierKey& log, const EntryVisitor& visit,
           const RunVisitor& ahead)
      : reader_(source), log_(log), visit_(visit), ahead_(ahead) {}

  StatusOr<BundleVerdict> Run() {
    CT_ASSIGN_OR_RETURN(std::optional<BundleFault> fault, Header());
    while (!fault && verdict_.entries < count_) {
      CT_ASSIGN_OR_RETURN(fault, CheckEntry());
      if (!fault) ++verdict_.entries;
    }
    if (!fault) {
      CT_ASSIGN_OR_RETURN(fault, CheckCheckpoint());
    }
    verdict_.fault = std::move(fault);
    return std::move(verdict_);
  }

 private:
  using Fault = std::optional<BundleFault>;
  struct Record {
    StatusOr<std::string> bytes = std::string();
    StatusOr<LoggedEntry> entry = InvalidArgument("not read");
  };

  StatusOr<Fault> Header() {
    CT_ASSIGN_OR_RETURN(const std::string header, reader_.Take(kMagic.size() + 8));
    if (header.size() < kMagic.size() + 8 || !header.starts_with(kMagic)) {
      if (IsOfNewerVersion(header)) {
        return FailedPrecondition("this bundle has the format {}, known here is {}: upgrade {}",
                                  header.substr(0, header.find('\n')),
                                  kMagic.substr(0, kMagic.size() - 1), kProgram);
      }
      return Fault({"header", "",
                    "it is not a bundle: a bundle is what crowdteach-audit fetch or "
                    "crowdteachd export wrote"});
    }
    count_ = base::ReadU64(header.data() + kMagic.size());
    return Fault();
  }

  // Reads up to the second entry after the current one, and then a run more if there is work to do
  // ahead. Behind a bad length nothing can be read.
  Status FillWindow() {
    if (window_.size() >= 3) return OkStatus();
    const size_t size = ahead_ ? run_ + 2 : 3;
    std::vector<const LoggedEntry*> run;
    while (window_.size() < size && verdict_.entries + window_.size() < count_ &&
           (window_.empty() || window_.back().bytes.ok())) {
      Record& record = window_.emplace_back();
      CT_ASSIGN_OR_RETURN(record.bytes, reader_.Record(kMaxEntryBytes));
      record.entry = record.bytes.ok() ? DecodeEntry(*record.bytes) : record.bytes.status();
      if (record.entry.ok()) run.push_back(&*record.entry);
    }
    if (ahead_ && !run.empty()) ahead_(run);
    run_ = std::min(2 * run_, kBundleRun);
    return OkStatus();
  }

  // The checkpoint's record, once the last entry has been read.
  StatusOr<const StatusOr<std::string>*> Note() {
    if (!note_) {
      CT_ASSIGN_OR_RETURN(note_, reader_.Record(kMaxNoteBytes));
    }
    return &*note_;
  }

  BundleFault EntryFault(uint64_t index, std::string_view part, const Status& status) const {
    return {fmt::format("entry {}", index), std::string(part), Message(status)};
  }

  Fault Visit(const LoggedEntry& entry) const {
    const Status visited = visit_(entry);
    if (visited.ok()) return std::nullopt;
    return EntryFault(verdict_.entries, absl::IsDataLoss(visited) ? "postings" : "intent", visited);
  }

  StatusOr<Fault> CheckEntry() {
    CT_RETURN_IF_ERROR(FillWindow());
    const uint64_t index = verdict_.entries;
    const Record& record = window_[0];
    if (!record.bytes.ok()) return Fault(EntryFault(index, "length", record.bytes.status()));
    if (index == 0) CT_RETURN_IF_ERROR(CheckRulesOfFirstEntry(*record.bytes, log_, kProgram));
    if (!record.entry.ok()) return Undecodable(record);
    const LoggedEntry& entry = *record.entry;
    if (entry.entry.index() != index) {
      return Fault(EntryFault(index, "index", InvalidArgument("it says {}", entry.entry.index())));
    }
    if (index == 0 && entry.entry.prev() != std::string(32, '\0')) {
      return Fault(
          EntryFault(index, "prev", InvalidArgument("the first entry's is 32 zero bytes")));
    }
    if (entry.entry.time_ms() < last_time_ms_) {
      return Fault(EntryFault(index, "time", InvalidArgument("it is before the entry before")));
    }
    CT_ASSIGN_OR_RETURN(Fault fault, CheckLink(entry));
    if (!fault) fault = Visit(entry);
    if (fault) return fault;
    tree_.Append(entry.leaf);
    if (index == 0) genesis_ = base::Bytes(entry.leaf);
    last_time_ms_ = entry.entry.time_ms();
    window_.pop_front();
    return Fault();
  }

  StatusOr<Fault> Undecodable(const Record& record) {
    const uint64_t index = verdict_.entries;
    if (ParseNote(*record.bytes).ok()) {
      return Fault(
          {"header", "", fmt::format("it counts {} entries, there are {}", count_, index)});
    }
    bool next_is_whole = window_.size() > 1 && window_[1].entry.ok();
    if (index + 1 == count_) {
      CT_ASSIGN_OR_RETURN(const StatusOr<std::string>* note, Note());
      next_is_whole = note->ok() && ParseNote(**note).ok();
    }
    return Fault(
        EntryFault(index, PartOfUndecodable(*record.bytes, next_is_whole), record.entry.status()));
  }

  // Whether the entry after says the hash of this one. If not, one of the two was changed: it is
  // this one if the entry after is itself what its own successor, or the signed root, says.
  StatusOr<Fault> CheckLink(const LoggedEntry& entry) {
    if (window_.size() < 2 || !window_[1].entry.ok()) return Fault();
    const LoggedEntry& next = *window_[1].entry;
    if (next.entry.prev() == base::View(entry.leaf)) return Fault();
    const uint64_t index = verdict_.entries;
    CT_ASSIGN_OR_RETURN(const bool next_holds, NextHolds(next));
    if (!next_holds) {
      return Fault(EntryFault(index + 1, "prev",
                              InvalidArgument("it is not the leaf hash of entry {}", index)));
    }
    // Changed after it was logged. Its intent is whole if it is signed, for this log, and its
    // postings if they follow: what the rules still refuse then is the time it now has.
    const Status visited = visit_(entry);
    if (absl::IsDataLoss(visited)) return Fault(EntryFault(index, "postings", visited));
    if (absl::IsUnauthenticated(visited) || entry.intent.genesis() != genesis_) {
      return Fault(EntryFault(index, "intent", visited));
    }
    return Fault(EntryFault(
        index, "time", InvalidArgument("entry {} follows another entry {}", index + 1, index)));
  }

  StatusOr<bool> NextHolds(const LoggedEntry& next) {
    if (verdict_.entries + 2 < count_) {
      return window_.size() > 2 && window_[2].entry.ok() &&
             window_[2].entry->entry.prev() == base::View(next.leaf);
    }
    CT_ASSIGN_OR_RETURN(const StatusOr<std::string>* note, Note());
    const StatusOr<base::Hash> claimed = base::HashFromBytes(next.entry.prev());
    if (!note->ok() || !claimed.ok()) return false;
    const StatusOr<Checkpoint> checkpoint = OpenCheckpoint(**note, log_);
    MerkleTree other = tree_;
    other.Append(*claimed);
    other.Append(next.leaf);
    return checkpoint.ok() && checkpoint->size == count_ && checkpoint->root == other.Root();
  }

  StatusOr<Fault> CheckCheckpoint() {
    CT_ASSIGN_OR_RETURN(const StatusOr<std::string>* bytes, Note());
    if (!bytes->ok()) return Fault({"checkpoint", "", Message(bytes->status())});
    CT_ASSIGN_OR_RETURN(const std::string rest, reader_.Take(1));
    if (DecodeEntry(**bytes).ok()) {
      return Fault({"header", "", fmt::format("it counts {} entries, there are more", count_)});
    }
    if (!rest.empty()) return Fault({"checkpoint", "", "bytes follow it"});
    verdict_.checkpoint = {log_.name, count_, tree_.Root()};
    verdict_.note = **bytes;
    return FaultOfNote(**bytes, log_, verdict_.checkpoint);
  }

  Reader reader_;
  const VerifierKey& log_;
  const EntryVisitor& visit_;
  const RunVisitor& ahead_;
  BundleVerdict verdict_;
  uint64_t count_ = 0;
  size_t run_ = 8;  // grows, so that a fault at the beginning is found at once
  uint64_t last_time_ms_ = 0;
  std::string genesis_;        // leaf hash of entry 0, once it is behind us
  std::deque<Record> window_;  // the current entry and at least two after it, if there are
  std::optional<StatusOr<std::string>> note_;
  MerkleTree tree_;
};

}  // namespace

Status WriteBundle(const LogStore& store, uint64_t count, std::string_view checkpoint,
                   const ByteSink& sink) {
  const auto framed = [](std::string_view bytes) {
    std::string out;
    base::AppendU32(out, static_cast<uint32_t>(bytes.size()));
    return out.append(bytes);
  };
  std::string header(kMagic);
  base::AppendU64(header, count);
  CT_RETURN_IF_ERROR(sink(header));
  CT_RETURN_IF_ERROR(store.ReadEntries(
      0, count, [&](uint64_t, std::string_view bytes) { return sink(framed(bytes)); }));
  return sink(framed(checkpoint));
}

StatusOr<BundleVerdict> VerifyBundle(const ByteSource& source, const VerifierKey& log,
                                     const EntryVisitor& visit, const RunVisitor& ahead) {
  return Verifier(source, log, visit, ahead).Run();
}

ByteSource StringSource(std::string_view bytes) {
  return [bytes](char* out, size_t size) mutable -> StatusOr<size_t> {
    const size_t got = bytes.copy(out, size);
    bytes.remove_prefix(got);
    return got;
  };
}

StatusOr<ByteSource> FileSource(const std::string& path) {
  CT_ASSIGN_OR_RETURN(FileHandle opened, OpenFile(path, O_RDONLY));
  auto file = std::make_shared<FileHandle>(std::move(opened));
  return ByteSource([file, path](char* out, size_t size) -> StatusOr<size_t> {
    ssize_t got = 0;
    do {
      got = read(file->fd(), out, size);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return ErrnoStatus(errno, path);
    return static_cast<size_t>(got);
  });
}

}  // namespace crowdteach::ledger
