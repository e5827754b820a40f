#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "jobs/listing/item_reader.h"
#include "jobs/pieces/piece_folder.h"

namespace mmbatch {

/// The items of the pieces that this worker takes, one piece after the other. A piece is done when all its
/// items are stored, and what was stored is on the disk. At most two pieces are held, one that is read and
/// one whose last items are computed. Items are read, said to be stored, and tended by a thread each.
class PieceReader : public ItemReader {
 public:
  /// @param flush puts what was stored on the disk
  PieceReader(const Manifest& manifest, PieceFolder& folder, std::function<void()> flush);
  /// Gives back what is not done.
  ~PieceReader() override;

  /// Nothing when no piece can be had now: what is in flight is to be finished then, and wait() asked.
  std::optional<ReadItem> next() override;
  enum class Ended { answered, failed };
  void stored(const Item& item, Ended how);
  /// To be called several times a second: renews leases, and ends pieces that are done.
  void tend();
  /// When nothing is in flight: ends pieces that are done, and says whether next() may have more to give,
  /// having waited a little where all that is left is at work elsewhere.
  bool wait();

 private:
  using Clock = std::chrono::steady_clock;
  struct Held {
    PieceProgress progress;
    std::uint64_t in_flight = 0;
    bool read = false;  // to its end
    bool lost = false;
  };
  bool open_next();
  void end_done();

  const Manifest& manifest_;
  PieceFolder& folder_;
  const std::function<void()> flush_;
  std::unique_ptr<ItemReader> items_;  // of current_
  std::optional<std::uint64_t> current_;

  std::mutex mutex_;
  // Guarded by mutex_, as is folder_:
  std::map<std::uint64_t, Held> held_;
  std::unordered_map<const Item*, std::uint64_t> pieces_;  // of items in flight
  Clock::time_point renewed_ = Clock::now(), counted_ = Clock::now();
  std::uint64_t stored_ = 0;  // since counted_
  double rate_ = 0;
};

}  // namespace mmbatch
