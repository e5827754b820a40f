#pragma once

#include <string_view>

namespace mmbatch {

/// Writes a message and a newline to stderr. Its content may come from items, files, models and
/// databases: it is shown as visible() shows it.
void say(std::string_view message);

/// Lets the log (spdlog), too, write what it is given as visible() shows it. Called when the program starts.
void make_log_visible();

}  // namespace mmbatch
