#pragma once

#include <string>
#include <string_view>

namespace mmbatch {

/// Text as it may be written between tags and in attributes with quotes. Bytes that are not UTF-8 become
/// U+FFFD.
std::string html_text(std::string_view text);

/// JSON as it may be written in a <script type="application/json">: no tag can begin or end in it.
std::string script_json(std::string_view json);

}  // namespace mmbatch
