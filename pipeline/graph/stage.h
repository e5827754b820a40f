#pragma once

#include <string_view>

namespace mmbatch {

/// A node of the flow graph; the column `error_stage` of the database.
enum class Stage { read, image, text, fuse, decode, store };
std::string_view to_string(Stage stage);

}  // namespace mmbatch
