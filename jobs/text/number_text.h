#pragma once

#include <string>

namespace mmbatch {

/// The shortest text that reads back as the same number.
std::string exact_number(double value);

/// For people: six significant digits, but below 1e15 all that stand before the point and two behind it.
std::string readable_number(double value);

}  // namespace mmbatch
