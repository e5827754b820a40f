#include "jobs/query/top_values.h"

#include <sqlite3.h>

#include <memory>
#include <queue>
#include <string>
#include <variant>

#include "jobs/results/database.h"

namespace mmbatch {
namespace {

/// In SQLite's order: NULL, numbers, texts by their bytes.
using Value = std::variant<std::monostate, double, std::string>;

Value value_of(sqlite3_value* value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_NULL:
      return {};
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
      return sqlite3_value_double(value);
    default:
      return std::string(reinterpret_cast<const char*>(sqlite3_value_text(value)),
                         static_cast<std::size_t>(sqlite3_value_bytes(value)));
  }
}

/// The first values of those that were counted.
class TopValues {
 public:
  TopValues(std::uint64_t limit, SortOrder order) : limit_(limit), before_{order}, first_(before_) {}

  bool may_be_first(const Value& value) const {
    return first_.size() < limit_ || (limit_ > 0 && !before_(first_.top(), value));
  }
  void count(Value value) {
    if (limit_ == 0) return;
    if (first_.size() == limit_) {
      if (!before_(value, first_.top())) return;
      first_.pop();
    }
    first_.push(std::move(value));
  }

 private:
  struct Before {
    SortOrder order;
    bool operator()(const Value& a, const Value& b) const {
      return order == SortOrder::ascending ? a < b : b < a;
    }
  };
  std::uint64_t limit_;
  Before before_;
  std::priority_queue<Value, std::vector<Value>, Before> first_;  // the last of them on top
};

using Shared = std::shared_ptr<TopValues>;

TopValues& values_of(sqlite3_context* context) {
  return **static_cast<Shared*>(sqlite3_user_data(context));
}

void may_be_first(sqlite3_context* context, int, sqlite3_value** values) {
  sqlite3_result_int(context, values_of(context).may_be_first(value_of(values[0])) ? 1 : 0);
}

void count_first(sqlite3_context* context, int, sqlite3_value** values) {
  values_of(context).count(value_of(values[0]));
  sqlite3_result_int(context, 1);
}

}  // namespace

void add_top_values(Database& database, std::uint64_t limit, SortOrder order) {
  const auto shared = std::make_shared<TopValues>(limit, order);
  const auto add = [&](const char* name, auto* function) {
    const int code =
        sqlite3_create_function_v2(database.handle(), name, 1, SQLITE_UTF8, new Shared(shared), function,
                                   nullptr, nullptr, [](void* own) { delete static_cast<Shared*>(own); });
    if (code != SQLITE_OK) throw_database_error(database.handle(), code, database.file());
  };
  add("may_be_first", may_be_first);
  add("count_first", count_first);
}

}  // namespace mmbatch
