// Runs that are killed again and again, at every stage and at random moments, must end with the same rows as
// one that was left alone. MMBATCH_KILLS says how often (20; tests/run.sh --long: hundreds).

#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "tests/pipeline/program.h"

namespace mmbatch {
namespace {

using nlohmann::json;

constexpr const char* kMoments[] = {"read",   "admit", "preprocess",  "text",        "fuse",
                                    "decode", "store", "store ended", "output ended"};

int kills() {
  const char* wanted = std::getenv("MMBATCH_KILLS");
  return wanted != nullptr ? std::atoi(wanted) : 20;
}

/// Items of all kinds: answered once and several times over, equal ones, and ones that fail in each stage.
std::string manifest_of_all_kinds(const Workplace& place) {
  const std::vector<std::string> images = Workplace::images();
  std::string lines;
  for (std::size_t i = 0; i < 260; ++i) {
    json item = {{"id", "q" + std::to_string(i)}, {"image", images[i / 4 % images.size()]}};
    item["question"] =
        i % 4 == 0 ? "what color is the shape?" : "is there a shape, number " + std::to_string(i) + "?";
    if (i % 10 == 3) item["generation"] = {{"num_return_sequences", 2}, {"do_sample", true}, {"seed", i}};
    if (i % 31 == 7) item["image"] = "nowhere.png";
    if (i % 37 == 9) item["question"] = " ";
    if (i % 41 == 11) item["question"] = std::string(9000, 'x');
    if (i % 43 == 12) item["qestion"] = "misspelt";
    lines += item.dump() + "\n";
  }
  lines += "no JSON at all\n";
  place.write("items.jsonl", lines);
  return place.write("manifest.yaml",
                     "model: " + Workplace::demo("model") +
                         "\ndatabase: unused.db\njobs:\n  - {name: all, task: vqa, items: items.jsonl}\n");
}

/// Rows of a query as text.
std::vector<std::string> select(const std::string& database, const std::string& sql) {
  sqlite3* handle = nullptr;
  EXPECT_EQ(sqlite3_open(database.c_str(), &handle), SQLITE_OK);
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(handle, sql.c_str(), -1, &statement, nullptr), SQLITE_OK)
      << sqlite3_errmsg(handle);
  std::vector<std::string> rows;
  while (sqlite3_step(statement) == SQLITE_ROW) {
    std::string row;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
      row += (i > 0 ? " | " : "") + std::string(text != nullptr ? text : "NULL");
    }
    rows.push_back(row);
  }
  sqlite3_finalize(statement);
  sqlite3_close(handle);
  return rows;
}

/// All that a run stores but times.
std::vector<std::string> content(const std::string& database) {
  return select(
      database,
      "SELECT r.run_key, i.id, i.variant, i.position, i.prompt, i.images, i.image_sha256, hex(i.digest), "
      "r.sequence, "
      "r.current, r.status, r.answer, r.finish_reason, r.correct, r.score, r.logprob, r.prompt_tokens, "
      "r.answer_tokens, r.error_stage, r.error_code, r.error_message, r.details, hex(r.content_key) "
      "FROM results r JOIN items i ON i.key = r.item_key ORDER BY i.position, r.sequence, r.key");
}

/// What the output file says of each item, apart from its time; each line once.
std::set<std::string> output_lines(const std::string& file) {
  std::set<std::string> lines;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    json parsed = json::parse(line);
    if (parsed["response"].is_object()) parsed["response"]["body"].erase("created");
    EXPECT_TRUE(lines.insert(parsed.dump()).second) << "a line twice: " << line;
  }
  return lines;
}

class KilledRun {
 public:
  KilledRun(const Workplace& place, const std::string& manifest, const std::string& name)
      : manifest_(manifest), database_(place.path(name + ".db")), output_(place.path(name + ".jsonl")) {}

  /// Until it ends by itself or, at its latest after `milliseconds`, by SIGKILL. @return the wait status
  int start(const std::string& stage, long count, std::chrono::milliseconds milliseconds) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::execl(MMBATCH_KILLED_RUN, MMBATCH_KILLED_RUN, manifest_.c_str(), database_.c_str(), output_.c_str(),
              stage.c_str(), std::to_string(count).c_str(), nullptr);
      ::_exit(127);
    }
    int status = 0;
    const auto end = std::chrono::steady_clock::now() + milliseconds;
    while (::waitpid(child, &status, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > end) ::kill(child, SIGKILL);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return status;
  }
  int finish() { return start("none", 1, std::chrono::minutes(2)); }

  const std::string& database() const { return database_; }
  const std::string& output() const { return output_; }

 private:
  std::string manifest_, database_, output_;
};

TEST(Kill, AtEveryStageAndAtRandomMomentsLosesAndDoublesNothing) {
  using std::chrono::milliseconds;
  const Workplace place;
  const std::string manifest = manifest_of_all_kinds(place);
  KilledRun undisturbed(place, manifest, "undisturbed");
  const auto begin = std::chrono::steady_clock::now();
  const int whole = undisturbed.finish();
  ASSERT_TRUE(WIFEXITED(whole) && WEXITSTATUS(whole) == 1) << whole;  // 1: some items fail
  const auto duration = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
  const auto expected = content(undisturbed.database());
  ASSERT_GT(expected.size(), 280u);
  const auto expected_lines = output_lines(undisturbed.output());

  std::mt19937 random(20);
  int done = 0, by_stage = 0;
  for (int database = 0; done < kills(); ++database) {
    KilledRun run(place, manifest, "killed" + std::to_string(database));
    // A database is killed ten times, then finished and compared.
    for (int i = 0; i < 10 && done < kills(); ++i, ++done) {
      const bool random_moment = done % 3 == 2;
      const std::string stage = random_moment ? "none" : kMoments[by_stage++ % std::size(kMoments)];
      const long count = stage == "output ended" ? 1 : 1 + static_cast<long>(random() % 120);
      const auto latest = random_moment ? milliseconds(random() % static_cast<unsigned>(duration.count() + 1))
                                        : milliseconds(60'000);
      const int status = run.start(stage, count, latest);
      ASSERT_TRUE(WIFEXITED(status) ? WEXITSTATUS(status) <= 1 : WTERMSIG(status) == SIGKILL)
          << stage << " " << count << ": " << status;
      if (!std::filesystem::exists(run.database())) continue;
      ASSERT_EQ(select(run.database(), "PRAGMA integrity_check"), std::vector<std::string>{"ok"});
    }
    const int status = run.finish();
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
    EXPECT_EQ(content(run.database()), expected);
    EXPECT_EQ(output_lines(run.output()), expected_lines);
    EXPECT_EQ(select(run.database(), "SELECT count(*), status FROM runs GROUP BY status"),
              std::vector<std::string>{"1 | finished"});
    ASSERT_FALSE(::testing::Test::HasFailure()) << "after kill " << done;
  }
}

}  // namespace
}  // namespace mmbatch
