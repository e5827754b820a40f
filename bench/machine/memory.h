#pragma once

#include <cstddef>
#include <string>

namespace mmbatch::bench {

/// Bytes of memory that this process holds now, pages of mapped files included, after it gave back what is free.
std::size_t resident_bytes();

/// What a model takes beside what inspect computes, for people.
std::string memory_text(double held, double computed);

}  // namespace mmbatch::bench
