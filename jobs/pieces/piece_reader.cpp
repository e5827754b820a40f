#include "jobs/pieces/piece_reader.h"

#include <algorithm>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

namespace mmbatch {
namespace {

constexpr std::size_t kMostHeld = 2;
/// How often a worker's speed is taken.
constexpr std::chrono::seconds kRateTime{10};

}  // namespace

PieceReader::PieceReader(const Manifest& manifest, PieceFolder& folder, std::function<void()> flush)
    : manifest_(manifest), folder_(folder), flush_(std::move(flush)) {}

PieceReader::~PieceReader() {
  for (const auto& [piece, held] : held_) {
    if (held.lost) continue;
    try {
      folder_.give_back(piece);
    } catch (const std::exception&) {
      // Then its lease runs out.
    }
  }
}

bool PieceReader::open_next() {
  const std::lock_guard lock(mutex_);
  if (held_.size() >= kMostHeld) return false;
  current_ = folder_.take();
  if (!current_) return false;
  // It may be one that was lost, whose items are still on their way.
  const std::size_t in_flight = held_[*current_].in_flight;
  held_[*current_] = {};
  held_[*current_].in_flight = in_flight;
  const PiecePlan& plan = folder_.plan();
  items_ = only_shard(open_items(manifest_), Shard{.index = *current_, .count = plan.pieces, .by = plan.by});
  return true;
}

std::optional<ReadItem> PieceReader::next() {
  for (;;) {
    if (!items_ && !open_next()) return std::nullopt;
    std::optional<ReadItem> read = items_->next();
    const std::lock_guard lock(mutex_);
    Held& held = held_.at(*current_);
    if (read && !held.lost) {
      ++held.in_flight;
      pieces_[read->item.get()] = *current_;
      return read;
    }
    held.read = true;
    items_.reset();
    current_.reset();
  }
}

void PieceReader::stored(const Item& item, Ended how) {
  const std::lock_guard lock(mutex_);
  const auto found = pieces_.find(&item);
  if (found == pieces_.end()) return;
  Held& held = held_.at(found->second);
  pieces_.erase(found);
  --held.in_flight;
  ++held.progress.items;
  held.progress.failed += how == Ended::failed ? 1 : 0;
  ++stored_;
}

void PieceReader::end_done() {
  std::vector<std::pair<std::uint64_t, Held>> done;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [piece, held] : held_)
      if (held.read && held.in_flight == 0) done.emplace_back(piece, held);
  }
  if (done.empty()) return;
  flush_();
  const std::lock_guard lock(mutex_);
  for (auto& [piece, held] : done) {
    if (!held.lost) folder_.finish(piece, held.progress);
    held_.erase(piece);
  }
}

void PieceReader::tend() {
  end_done();
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  const std::chrono::duration<double> counting = now - counted_;
  if (counting >= kRateTime || rate_ == 0)
    rate_ = static_cast<double>(stored_) / std::max(1e-3, counting.count());
  if (counting >= kRateTime) {
    counted_ = now;
    stored_ = 0;
  }
  for (auto& [piece, held] : held_) held.progress.items_per_second = rate_;
  const auto often = std::min<Clock::duration>(folder_.lease() / 4, kRateTime);
  if (now - renewed_ < often) return;
  renewed_ = now;
  for (auto& [piece, held] : held_)
    if (!held.lost) held.lost = !folder_.renew(piece, held.progress);
}

bool PieceReader::wait() {
  end_done();
  {
    const std::lock_guard lock(mutex_);
    if (folder_.all_done()) return false;
  }
  std::this_thread::sleep_for(std::clamp<std::chrono::milliseconds>(
      folder_.lease() / 8, std::chrono::milliseconds(20), std::chrono::milliseconds(2000)));
  return true;
}

}  // namespace mmbatch
