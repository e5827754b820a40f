#pragma once

namespace mmbatch {

/// The one lower-case code point of `c`, or `c`: the simple mappings of Unicode 14.
char32_t lower_case(char32_t c);

}  // namespace mmbatch
