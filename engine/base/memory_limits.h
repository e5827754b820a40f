#pragma once

#include <cstddef>
#include <optional>

namespace mmbatch {

/// The first number of a file of the control group; none where the file is missing or says "max".
std::optional<double> control_group_number(const char* file);

/// Bytes that the control group allows all its processes; none where nothing below `memory` limits them.
/// @param memory of the machine, in bytes
std::optional<std::size_t> control_group_memory(std::size_t memory);

/// Bytes of the machine's memory.
std::size_t machine_memory();

/// Bytes that this process can have at most, whatever others do: the machine's memory, no more than its
/// control group and the limit of its address space (RLIMIT_AS) allow.
std::size_t memory_at_most();

/// Bytes that a plan for this process may count on: what is free on the machine, no more than its control
/// group allows, and no more than is left of its address space (RLIMIT_AS).
std::size_t memory_to_plan_with();

}  // namespace mmbatch
