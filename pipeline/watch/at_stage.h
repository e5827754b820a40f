#pragma once

#include <array>
#include <cstddef>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "engine/base/result.h"
#include "pipeline/watch/timeline.h"

namespace mmbatch {

/// The value of work that has none.
struct Nothing {};

/// Numbers that a call of a stage wants to see beside it in the trace, known when it ends.
class CallNumbers {
 public:
  void add(const char* name, std::size_t value) {
    if (count_ < numbers_.size()) numbers_[count_++] = {name, static_cast<double>(value)};
  }
  std::span<const Timeline::Number> numbers() const { return std::span(numbers_).first(count_); }

 private:
  std::array<Timeline::Number, 4> numbers_{};
  std::size_t count_ = 0;
};

/// Runs a call of a stage: the only place where stages are timed, counted and traced, and where what they
/// throw becomes an Error. A FatalError goes on to whoever ends the run.
/// @param item for whom, if it is one item   @param work may take CallNumbers&
template <class Work>
auto at_stage(Timeline& timeline, Stage stage, std::string_view item, Work&& work) {
  CallNumbers numbers;
  const auto begin = timeline.begins(stage);
  const auto call = [&]() -> decltype(auto) {
    if constexpr (std::is_invocable_v<Work, CallNumbers&>)
      return work(numbers);
    else
      return work();
  };
  auto result = guarded([&] {
    try {
      if constexpr (std::is_void_v<decltype(call())>)
        return call(), Nothing{};
      else
        return call();
    } catch (const std::bad_alloc&) {
      throw ItemError(ErrorCode::internal, "out of memory while " + std::string(row_of(stage).name));
    }
  });
  timeline.add(stage, begin, numbers.numbers(), item);
  if (!result.ok()) timeline.failed(stage);
  return result;
}

/// For work that serves no single item: what goes wrong in it ends the run.  @throws FatalError
template <class T>
T or_end_run(Result<T> result) {
  if (!result.ok()) throw FatalError(result.error().message);
  return std::move(result.value());
}

}  // namespace mmbatch
