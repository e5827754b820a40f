#pragma once

namespace mmbatch {

/// The program: parses the command line, runs the command, prints errors on stderr.
/// @return the documented exit code
int run_command_line(int argc, const char* const* argv);

}  // namespace mmbatch
