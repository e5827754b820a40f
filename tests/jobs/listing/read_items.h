#pragma once

#include <string>
#include <vector>

#include "tests/jobs/helpers.h"

namespace mmbatch::testing {

inline std::vector<std::string> faults_of(const std::vector<ReadItem>& items) {
  std::vector<std::string> out;
  for (const ReadItem& item : items) out.push_back(fault(item));
  return out;
}

inline std::vector<std::string> ids_of(const std::vector<ReadItem>& items) {
  std::vector<std::string> out;
  for (const ReadItem& item : items) out.push_back(item.item->id);
  return out;
}

}  // namespace mmbatch::testing
