#include "client/teacher.h"

#include <utility>

#include "client/joining.h"
#include "client/teaching.h"
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
  const client::JoinOptions join{.home = home, .invite_path = invite, .name = options.name};
  auto impl = std::make_unique<Impl>();
  CT_ASSIGN_OR_RETURN(impl->joined, client::Join(join, v1::TEACHER, client::Account::kMayOpen));
  impl->options = std::move(options);
  return Teacher(std::move(impl));
}

Status Teacher::Teach(Trainer& trainer, Observer& observer, std::stop_token stop) {
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
  CT_ASSIGN_OR_RETURN(const v1::GetAccountReply account, session->GetAccount());
  joined.session = std::move(session);
  Balance balance{
      .account = account.account(), .name = account.name(), .available = account.available()};
  for (const auto& stake : account.stakes()) {
    balance.stakes.push_back(
        {stake.campaign(), stake.stake(), stake.held(), learning::FromQ32(stake.score_q32())});
  }
  return balance;
}

}  // namespace crowdteach
