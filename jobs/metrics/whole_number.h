#pragma once

#include <string_view>

namespace mmbatch {

/// Whether both texts write the same whole number, such as "2" and "2.0": tables that were made by pandas
/// have a fraction where a column has gaps. Other spellings of a number ("3.1" and "3.10") differ, as
/// versions and prices do.
bool same_whole_number(std::string_view a, std::string_view b);

}  // namespace mmbatch
