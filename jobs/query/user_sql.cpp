#include "jobs/query/user_sql.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <string_view>

#include "engine/base/error.h"

namespace mmbatch {
namespace {

void refuse_parameters(const Database& database, const std::string& sql, const char* option) {
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v2(database.handle(), sql.c_str(), -1, &statement, nullptr);
  const int parameters = sqlite3_bind_parameter_count(statement);
  sqlite3_finalize(statement);
  if (parameters == 0) return;
  throw UsageError(
      fmt::format("{}: has a parameter ('?' or a name after ':', '@' or '$'), which has no value "
                  "here: write the value itself",
                  option));
}

bool can_be_prepared(Database& database, const std::string& sql) {
  try {
    database.prepare_user_query(sql);
    return true;
  } catch (const UsageError&) {
    return false;
  }
}

}  // namespace

void allow_reading_only(Database& database) {
  database.prepare("SELECT 1 FROM texts, json_each('[]') LIMIT 0").step();
  database.forbid_writing();
}

Statement prepare_select(Database& database, const std::string& sql) {
  Statement statement = database.prepare_user_query(sql);
  refuse_parameters(database, sql, "--sql");
  return statement;
}

void check_condition(Database& database, const std::string& condition, const std::string& from) {
  constexpr std::string_view kBlank = " \t\r\n";
  if (condition.find_first_not_of(kBlank) == std::string::npos)
    throw UsageError("--where: must not be empty; leave the option out");
  try {
    const std::string alone = fmt::format("SELECT 1 FROM {} WHERE {}", from, condition);
    database.prepare_user_query(alone);
    refuse_parameters(database, alone, "the condition");
  } catch (const UsageError& e) {
    throw UsageError(fmt::format("--where '{}': {}", condition, e.what()));
  }
  // A condition fits into both; what closes or opens more than it should, or continues with LIMIT, into one
  // at most.
  const bool is_one =
      can_be_prepared(database, fmt::format("SELECT 1 FROM {} WHERE ({}\n)", from, condition)) &&
      can_be_prepared(database, fmt::format("SELECT CASE WHEN {}\n THEN 1 END FROM {}", condition, from));
  if (!is_one) {
    throw UsageError(
        fmt::format("--where '{}': must be one condition, with as many '(' as ')' and nothing "
                    "after it, such as LIMIT; --sql takes whole statements",
                    condition));
  }
}

}  // namespace mmbatch
