#pragma once

#include <exception>
#include <new>
#include <type_traits>
#include <utility>
#include <variant>

#include "engine/base/error.h"

namespace mmbatch {

/// A value, or the Error of the item it was to be made for.
template <class T>
class Result {
 public:
  /// Nothing yet: an internal error. (The flow graph's message types must be default constructible.)
  Result() : content_(std::in_place_index<1>) {}
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(runtime/explicit)
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(runtime/explicit)

  bool ok() const { return content_.index() == 0; }
  explicit operator bool() const { return ok(); }
  const T& value() const { return std::get<0>(content_); }
  T& value() { return std::get<0>(content_); }
  const Error& error() const { return std::get<1>(content_); }

 private:
  std::variant<T, Error> content_;
};

/// Runs work for one item. No exception leaves it but FatalError: every fault becomes the item's Error.
template <class F>
auto guarded(F&& work) -> Result<std::invoke_result_t<F>> {
  try {
    return std::forward<F>(work)();
  } catch (const ItemError& e) {
    return Error{e.code(), e.what()};
  } catch (const FatalError&) {
    throw;
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::internal, "out of memory"};
  } catch (const std::exception& e) {
    return Error{ErrorCode::internal, e.what()};
  }
}

}  // namespace mmbatch
