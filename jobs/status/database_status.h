#pragma once

#include <filesystem>
#include <string>

#include "jobs/status/status.h"

namespace mmbatch {

/// A database's run that is at work, or its last one.
struct DatabaseStatus {
  PartStatus part;
  std::string manifest;  // of that run; empty: there is none
};

/// @throws DatabaseError
DatabaseStatus read_database_status(const std::filesystem::path& file);

}  // namespace mmbatch
