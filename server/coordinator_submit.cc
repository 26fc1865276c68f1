// Submitting: other people's intents on their way into a batch.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "ledger/canonical.h"
#include "server/account_names.h"
#include "server/coordinator_impl.h"

namespace crowdteach::server {

std::optional<uint64_t> Coordinator::Impl::FindLogged(const v1::Intent& intent,
                                                      const v1::SignedIntent& signed_intent,
                                                      const Batch& batch) const {
  const auto same = [&](const v1::Entry& entry) {
    return entry.intent().payload() == signed_intent.payload();
  };
  for (const ledger::LoggedEntry& logged : batch.logged) {
    if (same(logged.entry)) return logged.entry.index();
  }
  std::optional<uint64_t> index;
  if (intent.has_account_open()) {
    index = log->state().AccountOfKey(intent.account_open().key());
  } else {
    index = marks.IndexOf(intent.account(), intent.sequence());
  }
  if (!index.has_value() || *index >= log->size()) return std::nullopt;
  const StatusOr<std::string> bytes = store->ReadEntry(*index);
  if (!bytes.ok()) return std::nullopt;
  const StatusOr<ledger::LoggedEntry> logged = ledger::DecodeEntry(*bytes);
  if (!logged.ok() || !same(logged->entry)) return std::nullopt;
  return index;
}

Status Coordinator::Impl::CheckArtifacts(const v1::Intent& intent) const {
  for (const std::string& bytes : ForeignBlobsOf(intent)) {
    CT_ASSIGN_OR_RETURN(const base::Hash digest, base::HashFromBytes(bytes));
    if (artifacts->Exists(digest)) continue;
    return FailedPrecondition("the blob {} is not here; upload it before its {}", base::Hex(digest),
                              intent.has_update_reveal() ? "reveal" : "campaign is opened");
  }
  return OkStatus();
}

StatusOr<v1::RejectReason> Coordinator::Impl::Judge(uint64_t campaign, const base::Hash& update) {
  const v1::CampaignOpen& open = log->state().FindCampaign(campaign)->open;
  std::error_code error;
  const std::string path = artifacts->Path(update);
  const uintmax_t size_bytes = std::filesystem::file_size(path, error);
  if (error) return ErrnoStatus(error.value(), path);
  if (size_bytes != open.parameters() * sizeof(int32_t)) return v1::SHAPE;
  const v1::Terms& terms = open.terms();
  if (terms.norm_rule() != v1::REJECT) return v1::REJECT_REASON_UNSPECIFIED;
  const std::lock_guard lock(norms_mutex);
  auto known = norms.find({campaign, update});
  if (known == norms.end()) {
    CT_ASSIGN_OR_RETURN(const unsigned __int128 norm_squared,
                        NormSquaredOf(path, open.parameters()));
    known = norms.emplace(std::pair(campaign, update), norm_squared).first;
  }
  const unsigned __int128 cap = terms.norm_cap();
  const bool over = known->second > cap * cap;
  norms.erase(known);  // an update is judged once
  return over ? v1::NORM : v1::REJECT_REASON_UNSPECIFIED;
}

void Coordinator::Impl::ForgetNorms(uint64_t campaign) {
  const std::lock_guard lock(norms_mutex);
  std::erase_if(norms, [&](const auto& norm) { return norm.first.first == campaign; });
}

Status Coordinator::Impl::RejectIfUnfit(const v1::Intent& intent, Batch* batch) {
  const v1::UpdateReveal& reveal = intent.update_reveal();
  CT_ASSIGN_OR_RETURN(const base::Hash digest, base::HashFromBytes(reveal.update_digest()));
  CT_ASSIGN_OR_RETURN(const v1::RejectReason reason, Judge(reveal.campaign(), digest));
  if (reason == v1::REJECT_REASON_UNSPECIFIED) return OkStatus();
  v1::Intent body;
  v1::UpdateReject* reject = body.mutable_update_reject();
  reject->set_campaign(reveal.campaign());
  reject->set_round(reveal.round());
  reject->set_account(intent.account());
  reject->set_reason(reason);
  return engine->DraftOwn(std::move(body), batch).status();
}

StatusOr<uint64_t> Coordinator::Impl::DraftForeign(const v1::SignedIntent& signed_intent,
                                                   Batch* batch) {
  CT_ASSIGN_OR_RETURN(const v1::Intent intent, ledger::DecodeIntent(signed_intent.payload()));
  if (const auto index = FindLogged(intent, signed_intent, *batch)) return *index;
  if (intent.has_campaign_open() || intent.has_account_open()) {
    CT_RETURN_IF_ERROR(log->state().Postings(signed_intent, batch->now_ms).status());
  }
  // Of whoever has an invite: nobody else learns who is here.
  if (intent.has_account_open()) {
    CT_RETURN_IF_ERROR(CheckNewName(log->state(), intent.account_open().name()));
  }
  // Under the lock, so that no sweep comes between this and the commit.
  CT_RETURN_IF_ERROR(CheckArtifacts(intent));
  CT_ASSIGN_OR_RETURN(ledger::LoggedEntry logged, log->Draft(signed_intent, batch->now_ms));
  const uint64_t index = logged.entry.index();
  batch->logged.push_back(std::move(logged));
  if (intent.has_update_reveal()) {
    const Status judged = RejectIfUnfit(intent, batch);
    // The reveal stands; the aggregate job will meet the same trouble and say so.
    if (!judged.ok()) spdlog::error("an uploaded update cannot be judged: {}", Message(judged));
  }
  return index;
}

void Coordinator::Impl::Answer(StatusOr<uint64_t> drafted, uint64_t account,
                               const std::function<void(SubmitOutcome)>& done, Batch* batch) {
  batch->after.push_back(
      [this, drafted = std::move(drafted), account, done](const Status& committed) {
        SubmitOutcome outcome;
        {
          const std::shared_lock lock(mutex);
          outcome.status = drafted.ok() ? committed : drafted.status();
          if (outcome.status.ok()) {
            outcome.index = *drafted;
            outcome.receipt = MakeReceipt(*drafted);
          }
          const ledger::Account* found = log->state().FindAccount(account);
          outcome.next_sequence = found == nullptr ? 0 : found->next_sequence;
          outcome.log_time_ms = std::max(options.now_ms(), log->state().last_time_ms());
        }
        done(std::move(outcome));
      });
}

void Coordinator::Impl::SubmitNow(const v1::SignedIntent& signed_intent,
                                  const std::function<void(SubmitOutcome)>& done, Batch* batch) {
  const StatusOr<v1::Intent> intent = ledger::DecodeIntent(signed_intent.payload());
  const uint64_t account = intent.ok() ? intent->account() : 0;
  Answer(DraftForeign(signed_intent, batch), account, done, batch);
}

void Coordinator::Submit(v1::SignedIntent signed_intent, std::function<void(SubmitOutcome)> done) {
  Impl* const impl = impl_.get();
  const auto post = [impl](v1::SignedIntent sealed, std::function<void(SubmitOutcome)> tell) {
    impl->writer->Post([impl, sealed = std::move(sealed), tell = std::move(tell)](Batch& batch) {
      impl->SubmitNow(sealed, tell, &batch);
    });
  };
  const StatusOr<v1::Intent> intent = ledger::DecodeIntent(signed_intent.payload());
  if (!intent.ok() || !intent->has_campaign_open()) {
    return post(std::move(signed_intent), std::move(done));
  }
  {
    // What is illegal anyway, or logged already, needs no look at the model.
    const std::shared_lock lock(impl->mutex);
    if (!impl->log->state().Postings(signed_intent, impl->options.now_ms()).ok()) {
      return post(std::move(signed_intent), std::move(done));
    }
  }
  impl->jobs->CheckOpening(
      intent->campaign_open(),
      [impl, post, account = intent->account(), sealed = std::move(signed_intent),
       done = std::move(done)](const Status& checked) mutable {
        if (checked.ok()) return post(std::move(sealed), std::move(done));
        impl->writer->Post([impl, checked, account, done = std::move(done)](Batch& batch) {
          impl->Answer(checked, account, done, &batch);
        });
      });
}

void Coordinator::Issue(uint64_t to, uint64_t amount, std::string reference,
                        std::function<void(SubmitOutcome)> done) {
  constexpr uint64_t kIssuer = 1;
  Impl* const impl = impl_.get();
  impl->writer->Post([=, reference = std::move(reference), done = std::move(done)](Batch& batch) {
    const ledger::State& state = impl->log->state();
    v1::Intent intent;
    intent.set_genesis(base::Bytes(state.genesis_hash()));
    intent.set_account(kIssuer);
    intent.set_sequence(state.FindAccount(kIssuer)->next_sequence);
    intent.set_not_after_ms(std::max(batch.now_ms, state.last_time_ms()) +
                            ledger::kMaxNotAfterMs / 2);
    intent.mutable_issue()->set_to(to);
    intent.mutable_issue()->set_amount(amount);
    intent.mutable_issue()->set_reference(reference);
    const v1::SignedIntent sealed = ledger::SignIntent(intent, impl->keys->issuer_key);
    impl->SubmitNow(sealed, done, &batch);
  });
}

void Coordinator::Invite(std::string token_key, v1::Role role, uint32_t uses, uint64_t expires_ms,
                         uint64_t stake_grant, std::function<void(SubmitOutcome)> done) {
  Impl* const impl = impl_.get();
  v1::Intent body;
  v1::Invite* invite = body.mutable_invite();
  invite->set_token_key(std::move(token_key));
  invite->set_role(role);
  invite->set_uses(uses);
  invite->set_expires_ms(expires_ms);
  invite->set_stake_grant(stake_grant);
  impl->writer->Post([impl, body = std::move(body), done = std::move(done)](Batch& batch) {
    impl->Answer(impl->engine->DraftOwn(body, &batch), 0, done, &batch);
  });
}

}  // namespace crowdteach::server
