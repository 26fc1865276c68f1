#include "client/teacher.h"

#include <utility>

#include "client/joining.h"
#include "client/records.h"
#include "client/teaching.h"
#include "client/wallet.h"
#include "learning/fixed_point.h"

namespace crowdteach {

struct Teacher::Impl {
  TeacherOptions options;
  client::Joined joined;
  uint64_t campaign = 0;  // taught last
};

Teacher::Teacher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Teacher::Teacher(Teacher&&) noexcept = default;
Teacher& Teacher::operator=(Teacher&&) noexcept = default;
Teacher::~Teacher() = default;

StatusOr<Teacher> Teacher::Join(const std::string& invite, const std::string& home,
                                TeacherOptions options) {
  const client::JoinOptions join{
      .home = home, .invite_path = invite, .server = options.server, .name = options.name};
  auto impl = std::make_unique<Impl>();
  CT_ASSIGN_OR_RETURN(impl->joined, client::Join(join, v1::TEACHER, client::Account::kMayOpen));
  impl->options = std::move(options);
  return Teacher(std::move(impl));
}

Status Teacher::Teach(Trainer& trainer, Observer& observer, const std::stop_token& stop) {
  return client::Teach(&impl_->joined, impl_->options, trainer, observer, stop, &impl_->campaign);
}

uint64_t Teacher::campaign() const { return impl_->campaign; }

StatusOr<Balance> Teacher::GetBalance() {
  client::Joined& joined = impl_->joined;
  std::unique_ptr<client::Session> session = std::move(joined.session);
  if (session == nullptr) {
    CT_ASSIGN_OR_RETURN(session,
                        client::Session::Connect(joined.home.get(), joined.session_options));
  }
  const Status fetched = session->FetchReceipts();
  // One that is too old to list entries: what came by itself is all there is.
  if (!fetched.ok() && !absl::IsFailedPrecondition(fetched)) return fetched;
  CT_ASSIGN_OR_RETURN(const client::Records records,
                      client::ReadRecords(joined.home->path(), std::nullopt));
  const client::Wallet wallet = client::MakeWallet(session->account(), records.Entries());
  joined.session = std::move(session);
  Balance balance{.account = wallet.account, .name = wallet.name, .available = wallet.available};
  for (const client::CampaignMoney& money : wallet.campaigns) {
    balance.stakes.push_back(
        {money.campaign, money.stake, money.held, learning::FromQ32(money.score_q32)});
  }
  return balance;
}

}  // namespace crowdteach
