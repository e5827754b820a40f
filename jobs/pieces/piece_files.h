#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "jobs/pieces/piece_folder.h"

namespace mmbatch {

// The files of a folder of pieces.

/// "000012"
std::string piece_name(std::uint64_t piece);
const char* name_of(Shard::By by);

/// A file of one of the folders waiting, taken and done.
struct PieceFile {
  std::uint64_t piece = 0;
  std::string worker;  // in taken
  std::filesystem::path path;
};
/// By number. Files of other names are left out.  @throws DatabaseError when the folder cannot be read
std::vector<PieceFile> list_pieces(const std::filesystem::path& folder);

/// When a file was changed, in nanoseconds by its file system's clock; none when it is not there. The file is
/// opened, so that a network file system asks for it anew.
std::optional<std::int64_t> modified_ns(const std::filesystem::path& file);

/// Makes the folder with all its files, under another name, and puts it in place at once; whoever comes
/// second throws its own away.  @throws OutputError when it cannot be made, UsageError when something else is
/// there
void make_piece_folder(const std::filesystem::path& folder, const PiecePlan& plan);
/// @throws UsageError
PiecePlan read_plan(const std::filesystem::path& folder);

/// Writes into a file that is there; false when it is not.
bool write_progress(const std::filesystem::path& file, const PieceProgress& progress);
/// What can be read of it.
PieceProgress read_progress(const std::filesystem::path& file);

}  // namespace mmbatch
