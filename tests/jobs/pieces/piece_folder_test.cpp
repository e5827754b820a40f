#include "jobs/pieces/piece_folder.h"

#include <gtest/gtest.h>

#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include "jobs/pieces/piece_reader.h"
#include "tests/jobs/helpers.h"

namespace mmbatch::testing {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kLong{60'000}, kShort{50};

PiecePlan plan_of(std::uint64_t pieces, const std::string& work = "w", std::uint64_t items = 10) {
  return {.pieces = pieces, .by = Shard::By::automatic, .items = items, .work = work};
}

PieceFolder worker(const TempFolder& folder, const std::string& name, milliseconds lease = kLong,
                   std::uint64_t pieces = 3) {
  PieceFolder made(folder.path() / "pieces", name, lease);
  made.lay_out(plan_of(pieces));
  return made;
}

std::uint64_t count(const TempFolder& folder, PieceState::Kind kind) {
  PiecePlan plan;
  std::uint64_t n = 0;
  for (const PieceState& piece : read_pieces(folder.path() / "pieces", plan)) n += piece.kind == kind ? 1 : 0;
  return n;
}

TEST(PieceFolder, EachPieceIsTakenOnce) {
  const TempFolder folder;
  constexpr std::uint64_t kPieces = 200;
  std::mutex mutex;
  std::multiset<std::uint64_t> all;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      PieceFolder mine = worker(folder, "w" + std::to_string(i), kLong, kPieces);
      while (const auto piece = mine.take()) {
        EXPECT_TRUE(mine.finish(*piece, {.worker = "w", .items = 1}));
        const std::scoped_lock lock(mutex);
        all.insert(*piece);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(all.size(), kPieces);
  for (std::uint64_t i = 0; i < kPieces; ++i) EXPECT_EQ(all.count(i), 1u);
  EXPECT_TRUE(worker(folder, "late", kLong, kPieces).all_done());
}

TEST(PieceFolder, WhoSaysNothingLosesItsPiece) {
  const TempFolder folder;
  PieceFolder slow = worker(folder, "slow", kShort, 1), other = worker(folder, "other", kShort, 1);
  const auto piece = slow.take();
  ASSERT_TRUE(piece);
  EXPECT_FALSE(other.take());
  std::this_thread::sleep_for(3 * kShort);
  EXPECT_EQ(other.take(), piece);
  EXPECT_FALSE(slow.renew(*piece, {}));
  EXPECT_FALSE(slow.finish(*piece, {}));
  EXPECT_FALSE(slow.all_done());
  EXPECT_TRUE(other.renew(*piece, {}));
  EXPECT_TRUE(other.finish(*piece, {}));
  EXPECT_TRUE(slow.all_done());
}

TEST(PieceFolder, WhoRenewsKeepsIt) {
  const TempFolder folder;
  PieceFolder mine = worker(folder, "mine", kShort, 1), other = worker(folder, "other", milliseconds(400), 1);
  const auto piece = mine.take();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(mine.renew(*piece, {}));
    EXPECT_FALSE(other.take());
    std::this_thread::sleep_for(milliseconds(40));
  }
}

TEST(PieceFolder, AWorkerThatComesBackGoesOnWithItsOwn) {
  const TempFolder folder;
  std::optional<std::uint64_t> piece;
  {
    PieceFolder killed = worker(folder, "a");
    piece = killed.take();
  }
  EXPECT_EQ(worker(folder, "a").take(), piece);
  PieceFolder other = worker(folder, "b");
  EXPECT_NE(other.take(), piece);
  EXPECT_NE(other.take(), piece);
  EXPECT_FALSE(other.take());
}

TEST(PieceFolder, WhatIsGivenBackIsTakenByTheNext) {
  const TempFolder folder;
  PieceFolder first = worker(folder, "a", kLong, 1), next = worker(folder, "b", kLong, 1);
  const auto piece = first.take();
  EXPECT_EQ(count(folder, PieceState::Kind::taken), 1u);
  first.give_back(*piece);
  EXPECT_EQ(count(folder, PieceState::Kind::waiting), 1u);
  EXPECT_EQ(next.take(), piece);
}

TEST(PieceFolder, RefusesOtherWork) {
  const TempFolder folder;
  worker(folder, "a");
  const auto refused = [&](const PiecePlan& plan) {
    return error_of<UsageError>([&] { PieceFolder(folder.path() / "pieces", "b", kLong).lay_out(plan); });
  };
  EXPECT_NE(refused(plan_of(3, "other")).find("another manifest"), std::string::npos);
  EXPECT_NE(refused(plan_of(3, "w", 11)).find("10 items, which has 11 now"), std::string::npos);
  EXPECT_NE(refused(plan_of(4)).find("--shards"), std::string::npos);
  EXPECT_EQ(refused(plan_of(0)), "");  // as many as there are
  EXPECT_NE(error_of<UsageError>([&] { PieceFolder(folder.path(), "a/b", kLong); }).find("--worker"),
            std::string::npos);
}

TEST(PieceFolder, WorkersHaveNamesThatFilesCanHave) {
  for (const char* name : {"host7", "12", "a.b-c_d", "...", ".x"}) EXPECT_NO_THROW(check_worker_name(name));
  EXPECT_NO_THROW(check_worker_name(default_worker_name()));
  for (const std::string& name : {std::string(), std::string("."), std::string(".."), std::string("x/../y"),
                                  std::string("a b"), std::string(101, 'a')}) {
    EXPECT_NE(error_of<UsageError>([&] { check_worker_name(name); }).find("a name is 1 to 100 letters"),
              std::string::npos)
        << name;
  }
}

TEST(PieceFolder, RefusesAFolderOfOtherThings) {
  const TempFolder folder;
  std::filesystem::create_directory(folder.path() / "pieces");
  folder.write("pieces/notes.txt", "mine");
  EXPECT_NE(error_of<UsageError>([&] { worker(folder, "a"); }).find("something else is there"),
            std::string::npos);
  EXPECT_EQ(read_text(folder.path() / "pieces/notes.txt"), "mine");
  std::filesystem::remove(folder.path() / "pieces/notes.txt");
  worker(folder, "a");  // an empty one is taken
}

Manifest list_of(const TempFolder& folder, int items) {
  std::string lines;
  for (int i = 0; i < items; ++i) lines += R"({"prompt": "question )" + std::to_string(i) + "\"}\n";
  folder.write("items.jsonl", lines);
  return read_manifest(
      folder.write("manifest.yaml", "jobs: [{name: j, task: generate, items: items.jsonl}]"));
}

TEST(PieceReader, GivesEveryItemOnceAndEndsPiecesWhenTheirItemsAreStored) {
  const TempFolder folder;
  constexpr int kItems = 40;
  const Manifest manifest = list_of(folder, kItems);
  PieceFolder pieces = worker(folder, "a", kLong, 5);
  int flushes = 0;
  PieceReader reader(manifest, pieces, [&] { ++flushes; });
  std::set<std::string> seen;
  std::vector<ReadItem> in_flight;
  do {
    while (auto read = reader.next()) {
      EXPECT_TRUE(seen.insert(read->item->prompt).second);
      in_flight.push_back(std::move(*read));
    }
    reader.tend();  // nothing is stored yet
    const std::uint64_t before = count(folder, PieceState::Kind::done);
    for (const ReadItem& read : in_flight) reader.stored(*read.item, PieceReader::Ended::answered);
    EXPECT_EQ(count(folder, PieceState::Kind::done), before);  // not flushed yet
    in_flight.clear();
  } while (reader.wait());
  EXPECT_EQ(seen.size(), std::size_t{kItems});
  EXPECT_EQ(count(folder, PieceState::Kind::done), 5u);
  EXPECT_GT(flushes, 0);
}

TEST(PieceReader, GivesBackWhatIsNotDone) {
  const TempFolder folder;
  const Manifest manifest = list_of(folder, 40);
  PieceFolder pieces = worker(folder, "a", kLong, 2);
  {
    PieceReader reader(manifest, pieces, [] {});
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(count(folder, PieceState::Kind::taken), 1u);
  }
  EXPECT_EQ(count(folder, PieceState::Kind::waiting), 2u);
}

TEST(PieceFolder, WhatIsBesideItStays) {
  const TempFolder folder;
  std::filesystem::create_directory(folder.path() / "pieces.w.part");
  folder.write("pieces.w.part/notes", "mine");
  EXPECT_TRUE(worker(folder, "w").take());
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "pieces.w.part" / "notes"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 2);
}

TEST(PieceReader, StopsGivingItemsOfAPieceThatItLost) {
  const TempFolder folder;
  const Manifest manifest = list_of(folder, 400);
  PieceFolder slow = worker(folder, "slow", kShort, 1), other = worker(folder, "other", kShort, 1);
  PieceReader reader(manifest, slow, [] {});
  const auto first = reader.next();
  ASSERT_TRUE(first);
  std::this_thread::sleep_for(3 * kShort);
  ASSERT_TRUE(other.take());
  reader.tend();  // it hears of it
  EXPECT_FALSE(reader.next());
  reader.stored(*first->item, PieceReader::Ended::answered);
  EXPECT_TRUE(reader.wait());  // the other may lose it, too
  EXPECT_TRUE(other.finish(0, {}));
  EXPECT_FALSE(reader.wait());
}

}  // namespace
}  // namespace mmbatch::testing
