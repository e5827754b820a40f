#pragma once

#include <filesystem>
#include <iosfwd>

namespace mmbatch {

/// Writes what a checkpoint folder is and what it needs: family, widths, stored weights, memory. Nothing is
/// packed or computed.  @throws ModelError that says what is missing or not supported
void inspect(const std::filesystem::path& folder, std::ostream& out);

}  // namespace mmbatch
