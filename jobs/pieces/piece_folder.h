#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "jobs/listing/shard.h"

namespace mmbatch {

/// How a list is cut into pieces that workers take. Made once, by whichever worker comes first.
struct PiecePlan {
  std::uint64_t pieces = 0;
  Shard::By by = Shard::By::automatic;
  std::uint64_t items = 0;  // of the whole list
  std::string work;         // hex: what the pieces are of; another manifest, model or setting has another
};

/// What a worker has done of a piece.
struct PieceProgress {
  std::string worker;
  std::uint64_t items = 0;      // stored, failed ones included
  std::uint64_t failed = 0;     // of them
  double items_per_second = 0;  // of the worker, in all its pieces, lately
};

/// A folder that workers on many machines share, and take pieces of a list from. A piece is an empty file
/// whose folder says how far it is: `waiting/000012`, `taken/000012.WORKER`, `done/000012`; renaming it,
/// which is atomic on every file system that machines share, is taking it. A taken piece whose file was not
/// touched for the time of the lease may be taken by another. Times are those that the file system gives, of
/// this folder's files alone: no machine's clock plays a part. What a worker stored of a piece that it lost
/// is as good as the other's: answers are the same, and merging takes one of them. Not thread-safe.
class PieceFolder {
 public:
  /// @param worker letters, digits, '.', '-' and '_'; no other worker of this folder has the name
  PieceFolder(std::filesystem::path folder, std::string worker, std::chrono::milliseconds lease);

  /// Lays the pieces out, unless another worker did.
  /// @param plan pieces 0: as many as there are, or 128; by automatic: as the first worker had it
  /// @throws UsageError when the folder holds something else, or the pieces of other work
  void lay_out(const PiecePlan& plan);
  const PiecePlan& plan() const { return plan_; }

  /// Takes a piece: first those that this worker left behind when it was killed, then new ones, then those of
  /// workers whose leases ran out. None: all others are done, or their workers are alive.
  std::optional<std::uint64_t> take();
  /// Says that the piece is being worked on.  @return false: another worker has it now
  bool renew(std::uint64_t piece, const PieceProgress& progress);
  /// @return false: another worker has it, and will finish it
  bool finish(std::uint64_t piece, const PieceProgress& progress);
  /// For another worker, or a later run.
  void give_back(std::uint64_t piece);
  bool all_done() const;
  std::chrono::milliseconds lease() const { return lease_; }

 private:
  std::filesystem::path taken(std::uint64_t piece) const;
  bool write(std::uint64_t piece, PieceProgress progress);
  bool take_new(std::uint64_t piece);
  bool take_from(const std::filesystem::path& file, std::uint64_t piece);
  /// Nanoseconds on the file system's clock.
  std::int64_t now() const;

  std::filesystem::path folder_;
  std::string worker_;
  std::chrono::milliseconds lease_;
  PiecePlan plan_;
  std::vector<std::uint64_t> left_behind_;  // by this worker, when it was killed
};

/// Names become parts of file names.  @throws UsageError that says what a worker may be called
void check_worker_name(const std::string& name);
/// This process, as a name of a worker: host and process number.
std::string default_worker_name();

/// Whether a folder holds pieces.
bool is_piece_folder(const std::filesystem::path& folder);

/// One piece as others see it.
struct PieceState {
  enum class Kind { waiting, taken, done };
  std::uint64_t piece = 0;
  Kind kind = Kind::waiting;
  PieceProgress progress;     // taken and done ones, as far as it was written
  double seconds_silent = 0;  // taken: since it was touched, by this machine's clock
};

/// Reads a folder of pieces without changing it.
/// @throws UsageError when it is none
std::vector<PieceState> read_pieces(const std::filesystem::path& folder, PiecePlan& plan);

}  // namespace mmbatch
