#include "learning/aggregate/update_set.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "learning/aggregate/kernels.h"
#include "learning/fixed_point.h"
#include "proto/base/assert.h"

namespace crowdteach::learning {
namespace {

constexpr uint64_t kMaxU32 = std::numeric_limits<uint32_t>::max();

Status CheckTeacher(const TeacherUpdate& teacher, uint64_t parameters) {
  CT_ASSERT(teacher.values != nullptr);
  if (teacher.weight == 0) {
    return InvalidArgument("the weight of account {} is 0; leave it out instead", teacher.account);
  }
  if (teacher.clip_factor > kMaxU32) {
    return InvalidArgument("the clip factor {} of account {} is 2^32 or more", teacher.clip_factor,
                           teacher.account);
  }
  if (teacher.values->count() != parameters) {
    return InvalidArgument("the update of account {} has {} values, the model trains {}",
                           teacher.account, teacher.values->count(), parameters);
  }
  return OkStatus();
}

}  // namespace

StatusOr<UpdateSet> UpdateSet::Make(std::vector<TeacherUpdate> teachers, uint64_t parameters) {
  if (teachers.empty()) return InvalidArgument("there is no update to aggregate");
  if (parameters == 0 || parameters > kMaxParameters) {
    return InvalidArgument("{} trainable parameters; 1 to 2^31 are possible", parameters);
  }
  std::sort(teachers.begin(), teachers.end(),
            [](const TeacherUpdate& a, const TeacherUpdate& b) { return a.account < b.account; });
  UpdateSet set;
  for (size_t i = 0; i < teachers.size(); ++i) {
    CT_RETURN_IF_ERROR(CheckTeacher(teachers[i], parameters));
    if (i > 0 && teachers[i].account == teachers[i - 1].account) {
      return InvalidArgument("account {} has two updates", teachers[i].account);
    }
    if (teachers[i].weight > kMaxU32 - set.total_weight_) {
      return InvalidArgument("the weights sum to 2^32 or more; lower max_examples or teachers");
    }
    set.total_weight_ += teachers[i].weight;
  }
  set.teachers_ = std::move(teachers);
  set.parameters_ = parameters;
  return set;
}

Status UpdateSet::Read(size_t i, uint64_t first, std::span<int32_t> out) const {
  const TeacherUpdate& teacher = teachers_[i];
  Status status = teacher.values->Read(first, out);
  if (!status.ok()) {
    return Annotate(status, fmt::format("the update of account {}", teacher.account));
  }
  if (teacher.clip_factor != 0) Clip(teacher.clip_factor, out);
  return OkStatus();
}

Status UpdateSet::ReadSum(uint64_t first, std::span<int64_t> sums,
                          std::span<int32_t> scratch) const {
  std::fill(sums.begin(), sums.end(), 0);
  for (size_t i = 0; i < teachers_.size(); ++i) {
    CT_RETURN_IF_ERROR(Read(i, first, scratch));
    AccumulateScaled(static_cast<int64_t>(teachers_[i].weight), scratch, sums);
  }
  return OkStatus();
}

}  // namespace crowdteach::learning
