#include "jobs/media/deadline.h"

#include <fmt/format.h>

#include "engine/base/error.h"

namespace mmbatch {

Deadline::Deadline(Clock::time_point begin, std::chrono::milliseconds allowed) : allowed_(allowed) {
  if (allowed.count() > 0) time_ = begin + allowed;
}

bool Deadline::passed() const {
  return time_ != Clock::time_point::max() && Clock::now() >= time_;
}

std::string Deadline::message() const {
  return fmt::format("not answered within {} s (--item-timeout)",
                     std::chrono::duration<double>(allowed_).count());
}

void Deadline::check() const {
  if (passed()) throw ItemError(ErrorCode::timeout, message());
}

}  // namespace mmbatch
