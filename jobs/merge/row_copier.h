#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "jobs/results/database.h"

namespace mmbatch {

/// Copies rows of a table from one database to another of the same version, each under a key of its own.
class RowCopier {
 public:
  /// @param anew columns that get new values; all others, whatever they are, are copied as they are
  RowCopier(Database& out, Database& in, const std::string& table, const std::vector<std::string>& anew);

  /// @param bind_anew binds the columns of `anew`, as parameters 1, 2, … in their order
  /// @return the new row's key
  std::int64_t copy(std::int64_t key, const std::function<void(Statement&)>& bind_anew);

 private:
  Database& out_;
  std::vector<std::string> copied_;
  int first_copied_;  // parameter
  Statement select_, insert_;
};

}  // namespace mmbatch
