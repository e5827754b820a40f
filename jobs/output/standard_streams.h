#pragma once

#include <functional>
#include <optional>
#include <string>

#include "jobs/output/file_identity.h"

namespace mmbatch {

/// The streams that every command may write to, which a shell may have led into files.
enum class StandardStream { output, error };

/// Of the file that the stream was led into, if it is one.
std::optional<FileIdentity> identity_of(StandardStream stream);

/// Called before anything is written.
/// @param fault of a stream that was led into a file: what is wrong with that; empty: nothing
/// @throws UsageError that says so. What is written to standard error from then on, that message included,
/// goes elsewhere when it would go into a file that was found wrong: to the standard output, to the terminal,
/// or nowhere
void check_standard_streams(
    const std::function<std::string(StandardStream stream, const FileIdentity& file)>& fault);

/// By that name the file can be read that the stream was led into.
std::string name_in_proc(StandardStream stream);

}  // namespace mmbatch
