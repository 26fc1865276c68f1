// Reading: what may be asked of a running coordinator.
#include "server/coordinator.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <utility>

#include "ledger/bundle.h"
#include "ledger/canonical.h"
#include "ledger/file_io.h"
#include "proto/base/assert.h"
#include "server/access.h"
#include "server/coordinator_impl.h"
#include "server/views.h"

namespace crowdteach::server {

const base::Hash& Coordinator::genesis_hash() const { return impl_->genesis_hash; }

std::string Coordinator::log_vkey() const { return impl_->log_vkey; }

std::string Coordinator::checkpoint() const {
  const std::shared_lock lock(impl_->mutex);
  return impl_->log->checkpoint();
}

uint64_t Coordinator::log_size() const {
  const std::shared_lock lock(impl_->mutex);
  return impl_->log->size();
}

uint64_t Coordinator::log_time_ms() const {
  const std::shared_lock lock(impl_->mutex);
  return std::max(impl_->options.now_ms(), impl_->log->state().last_time_ms());
}

StatusOr<std::string> Coordinator::Receipt(uint64_t index) const {
  const std::shared_lock lock(impl_->mutex);
  return impl_->log->Receipt(index);
}

StatusOr<std::vector<base::Hash>> Coordinator::ConsistencyProof(uint64_t old_size,
                                                                uint64_t size) const {
  const std::shared_lock lock(impl_->mutex);
  return impl_->log->ConsistencyProof(old_size, size);
}

v1::ListEntriesReply Coordinator::Entries(uint64_t account, uint64_t first) const {
  constexpr int kMaxIndexes = 1000;
  const std::shared_lock lock(impl_->mutex);
  const std::vector<uint64_t>& all = impl_->marks.EntriesOf(account);
  v1::ListEntriesReply reply;
  reply.set_next_index(impl_->log->size());
  for (auto it = std::lower_bound(all.begin(), all.end(), first); it != all.end(); ++it) {
    if (reply.indexes_size() == kMaxIndexes) {
      reply.set_next_index(*it);
      reply.set_more(true);
      break;
    }
    reply.add_indexes(*it);
  }
  return reply;
}

StatusOr<std::string> Coordinator::ReceiptOfSequence(uint64_t account, uint64_t sequence) const {
  const std::shared_lock lock(impl_->mutex);
  const std::optional<uint64_t> index = impl_->marks.IndexOf(account, sequence);
  if (!index.has_value()) {
    return NotFound("account {} has nothing of sequence {} on the ledger", account, sequence);
  }
  return impl_->log->Receipt(*index);
}

std::optional<AccountInfo> Coordinator::FindAccount(std::string_view public_key) const {
  std::optional<uint64_t> account;
  {
    const std::shared_lock lock(impl_->mutex);
    account = impl_->log->state().AccountOfKey(public_key);
  }
  if (!account.has_value()) return std::nullopt;
  return FindAccount(*account);
}

std::optional<AccountInfo> Coordinator::FindAccount(uint64_t account) const {
  const std::shared_lock lock(impl_->mutex);
  const ledger::Account* found = impl_->log->state().FindAccount(account);
  if (found == nullptr) return std::nullopt;
  return AccountInfo{account, found->name, found->role, found->next_sequence};
}

v1::GetAccountReply Coordinator::Account(uint64_t account) const {
  const std::shared_lock lock(impl_->mutex);
  return MakeAccount(impl_->log->state(), account);
}

v1::ListCampaignsReply Coordinator::Campaigns(uint64_t caller) const {
  const std::shared_lock lock(impl_->mutex);
  v1::ListCampaignsReply reply;
  for (const auto& [id, campaign] : impl_->log->state().campaigns()) {
    v1::ListCampaignsReply::Item* item = reply.add_campaigns();
    item->set_campaign(id);
    item->set_name(campaign.open.terms().name());
    item->set_phase(std::string(PhaseName(campaign.phase)));
    item->set_receipt(impl_->MakeReceipt(id));
    item->set_enrolled(campaign.enrolments.contains(caller));
  }
  return reply;
}

v1::SignedStatement Coordinator::State(uint64_t account, v1::StatementKind kind,
                                       std::string_view subject, std::string_view reason) const {
  v1::Statement statement;
  {
    const std::shared_lock lock(impl_->mutex);
    statement.set_genesis(base::Bytes(impl_->log->state().genesis_hash()));
    statement.set_log_size(impl_->log->size());
  }
  statement.set_account(account);
  statement.set_subject(std::string(subject));
  statement.set_kind(kind);
  statement.set_reason(std::string(reason));
  statement.set_time_ms(impl_->options.now_ms());
  v1::SignedStatement sealed;
  sealed.set_payload(ledger::Encode(statement));
  sealed.set_signature(
      impl_->keys->operator_key.SignDsse(ledger::kStatementType, sealed.payload()));
  return sealed;
}

StatusOr<uint64_t> Coordinator::Attend(
    uint64_t account, uint64_t campaign,
    std::function<void(std::shared_ptr<const v1::Notice>)> push) {
  Impl* const impl = impl_.get();
  {
    const std::shared_lock lock(impl->mutex);
    const ledger::CampaignState* found = impl->log->state().FindCampaign(campaign);
    if (found == nullptr) return NotFound("there is no campaign {}", campaign);
    if (!found->enrolments.contains(account)) {
      return PermissionDenied("account {} is not enrolled in campaign {}; enrol first", account,
                              campaign);
    }
  }
  CT_ASSIGN_OR_RETURN(const uint64_t stream,
                      impl->streams.AddAttendant(campaign, account, std::move(push)));
  impl->writer->Post([impl, account, campaign, stream](Batch& batch) {
    batch.published.push_back([impl, account, campaign, stream] {
      std::vector<std::shared_ptr<const v1::Notice>> notices;
      {
        const std::shared_lock lock(impl->mutex);
        for (v1::Notice& notice :
             CatchUp(*impl->log->state().FindCampaign(campaign), impl->marks.Campaign(campaign),
                     impl->engine->StateOf(campaign), account, impl->options.now_ms(),
                     [impl](uint64_t index) { return impl->MakeReceipt(index); })) {
          notices.push_back(std::make_shared<const v1::Notice>(std::move(notice)));
        }
      }
      impl->streams.Begin(stream, notices);
      impl->PublishView(campaign);
    });
  });
  return stream;
}

StatusOr<uint64_t> Coordinator::Watch(
    uint64_t account, uint64_t campaign,
    std::function<void(std::shared_ptr<const v1::CampaignView>)> push) {
  Impl* const impl = impl_.get();
  {
    const std::shared_lock lock(impl->mutex);
    if (impl->log->state().FindCampaign(campaign) == nullptr) {
      return NotFound("there is no campaign {}", campaign);
    }
  }
  CT_ASSIGN_OR_RETURN(const uint64_t stream,
                      impl->streams.AddWatcher(campaign, account, std::move(push)));
  impl->writer->Post([impl, campaign](Batch& batch) {
    batch.published.push_back([impl, campaign] { impl->PublishView(campaign); });
  });
  return stream;
}

void Coordinator::Leave(uint64_t stream) {
  Impl* const impl = impl_.get();
  const uint64_t campaign = impl->streams.Remove(stream);
  if (campaign == 0) return;
  // Somebody fewer to wait for, and something new to see.
  impl->writer->Post([impl, campaign](Batch& batch) {
    batch.published.push_back([impl, campaign] { impl->PublishView(campaign); });
  });
}

StatusOr<uint64_t> Coordinator::CheckRead(std::optional<uint64_t> account, base::BlobKind kind,
                                          const base::Hash& digest) const {
  const std::shared_lock lock(impl_->mutex);
  CT_ASSIGN_OR_RETURN(const uint64_t campaign,
                      MayRead(impl_->log->state(), impl_->marks, account, kind, digest));
  if (!impl_->artifacts->Exists(digest) && impl_->Lapsed(digest, impl_->options.now_ms())) {
    return NotFound("the retention of its campaign is over: the {} blob {} was removed",
                    base::BlobKindName(kind), base::Hex(digest));
  }
  return campaign;
}

Status Coordinator::RecordAccess(Access access) {
  access.time_ms = impl_->options.now_ms();
  return Annotate(impl_->accesses->Append(access),
                  "the fetch cannot be recorded, so it is not served");
}

Status Coordinator::CheckUpload(uint64_t account, const v1::UploadHead& head) const {
  CT_ASSIGN_OR_RETURN(const base::Hash digest, base::HashFromBytes(head.digest()));
  bool named = false;
  {
    const std::shared_lock lock(impl_->mutex);
    CT_RETURN_IF_ERROR(MayUpload(impl_->log->state(), account, head));
    named = !impl_->marks.UsesOf(digest).empty();
  }
  if (!named) {
    CT_RETURN_IF_ERROR(
        impl_->uploads->Note(account, digest, head.size_bytes(), impl_->options.now_ms()));
  }
  if (head.kind() != v1::UPDATE) return OkStatus();
  const std::lock_guard lock(impl_->claims_mutex);
  Impl::Claim& claim = impl_->claims[{head.campaign(), account}];
  if (claim.round != head.round()) claim = {head.round(), head.digest()};
  if (claim.digest == head.digest()) return OkStatus();
  return FailedPrecondition(
      "account {} has begun to upload another update in round {}; only one "
      "is taken",
      account, head.round());
}

void Coordinator::Uploaded(const v1::UploadHead& head) {
  const StatusOr<base::Hash> digest = base::HashFromBytes(head.digest());
  if (head.kind() != v1::UPDATE || !digest.ok()) return;
  {
    const std::shared_lock lock(impl_->mutex);
    const ledger::CampaignState* campaign = impl_->log->state().FindCampaign(head.campaign());
    if (campaign == nullptr || campaign->open.terms().norm_rule() != v1::REJECT) return;
  }
  const StatusOr<unsigned __int128> norm_squared =
      NormSquaredOf(impl_->artifacts->Path(*digest), head.size_bytes() / sizeof(int32_t));
  if (!norm_squared.ok()) return;  // judged again, with its reason, when it is revealed
  const std::lock_guard lock(impl_->norms_mutex);
  impl_->norms[{head.campaign(), *digest}] = *norm_squared;
}

ledger::ArtifactStore& Coordinator::artifacts() { return *impl_->artifacts; }

StatusOr<uint64_t> Coordinator::ResolveAccount(std::string_view name) const {
  if (name == "operator") return uint64_t{0};
  uint64_t number = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool is_number = parsed.ec == std::errc() && parsed.ptr == name.data() + name.size();
  const std::shared_lock lock(impl_->mutex);
  std::vector<uint64_t> found;
  for (const auto& [account, info] : impl_->log->state().accounts()) {
    if (is_number ? account == number : info.name == name) found.push_back(account);
  }
  if (found.size() == 1) return found.front();
  if (found.empty())
    return NotFound(
        "there is no account '{}': it is \"operator\", a number, or the name somebody joined "
        "with",
        name);
  return InvalidArgument("{} accounts are called '{}': give a number, such as {}", found.size(),
                         name, found.front());
}

Status Coordinator::WriteBundle(const std::function<Status(std::string_view)>& sink) const {
  uint64_t size = 0;
  std::string note;
  {
    const std::shared_lock lock(impl_->mutex);
    size = impl_->log->size();
    note = impl_->log->checkpoint();
  }
  return ledger::WriteBundle(*impl_->store, size, note, sink);
}

StatusOr<Coordinator::Exported> Coordinator::Export(const std::string& directory,
                                                    bool with_artifacts) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return ErrnoStatus(error.value(), directory);
  const std::string path = directory + "/log.bundle";
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  CT_RETURN_IF_ERROR(WriteBundle([&](std::string_view bytes) -> Status {
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return file.good() ? OkStatus() : Unavailable("{}: cannot write; is the disk full?", path);
  }));
  file.close();
  if (!file.good()) return Unavailable("{}: cannot write; is the disk full?", path);
  Exported counts;
  counts.entries = log_size();
  if (!with_artifacts) return counts;
  {
    const std::shared_lock lock(impl_->mutex);
    for (const base::Hash& digest : impl_->marks.Blobs()) {
      const bool lapsed = impl_->Lapsed(digest, impl_->options.now_ms());
      if (lapsed && !impl_->artifacts->Exists(digest)) ++counts.lapsed;
    }
  }

  std::filesystem::create_directories(directory + "/artifacts", error);
  if (error) return ErrnoStatus(error.value(), directory + "/artifacts");
  CT_ASSIGN_OR_RETURN(const std::vector<base::Hash> digests, impl_->artifacts->List());
  for (const base::Hash& digest : digests) {
    {
      const std::shared_lock lock(impl_->mutex);
      if (!Exportable(impl_->log->state(), impl_->marks, digest)) continue;
    }
    const std::string to = directory + "/artifacts/" + base::Hex(digest);
    std::filesystem::copy_file(impl_->artifacts->Path(digest), to,
                               std::filesystem::copy_options::overwrite_existing, error);
    if (error) return ErrnoStatus(error.value(), to);
    ++counts.artifacts;
  }
  return counts;
}

}  // namespace crowdteach::server
